"""Which sub-network computes which token."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

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
