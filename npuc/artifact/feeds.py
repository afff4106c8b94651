"""What components and their segments are fed, as arrays by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from program.program import Array, Feeds, TensorSpec


def segment_feeds(
    feeds: Sequence[Feeds], references: Sequence[Callable[[Feeds], dict[str, Array]]]
) -> list[list[Feeds]]:
    """Returns what each segment of a component is fed, given what the component is fed.

    Args:
        feeds: Samples of the component.
        references: The segments' reference graphs, in order.
    """
    values = [dict(feed) for feed in feeds]
    result: list[list[Feeds]] = []
    for reference in references:
        result.append([dict(feed) for feed in values])
        for feed in values:
            feed |= reference(feed)
    return result


def cast_feeds(feeds: Feeds, inputs: Sequence[TensorSpec]) -> Feeds:
    """Returns the feeds a component reads, in its own element types."""
    return {spec.name: feeds[spec.name].astype(spec.numpy_dtype, copy=False) for spec in inputs}
