"""Which sub-network computes which token, and the switch between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from exporter.program import Array, Executor, Feeds, Role
from npuc.errors import UsageError

FULL = "full"
"""Name of the sub-network that is the whole program."""


@dataclasses.dataclass(frozen=True)
class PowerSchedule:
    """Sub-networks in the order of their use.

    Attributes:
        stages: (name, tokens it generates); the last one has no limit.
    """

    stages: tuple[tuple[str, int | None], ...] = ((FULL, None),)

    @classmethod
    def parse(cls, text: str) -> PowerSchedule:
        """Reads `low_power`, or `full:4,low_power`: four tokens by the full network, the rest by the other one.

        Raises:
            UsageError: The text is no schedule.
        """
        stages: list[tuple[str, int | None]] = []
        parts = text.split(",")
        for index, part in enumerate(parts):
            name, separator, count = part.strip().partition(":")
            last = index == len(parts) - 1
            counted = bool(separator) and count.isascii() and count.isdigit() and int(count) > 0
            if not name or (separator and not counted) or (not last and not counted):
                raise UsageError(
                    "not a power schedule",
                    received=text[:200],
                    remedy="name a sub-network, or several with the tokens of each: full:4,low_power",
                )
            stages.append((name, None if last else int(count)))
        return cls(tuple(stages))

    @property
    def names(self) -> tuple[str, ...]:
        """Sub-networks used, without repetition."""
        return tuple(dict.fromkeys(name for name, _ in self.stages))

    def name_at(self, token: int) -> str:
        """Returns the sub-network that computes a token, counted from 0."""
        for name, count in self.stages:
            if count is None or token < count:
                return name
            token -= count
        return self.stages[-1][0]

    def check(self, known: Collection[str]) -> None:
        """Checks that an artifact has the sub-networks.

        Raises:
            UsageError: It has not.
        """
        unknown = sorted(set(self.names) - set(known))
        if unknown:
            raise UsageError(
                f"the artifact has no sub-network {unknown[0]}",
                received=", ".join(self.names),
                remedy=f"use {' or '.join(known)}; artifacts of tier mid have more than one",
            )

    def check_caches(self, caches: Mapping[str, Collection[object]]) -> None:
        """Checks that the KV cache stays valid across every switch.

        Args:
            caches: Sub-network → tensors of its KV cache, names and shapes.

        Raises:
            UsageError: It does not.
        """
        first, *others = self.names
        for name in others:
            if set(caches[name]) != set(caches[first]):
                raise UsageError(
                    f"the KV cache of {first} is not valid for {name}: key/value heads were pruned",
                    received=", ".join(self.names),
                    remedy="run one sub-network alone, or compile with keep_cache = true in the section [prune]",
                )


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
