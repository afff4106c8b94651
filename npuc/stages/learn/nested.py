"""What is recorded of a sub-network."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Nested:
    """One sub-network of a written program.

    Attributes:
        name: As the recipe has it.
        components: Component of the full program → component that stands for it, for those that are narrowed.
        operations: Multiply-accumulates, one call of each component.
        share: Of the full network's operations.
        accuracy: Share of exactly right answers of the reference graphs on requests of the family's test set, if it
            has one.
        test_requests: Requests it was measured on.
    """

    name: str
    components: dict[str, str]
    operations: int
    share: float
    accuracy: float | None = None
    test_requests: int = 0
