"""The switch between sub-networks while an answer is generated."""

from __future__ import annotations

from collections.abc import Mapping

from npuc.artifact.power import PowerSchedule
from program.program import Array, Executor, Feeds, Role


class PowerSwitch:
    """Executors that change the sub-network between two tokens; all of them stay open.

    Args:
        networks: Sub-network → component → executor.
        roles: Component → role.
        schedule: Which one when.

    Attributes:
        executors: Component → executor, for the runner.
        used: Sub-network that computed each token so far, in order.
    """

    def __init__(
        self,
        networks: Mapping[str, Mapping[str, Executor]],
        roles: Mapping[str, str],
        schedule: PowerSchedule,
    ) -> None:
        self._networks = networks
        self._schedule = schedule
        # a prefill computes the first token; without one the first decode step does
        self._first_from_prefill = str(Role.PREFILL) in roles.values()
        self._decoded = 0
        self.used: list[str] = []
        self.executors: dict[str, Executor] = {
            name: self._executor(name, role) for name, role in roles.items()
        }

    def _executor(self, component: str, role: str) -> Executor:
        def call(feeds: Feeds) -> dict[str, Array]:
            decodes = role == str(Role.DECODE)
            name = self._schedule.name_at(self._token(decodes))
            outputs = self._networks[name][component](feeds)
            if decodes:
                self._decoded += 1
                self.used.append(name)
            return outputs

        return call

    def _token(self, decodes: bool) -> int:
        return self._decoded + int(decodes and self._first_from_prefill)
