"""The devices npuc ships, and devices of the user's own. Entries are data: TOML, validated, never executed."""

from __future__ import annotations

import difflib
import functools
import json
import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from exporter.errors import SourceError
from exporter.files.toml_file import TomlError, read_toml
from targets.contract.registry import target_names
from targets.devices.device import Device, Target, Tier
from targets.errors import DeviceFileError, UnknownDeviceError

_LONGEST_RECEIVED = 200


def devices() -> tuple[Device, ...]:
    """Returns every shipped device, sorted by id."""
    return tuple(_shipped(name) for name in _ids())


@functools.cache
def _shipped(name: str) -> Device:
    return _validated(tomllib.loads(_folder().joinpath(f"{name}.toml").read_text("utf-8")), f"{name}.toml")


def _ids() -> list[str]:
    """Sorted; the file of a shipped device has its id as its name."""
    entries = _folder().iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def device(name: str) -> Device:
    """Returns the shipped device with that id.

    Raises:
        UnknownDeviceError: There is none; the message offers the closest ids.
    """
    found = _ids()
    if name in found:
        return _shipped(name)
    spelled = "-".join(name.lower().replace("_", " ").split())
    close = difflib.get_close_matches(spelled, found, n=3, cutoff=0.5)
    raise UnknownDeviceError(
        "unknown device",
        received=name,
        remedy=f"did you mean {' or '.join(close)}?" if close else f"use one of {', '.join(found)}",
    )


def find_device(name_or_path: str) -> Device:
    """Returns a shipped device by id, or the user's own by the path of its TOML file.

    Raises:
        UnknownDeviceError: It is neither a shipped id nor a path that ends in `.toml`.
        DeviceFileError: The file cannot be read or breaks a rule.
    """
    if name_or_path.endswith(".toml"):
        return load_device(Path(name_or_path))
    return device(name_or_path)


def devices_of(tier: Tier | None = None, target: Target | None = None) -> tuple[Device, ...]:
    """Returns the shipped devices of a tier and a target, sorted by id; none given means any."""
    return tuple(
        entry
        for entry in devices()
        if (tier is None or entry.tier == tier) and (target is None or entry.target == target)
    )


def default_device(tier: Tier, target: Target) -> Device:
    """Returns the device that stands for a tier of a target.

    Raises:
        UnknownDeviceError: The catalogue has no device of that tier for that target.
    """
    for entry in devices_of(tier, target):
        if entry.default:
            return entry
    tiers = sorted({entry.tier for entry in devices_of(target=target)})
    raise UnknownDeviceError(
        "no device of this tier for this target",
        received=f"tier {tier}, target {target}",
        remedy=f"{target} has devices of tier {', '.join(tiers)}; or describe your own in a TOML file",
    )


def load_device(path: Path) -> Device:
    """Reads a device of the user's own.

    `formats.cpu` and `formats.npu` are either tables or the names of shipped format profiles.

    Raises:
        DeviceFileError: The file is missing, too large, not TOML, or breaks a rule; names the key, what was
            received and what is allowed.
    """
    loaded = _validated(_read_toml(path), str(path))
    if loaded.target not in target_names():
        raise DeviceFileError(
            "device key 'target': no such target",
            where=str(path),
            received=loaded.target,
            remedy=f"use one of {', '.join(target_names())}, or install the package that offers it",
        )
    return loaded


@functools.cache
def format_profiles() -> tuple[str, ...]:
    """Returns the names that `formats.cpu` and `formats.npu` may refer to, sorted."""
    entries = _folder().joinpath("formats").iterdir()
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))
    )


@functools.cache
def _folder() -> Traversable:
    return resources.files("targets").joinpath("devices")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except SourceError as error:
        raise DeviceFileError(
            "cannot read the device file",
            where=str(path),
            received=": ".join(filter(None, (error.what, error.received))),
            remedy="name a TOML file of at most 1 MiB",
        ) from error
    except TomlError as error:
        raise DeviceFileError(
            "the device file is not valid TOML",
            where=str(path),
            received=str(error)[:300],
            remedy="fix the line named above",
        ) from error


def _validated(values: dict[str, Any], where: str) -> Device:
    # Validated as JSON, because strict mode takes no list for a tuple from Python; dates become strings.
    text = json.dumps(_with_profiles(values, where), default=str)
    try:
        return Device.model_validate_json(text)
    except ValidationError as error:
        raise _as_file_error(error, where) from error


def _with_profiles(values: dict[str, Any], where: str) -> dict[str, Any]:
    """Replaces names of format profiles by their tables."""
    formats = values.get("formats")
    if not isinstance(formats, dict):
        return values
    tables = {
        processor: _profile(entry, f"formats.{processor}", where) if isinstance(entry, str) else entry
        for processor, entry in formats.items()
    }
    return {**values, "formats": tables}


def _profile(name: str, key: str, where: str) -> Mapping[str, Any]:
    if name not in format_profiles():
        raise DeviceFileError(
            f"device key {key!r}: no such format profile",
            where=where,
            received=name,
            remedy=f"use one of {', '.join(format_profiles())}, or write the table out",
        )
    return _read_profile(name)


@functools.cache
def _read_profile(name: str) -> Mapping[str, Any]:
    return tomllib.loads(_folder().joinpath("formats", f"{name}.toml").read_text("utf-8"))


def _as_file_error(error: ValidationError, where: str) -> DeviceFileError:
    faults = error.errors(include_url=False)
    first = faults[0]
    location = tuple(str(part) for part in first["loc"])
    more = f" ({len(faults) - 1} more faults follow)" if len(faults) > 1 else ""
    # A missing key's `input` is the whole table around it, which tells a user nothing.
    received = "nothing" if first["type"] == "missing" else repr(first["input"])[:_LONGEST_RECEIVED]
    return DeviceFileError(
        f"device key {'.'.join(location) or 'at the top'!r}: {first['msg']}{more}",
        where=where,
        received=received,
        remedy=_remedy(first["type"], location),
    )


def _remedy(kind: str, location: tuple[str, ...]) -> str:
    if kind == "extra_forbidden":
        allowed = _keys_beside(location)
        close = difflib.get_close_matches(location[-1], allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"{hint}allowed here: {', '.join(allowed)}"
    if kind == "missing":
        return "add the key; every figure needs value, unit and source"
    return "correct the value of this key"


def _keys_beside(location: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the keys of the table that holds `location`."""
    model: type[BaseModel] = Device
    for part in location[:-1]:
        annotation = model.model_fields[part].annotation
        choices = (annotation, *get_args(annotation))
        model = next(
            choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)
        )
    return tuple(model.model_fields)
