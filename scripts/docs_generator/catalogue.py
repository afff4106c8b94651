"""Pages and tables of the device catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from docs_generator.markdown import page, table
from npuc.settings.recipe_file import tier_recipe
from program.number_format import FORMAT_NAMES, FormatName
from targets.devices.catalogue import devices
from targets.devices.device import Device, FormatPolicy, ProcessorFormats
from targets.devices.device_table import DeviceRow, device_rows, figures

_TARGETS = {
    "cpu": "CPU code (every target, today)",
    "snapdragon": "Hexagon NPU (HTP)",
    "mediatek": "MediaTek NPU (declared)",
    "arm": "Arm NPU or GPU (declared)",
    "apple": "Neural Engine (declared)",
}
_OVERVIEW = (
    "id",
    "device",
    "SoC",
    "tier",
    "target",
    "computes natively",
    "stores",
    "RAM budget",
    "estimates",
)
_MATRIX_INTRO = """What each processor does with each number format.

* *native*: computed in it.
* *storage → X*: kept in it in flash and memory, computed in X.
* *requantised → X*: rewritten into X before the vendor's compiler sees it.
* *refused*: an error.

The CPU rows hold for the code npuc emits today, which uses float32, float16, e4m3 and e5m2. The NPU rows are what the
devices declare, for NPU back ends to come."""


def devices_page() -> str:
    """Returns the catalogue: an overview, then every figure of every device with its source."""
    intro = "The devices npuc ships. `estimates` counts figures that nobody published or measured."
    overview = table(_OVERVIEW, [_overview_row(row) for row in device_rows(devices())])
    return page("Device catalogue", intro, [overview, *map(_device_section, devices())])


def formats_page() -> str:
    """Returns the format × target matrix and the reasons behind it."""
    processors = {**_processors("cpu"), **_processors("npu")}
    rows = [
        (title, *(_support(formats.policy(name)) for name in FORMAT_NAMES))
        for title, formats in processors.items()
    ]
    sections = [table(("processor", *FORMAT_NAMES), rows)]
    for title, formats in processors.items():
        policies = {name: formats.policy(name) for name in FORMAT_NAMES}
        reasons = [(name, _support(policy), policy.reason) for name, policy in policies.items()]
        sections.append(f"## {title}\n\n" + table(("format", "support", "why"), reasons))
    return page("Formats and targets", _MATRIX_INTRO, sections)


def precision_table() -> str:
    """Returns modality → format of the high tier, and what the CPU code and each NPU do with the format."""
    precision = tier_recipe("high").precision
    parts: dict[FormatName, list[str]] = {}
    for modality in ("vision", "audio", "text", "fusion"):
        parts.setdefault(getattr(precision, modality), []).append(modality)
    parts.setdefault(precision.base, []).append("norms, softmax, embedding, head, KV cache")
    rows = [
        (", ".join(names), fmt, *(_supports(fmt, target) for target in _TARGETS))
        for fmt, names in parts.items()
    ]
    return table(("part of the model", "format", *_TARGETS.values()), rows)


def devices_table(target: str) -> str:
    """Returns the devices of one target."""
    rows = [_overview_row(row, link=False) for row in device_rows(devices()) if row.target == target]
    return table(_OVERVIEW, rows)


def _overview_row(row: DeviceRow, *, link: bool = True) -> tuple[str, ...]:
    return (
        f"[`{row.id}`](#{row.id})" if link else f"`{row.id}`",
        row.name,
        row.soc,
        row.tier,
        row.target,
        " ".join(row.native_formats),
        " ".join(row.storage_formats),
        f"{row.ram_budget_gib:.2g} GiB",
        str(row.estimates),
    )


def _device_section(device: Device) -> str:
    rows = [
        (f"`{key}`", f"{getattr(figure, 'value', '')} {getattr(figure, 'unit', '')}".strip(), figure.source)
        for key, figure in figures(device)
    ]
    cpu = f"CPU: `{device.cpu.triple}`, `{' '.join(device.cpu.features)}` ({device.cpu.features_source})"
    heading = f"## {device.id}\n\n{device.name}. {device.note}\n\n{cpu}\n\n"
    return heading + table(("figure", "value", "source"), rows)


def _processors(kind: str) -> dict[str, ProcessorFormats]:
    """Returns the distinct policies of one kind of processor by a title that names its members."""
    grouped: dict[ProcessorFormats, list[Device]] = {}
    for device in devices():
        grouped.setdefault(getattr(device.formats, kind), []).append(device)
    titled = {_title(kind, members): formats for formats, members in grouped.items()}
    return dict(sorted(titled.items()))


def _title(kind: str, members: Sequence[Device]) -> str:
    if kind == "npu":
        architectures = ", ".join(sorted({device.npu.architecture for device in members}))
        return f"{members[0].target}: {members[0].npu.name} ({architectures})"
    return f"CPU: {', '.join(sorted({_architecture(device) for device in members}))}"


def _architecture(device: Device) -> str:
    """Returns `Armv8.6-A` of the feature `+v8.6a`; Armv8.0-A where none is named."""
    for feature in device.cpu.features:
        if feature.startswith(("+v8", "+v9")):
            return f"Armv{feature[2:-1]}-A"
    return "Armv8.0-A"


def _support(policy: FormatPolicy) -> str:
    return f"{policy.support} → {policy.computes_in}" if policy.computes_in else policy.support


def _supports(fmt: FormatName, target: str) -> str:
    if target == "cpu":
        policies = [device.formats.cpu.policy(fmt) for device in devices()]
    else:
        policies = [device.formats.npu.policy(fmt) for device in devices() if device.target == target]
    return "<br>".join(sorted({_support(policy) for policy in policies}))
