"""A device as npuc sees it: processors, number formats, memory and budgets, each figure with its source."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from program.number_format import FORMAT_NAMES, FormatName
from targets.devices.figure import (
    Bytes,
    Cores,
    Gibibytes,
    GigabytesPerSecond,
    Identifier,
    Kibibytes,
    Seconds,
    Section,
    Source,
    TokensPerSecond,
)

Tier = Literal["high", "mid", "low"]
Target = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""Name of a back end, built in or from another package; see `targets.contract.registry`."""

Kind = Literal["phone", "glasses", "car", "medical", "iot", "tablet"]
Support = Literal["native", "storage", "requantised", "refused"]

TIERS: tuple[Tier, ...] = ("high", "mid", "low")
GIBIBYTE = 1 << 30

UNEMULATED_FEATURES = (
    "sme2",
    "fp8",
    "fp8dot2",
    "fp8dot4",
    "fp8fma",
    "mops",
    "v8.8a",
    "v8.9a",
    "v9.3a",
    "v9.4a",
)
"""LLVM features a catalogue entry may not switch on.

npuc executes every CPU binary it ships under `qemu-aarch64 -cpu max`. Version 7.2 stops with SIGILL at SME2 and at
FP8 dot products, and has no FEAT_MOPS, which Armv8.8-A and later imply.
"""


class Soc(Section):
    """The chip.

    Attributes:
        name: Market name.
        vendor: Maker of the chip.
        model: The vendor's part number, such as `SM8750`.
        soc_model: How the vendor's NPU compiler selects this chip; none where it has no such option.
    """

    name: str = Field(min_length=1)
    vendor: str = Field(min_length=1)
    model: str = Field(min_length=1)
    soc_model: Identifier | None = None


def _emulated(feature: str) -> str:
    if feature.startswith("+") and feature[1:] in UNEMULATED_FEATURES:
        raise ValueError(
            f"{feature} cannot be executed by qemu-aarch64 7.2, so npuc could not verify the binary"
        )
    return feature


Feature = Annotated[str, Field(pattern=r"^[+-][a-z0-9.-]+$"), AfterValidator(_emulated)]


class Cpu(Section):
    """The application processor that runs what the NPU does not.

    Attributes:
        triple: LLVM triple of the code that is generated.
        features: LLVM `mattr` entries, such as `+i8mm`; only what every core of the device executes.
        features_source: Where the features come from.
        cores: Number of cores.
        core_types: Core designs and clock rates, for people.
    """

    triple: str = Field(pattern=r"^[a-z0-9_]+(-[a-z0-9_.]+){2,3}$")
    features: tuple[Feature, ...] = Field(min_length=1)
    features_source: Source
    cores: Cores
    core_types: str = Field(min_length=1)

    def llvm_target(self) -> dict[str, str | list[str]]:
        """Returns the configuration of a TVM target of kind `llvm` for this processor."""
        return {"kind": "llvm", "mtriple": self.triple, "mattr": list(self.features)}


class Npu(Section):
    """The neural processor.

    Attributes:
        name: Market name.
        architecture: Generation as the vendor's compiler calls it, such as `v79`, `mdla5.5`, `ethos-u85-1024`.
        memory: Memory inside the NPU (VTCM, L1); none where it is not published.
    """

    name: str = Field(min_length=1)
    architecture: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    memory: Kibibytes | None = None


class FormatPolicy(Section):
    """What one processor does with one number format.

    Attributes:
        support: `native`: computed in that format. `storage`: kept in it in flash and memory, computed in another
            format. `requantised`: rewritten into another format by a stated rule before the vendor's
            compiler sees it, so that flash and memory hold the other format. `refused`: a compile error.
        computes_in: The other format of `storage` and `requantised`.
        reason: One line for the report.
    """

    support: Support
    computes_in: FormatName | None = None
    reason: str = Field(min_length=10, max_length=240, pattern=r"^[^\n]+$")

    @model_validator(mode="after")
    def _names_other_format(self) -> Self:
        needed = self.support in ("storage", "requantised")
        if needed and self.computes_in is None:
            raise ValueError(f"{self.support!r} needs computes_in, the format of the arithmetic")
        if not needed and self.computes_in is not None:
            raise ValueError(f"{self.support!r} has no computes_in")
        return self


class ProcessorFormats(Section):
    """The policy of one processor for every number format."""

    float32: FormatPolicy
    float16: FormatPolicy
    bfloat16: FormatPolicy
    e4m3: FormatPolicy
    e5m2: FormatPolicy
    int8: FormatPolicy
    int16: FormatPolicy
    int4: FormatPolicy

    def policy(self, name: FormatName) -> FormatPolicy:
        """Returns the policy for a format."""
        policy: FormatPolicy = getattr(self, name)
        return policy

    def supported_as(self, support: Support) -> tuple[FormatName, ...]:
        """Returns the formats with that kind of support, widest float first."""
        return tuple(name for name in FORMAT_NAMES if self.policy(name).support == support)


class Formats(Section):
    """Format policies of both processors."""

    cpu: ProcessorFormats
    npu: ProcessorFormats


class Memory(Section):
    """Main memory."""

    ram: Gibibytes
    bandwidth: GigabytesPerSecond


class Budgets(Section):
    """What a model may use and must reach on this device: npuc's defaults, which a recipe may replace."""

    ram_bytes: Bytes
    flash_bytes: Bytes
    first_token_seconds: Seconds
    tokens_per_second: TokensPerSecond


class Device(Section):
    """One device of the catalogue.

    Attributes:
        id: Name on the command line, kebab-case.
        name: Name for people.
        tier: Which tier recipe is used: full model, sub-networks switched at run time, or distilled student.
        target: Which back end lowers the NPU part.
        kind: What sort of device it is.
        default: Chosen where only tier and target are named.
        note: What a user should know about this entry.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    name: str = Field(min_length=1)
    tier: Tier
    target: Target
    kind: Kind
    default: bool = False
    note: str = ""
    soc: Soc
    cpu: Cpu
    npu: Npu
    formats: Formats
    memory: Memory
    budgets: Budgets

    @model_validator(mode="after")
    def _budget_fits_memory(self) -> Self:
        available = self.memory.ram.value * GIBIBYTE
        if self.budgets.ram_bytes.value > available:
            raise ValueError(
                f"budgets.ram_bytes is {self.budgets.ram_bytes.value} bytes but the device has {int(available)}"
            )
        return self
