"""The Snapdragon target: CPU code for every component, HTP where the chip is known, and Hexagon's vector units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from targets.contract.accelerator import Accelerator
from targets.contract.emulator import Emulator
from targets.contract.npu_format import STANDARD
from targets.devices.device import Device
from targets.snapdragon.hexagon.accelerator import HvxAccelerator, has_vector_units
from targets.snapdragon.hexagon.emulator import HvxEmulator
from targets.snapdragon.hexagon.executor import HEXAGON_EMULATOR
from targets.snapdragon.htp.accelerator import HtpAccelerator
from targets.snapdragon.htp.emulator import HtpEmulator
from targets.snapdragon.socs import find_htp_soc
from targets.tvm.cpu_target import CpuTarget
from targets.tvm.executor import EMULATOR_COMMAND


class SnapdragonTarget(CpuTarget):
    """CPU code, and two processors of the Hexagon NPU: the tensor processor and the vector units."""

    format_names = (*STANDARD, *(entry.name for entry in HvxAccelerator.formats))
    emulators: Mapping[str, str] = {**CpuTarget.emulators, HEXAGON_EMULATOR[0]: EMULATOR_COMMAND}

    def __init__(self) -> None:
        super().__init__("snapdragon")

    def accelerators(self, device: Device) -> Sequence[Accelerator]:
        """Returns HTP where the device names how the compiler selects its chip, and HVX from Hexagon v73 on.

        Raises:
            TargetError: The chip is not in npuc's table.
        """
        selector = device.soc.soc_model
        found: list[Accelerator] = []
        if selector is not None:
            found.append(HtpAccelerator(find_htp_soc(selector.value)))
        if has_vector_units(device.npu.architecture):
            found.append(HvxAccelerator())
        return tuple(found)

    def emulator(self, processor: str) -> Emulator | None:
        """Returns the vendor's emulation for HTP, `qemu-hexagon` for HVX."""
        emulators: dict[str, Emulator] = {"htp": HtpEmulator(), "hvx": HvxEmulator()}
        return emulators.get(processor)


def create_target() -> SnapdragonTarget:
    """Returns the target."""
    return SnapdragonTarget()
