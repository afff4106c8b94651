"""Runs recorded requests through torch modules, many at a time, with what one module computes fed to the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from passes.learning.training.recording import Recording
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.torch_graph.program import TorchProgram
from program.program import Array

Place = tuple[int, int]
"""(number of the recording, number of the call in it)."""


@dataclasses.dataclass(frozen=True)
class Replayed:
    """All calls of one component.

    Attributes:
        places: Which row each call is in; calls that compute the same are one row.
        outputs: Output name → [rows, *shape], as the modules computed it.
        recorded: The same, as recorded; floats as float32.
    """

    places: Mapping[Place, int]
    outputs: Mapping[str, Tensor]
    recorded: Mapping[str, Tensor]


def replay(program: TorchProgram, recordings: Sequence[Recording]) -> dict[str, Replayed]:
    """Computes every recorded call with gradients.

    Components run in the program's order, all calls of one together (`torch.vmap`; one after the other where blocks
    are checkpointed). An input that was the output of an earlier component is what that one's module computes now;
    everything else, such as a key-value cache, is as recorded.

    Args:
        program: The modules.
        recordings: From `record`, of components with the same inputs.

    Returns:
        By component name, for the components that were called.
    """
    done: dict[str, Replayed] = {}
    for name in program.components:
        places = [
            (number, index)
            for number, calls in enumerate(recordings)
            for index, call in enumerate(calls)
            if call.component == name
        ]
        if places:
            done[name] = _replay_component(program.component(name), places, recordings, done)
    return done


def _replay_component(
    module: TorchComponent,
    places: Sequence[Place],
    recordings: Sequence[Recording],
    done: Mapping[str, Replayed],
) -> Replayed:
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    rows, chosen = _rows(places, recordings)
    feeds = {
        signature.name: _input(signature.name, chosen, recordings, done).to(device)
        for signature in module.inputs
    }
    outputs = run_rows(module, feeds)
    calls = [recordings[number][index] for number, index in chosen]
    recorded = {key: _stack([call.outputs[key] for call in calls]).to(device) for key in calls[0].outputs}
    return Replayed(rows, outputs, recorded)


def _rows(places: Sequence[Place], recordings: Sequence[Recording]) -> tuple[dict[Place, int], list[Place]]:
    """Returns the row of each call, and of each row its first call."""
    rows: dict[Place, int] = {}
    chosen: list[Place] = []
    by_key: dict[bytes, int] = {}
    for place in places:
        key = recordings[place[0]][place[1]].key
        if not key or key not in by_key:
            by_key[key] = len(chosen)
            chosen.append(place)
        rows[place] = by_key[key]
    return rows, chosen


def run_rows(module: TorchComponent, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Runs a component on several inputs at once.

    Args:
        module: Of static shapes.
        feeds: Input name → [rows, *shape].

    Returns:
        Output name → [rows, *shape].
    """
    rows = len(next(iter(feeds.values())))
    if rows > 1 and not module.checkpointing:
        batched: dict[str, Tensor] = torch.vmap(module)(dict(feeds))
        return batched
    single = [module({name: values[row] for name, values in feeds.items()}) for row in range(rows)]
    return {name: torch.stack([outputs[name] for outputs in single]) for name in single[0]}


def _input(
    name: str, places: Sequence[Place], recordings: Sequence[Recording], done: Mapping[str, Replayed]
) -> Tensor:
    """Returns an input of several calls, [rows, *shape]."""
    sources = [_source(name, place, recordings, done) for place in places]
    first = sources[0]
    if first is not None and all(source is not None and source[:2] == first[:2] for source in sources):
        outputs = done[first[0]].outputs[first[1]]
        picked = torch.tensor([source[2] for source in sources if source is not None], device=outputs.device)
        return outputs.index_select(0, picked)
    rows = [
        _tensor(recordings[place[0]][place[1]].feeds[name])
        if source is None
        else done[source[0]].outputs[source[1]][source[2]]
        for place, source in zip(places, sources, strict=True)
    ]
    return torch.stack(rows)


def _source(
    name: str, place: Place, recordings: Sequence[Recording], done: Mapping[str, Replayed]
) -> tuple[str, str, int] | None:
    """Returns component, output and row that an input was computed in; None for one that is as recorded."""
    number, index = place
    link = recordings[number][index].links.get(name)
    component = "" if link is None else recordings[number][link[0]].component
    if link is None or component not in done:
        return None
    return component, link[1], done[component].places[number, link[0]]


def _stack(arrays: Sequence[Array]) -> Tensor:
    return _tensor(np.stack(arrays))


def _tensor(array: Array) -> Tensor:
    wide = array.astype(np.float32, copy=False) if np.issubdtype(array.dtype, np.floating) else array
    return torch.from_numpy(np.ascontiguousarray(wide).reshape(array.shape))
