"""What training measured on the bundled model's test set."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources

from docs_generator.markdown import page, table

_INTRO = """Measured in float32 on the test set, when the model was trained. An input is left out by making it neutral:
a black picture, silence, a question mark."""


def bundled_model_page() -> str:
    """Returns the share of exactly right answers: with each input left out, and by kind of question."""
    folder = resources.files("npuc.demo").joinpath("assets")
    metrics = json.loads(folder.joinpath("metrics.json").read_text("utf-8"))
    without = metrics["exact_match_without"]
    rows = [("nothing", metrics["exact_match"]), *((f"the {name}", share) for name, share in without.items())]
    kinds = metrics["exact_match_by_kind"].items()
    sections = [
        "## Without one input\n\n" + _shares(("left out", "exactly right"), rows),
        "## By kind of question\n\n" + _shares(("asked for", "exactly right"), kinds),
        f"{metrics['test_examples']} test examples; {metrics['training']['parameters']:,} parameters.",
    ]
    return page("What the bundled model gets right", _INTRO, sections)


def _shares(header: tuple[str, str], rows: Iterable[tuple[str, float]]) -> str:
    return table(header, [(name, f"{share:.1%}") for name, share in rows])
