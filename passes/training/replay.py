"""Runs recorded requests through torch modules, many at a time, with what one module computes fed to the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from exporter.program import Array
from passes.training.interpreter import TorchComponent
from passes.training.program import TorchProgram
from passes.training.recording import Recording

Place = tuple[int, int]
"""(number of the recording, number of the call in it)."""


@dataclasses.dataclass(frozen=True)
class Replayed:
    """All calls of one component.

    Attributes:
        places: Which call each row is of.
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
    feeds = {
        signature.name: torch.stack([_input(signature.name, place, recordings, done) for place in places]).to(
            device
        )
        for signature in module.inputs
    }
    outputs = run_rows(module, feeds)
    calls = [recordings[number][index] for number, index in places]
    recorded = {
        key: torch.stack([_tensor(call.outputs[key]) for call in calls]).to(device)
        for key in calls[0].outputs
    }
    return Replayed({place: row for row, place in enumerate(places)}, outputs, recorded)


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


def _input(name: str, place: Place, recordings: Sequence[Recording], done: Mapping[str, Replayed]) -> Tensor:
    number, index = place
    call = recordings[number][index]
    if name in call.links:
        source, output = call.links[name]
        earlier = done.get(recordings[number][source].component)
        if earlier is not None:
            return earlier.outputs[output][earlier.places[number, source]]
    return _tensor(call.feeds[name])


def _tensor(array: Array) -> Tensor:
    wide = array.astype(np.float32, copy=False) if np.issubdtype(array.dtype, np.floating) else array
    return torch.from_numpy(np.ascontiguousarray(wide).reshape(array.shape))
