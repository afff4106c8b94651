"""The Snapdragon target: CPU code for every component, and HTP where the chip is known."""

from __future__ import annotations

from targets.accelerator import Accelerator
from targets.device import Device
from targets.snapdragon.htp.accelerator import HtpAccelerator
from targets.snapdragon.socs import find_htp_soc
from targets.tvm.cpu_target import CpuTarget


class SnapdragonTarget(CpuTarget):
    """CPU code, and the Hexagon tensor processor as accelerator."""

    def __init__(self) -> None:
        super().__init__("snapdragon")

    def accelerator(self, device: Device) -> Accelerator | None:
        """Returns HTP of the device's chip; None where the device does not name how the compiler selects it.

        Raises:
            TargetError: The chip is not in npuc's table.
        """
        selector = device.soc.soc_model
        return None if selector is None else HtpAccelerator(find_htp_soc(selector.value))


def create_target() -> SnapdragonTarget:
    """Returns the target."""
    return SnapdragonTarget()
