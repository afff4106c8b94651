"""A decision of a pass that a user could question, as in LLVM's optimisation remarks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Remark:
    """One decision.

    Attributes:
        pass_name: Class name of the pass.
        node: Name of the node (or initializer) the decision is about.
        modality: Modality of the node, empty where it has none.
        what: What was done, or was refused.
        why: The reason.
        numbers: Figures that support the reason (`{"sqnr_db": 31.2}`).
    """

    pass_name: str
    node: str
    modality: str
    what: str
    why: str
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)
