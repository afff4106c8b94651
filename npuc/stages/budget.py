"""What an artifact needs beside what the device's budgets allow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from exporter.program import Program, Role
from npuc.manifest import Budget
from targets.device import Device
from targets.registry import find_target
from targets.target import Lowered


def budgets(
    program: Program, device: Device, lowered: Mapping[str, Lowered], folder: Path
) -> tuple[Budget, ...]:
    """Returns memory and flash needs as measured, and speed as an estimate from the device's bandwidth.

    Args:
        program: Lowered program.
        device: Gives budgets and bandwidth.
        lowered: Arena sizes.
        folder: Of the artifact.
    """
    weights = (folder / "model" / "weights.bin").stat().st_size
    code = sum(entry.code_bytes for entry in lowered.values())
    arena = max(entry.arena_bytes for entry in lowered.values())
    limits = device.budgets
    memory = weights + arena + code + _cache_bytes(program)
    return (
        _at_most(
            "memory", memory, limits.ram_bytes.value, "weights, code, largest arena and KV cache, as built"
        ),
        _at_most("flash", weights + code, limits.flash_bytes.value, "weights and code, as built"),
        *_speed(program, device),
    )


def _at_most(name: str, value: float, limit: float, basis: str, unit: str = "B") -> Budget:
    return Budget(
        name=name, unit=unit, value=value, limit=limit, relation="at most", met=value <= limit, basis=basis
    )


def _cache_bytes(program: Program) -> int:
    specs = next((c.inputs for c in program.components.values() if c.role is Role.DECODE), ())
    return sum(spec.nbytes for spec in specs if spec.name.startswith("past_"))


def _speed(program: Program, device: Device) -> tuple[Budget, ...]:
    target = find_target(device.target)
    seconds = {name: target.estimate(c, device).seconds for name, c in program.components.items()}
    decode = [name for name, c in program.components.items() if c.role is Role.DECODE]
    first = _at_most(
        "first token",
        sum(seconds.values()),
        device.budgets.first_token_seconds.value,
        "estimate, lower limit: every component once, at the device's memory bandwidth",
        unit="s",
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
    )
