"""What an artifact needs beside what the device's budgets allow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from npuc.artifact.manifest import Budget
from npuc.stages.place.plan import Plan
from program.program import CACHE_PREFIX, Component, Role
from targets.contract.registry import find_target
from targets.contract.target import Lowered
from targets.devices.device import Device


def budgets(
    plan: Plan,
    components: Mapping[str, Component],
    device: Device,
    lowered: Mapping[str, Lowered],
    folder: Path,
) -> tuple[Budget, ...]:
    """Returns memory and flash needs as measured, and speed as an estimate from the device's bandwidth.

    Args:
        plan: What runs where.
        components: Those of the full network.
        device: Gives budgets and bandwidth.
        lowered: Code and arena sizes by segment.
        folder: Of the artifact.
    """
    # an NPU's binary holds its weights; only CPU code reads a weights file on the device
    files = {segment.weights for segment in plan.segments if segment.on_cpu}
    weights = sum((folder / path).stat().st_size for path in files)
    code = sum(entry.code_bytes for entry in lowered.values())
    arena = max(entry.arena_bytes for entry in lowered.values())
    limits = device.budgets
    memory = weights + arena + code + _cache_bytes(components)
    return (
        _at_most(
            "memory",
            memory,
            limits.ram_bytes.value,
            "binaries with their weights, largest arena and KV cache, as built",
        ),
        _at_most("flash", weights + code, limits.flash_bytes.value, "binaries with their weights, as built"),
        *_speed(components, device),
    )


def _at_most(
    name: str, value: float, limit: float, basis: str, unit: str = "B", estimated: bool = False
) -> Budget:
    return Budget(
        name=name,
        unit=unit,
        value=value,
        limit=limit,
        relation="at most",
        met=value <= limit,
        basis=basis,
        estimated=estimated,
    )


def _cache_bytes(components: Mapping[str, Component]) -> int:
    specs = next((c.inputs for c in components.values() if c.role is Role.DECODE), ())
    return sum(spec.nbytes for spec in specs if spec.name.startswith(CACHE_PREFIX))


def _speed(components: Mapping[str, Component], device: Device) -> tuple[Budget, ...]:
    target = find_target(device.target)
    seconds = {name: target.estimate(c, device).seconds for name, c in components.items()}
    decode = [name for name, c in components.items() if c.role is Role.DECODE]
    first = _at_most(
        "first token",
        sum(seconds.values()),
        device.budgets.first_token_seconds.value,
        "estimate, lower limit: every component once, at the device's memory bandwidth",
        unit="s",
        estimated=True,
    )
    return (first, *(_tokens_per_second(seconds[name], device) for name in decode))


def _tokens_per_second(seconds: float, device: Device) -> Budget:
    value, limit = 1 / seconds, device.budgets.tokens_per_second.value
    return Budget(
        name="tokens per second",
        unit="token/s",
        value=value,
        limit=limit,
        relation="at least",
        met=value >= limit,
        basis="estimate, upper limit: weights and KV cache read once a token at the device's bandwidth",
        estimated=True,
    )
