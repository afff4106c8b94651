"""Fixtures that the tests of passes share."""

from tests.graphs import (  # noqa: F401
    component_of,
    feeds_for,
    model_from,
    parity,
    same_graph,
)
from tests.pruning_programs import (  # noqa: F401 - made once a session
    bert,
    demo,
    equals_masked,
    feeds_of,
    fresh,
    qwen,
    residual_net,
)
