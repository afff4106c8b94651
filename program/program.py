"""Program and Component: what the exporter hands to the passes and the passes to the targets."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

if TYPE_CHECKING:
    from PIL import Image

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]
Executor = Callable[[Feeds], dict[str, Array]]
"""Runs one component: input name → array, to output name → array."""

OPSET = 23
"""Version of the ONNX operators that every graph of a program uses."""

MODALITY_KEY = "npuc.modality"
"""`metadata_props` key that carries a node's modality."""


class Modality(enum.StrEnum):
    """Which kind of signal a node works on; precision is chosen by it."""

    VISION = "vision"
    TEXT = "text"
    AUDIO = "audio"
    FUSION = "fusion"


CACHE_PREFIX = "past_"
"""Inputs of a decoder that hold keys and values of earlier tokens: `past_key_<l>`, `past_value_<l>`."""

NEW_PREFIX = "new_"
"""Outputs of a decoder that go there: `new_key_<l>`, `new_value_<l>`."""


class Role(enum.StrEnum):
    """What a component does in the program."""

    VISION_ENCODER = "vision_encoder"
    AUDIO_ENCODER = "audio_encoder"
    TEXT_ENCODER = "text_encoder"
    EMBEDDING = "embedding"
    FUSION = "fusion"
    PREFILL = "prefill"
    DECODE = "decode"
    MODEL = "model"


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Name, element type and static shape of a component's input or output."""

    name: str
    dtype: ir.DataType
    shape: tuple[int, ...]

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The numpy (or ml_dtypes) element type."""
        return self.dtype.numpy()

    @property
    def nbytes(self) -> int:
        """Bytes of one tensor of this kind, densely packed."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.numpy_dtype.itemsize


def tensor_spec(value: ir.Value) -> TensorSpec:
    """Reads the spec off a graph input or output.

    Raises:
        ValueError: The value has no type, or a dimension is not a number.
    """
    if value.dtype is None or value.shape is None or not value.shape.is_static():
        raise ValueError(f"{value.name}: dtype {value.dtype}, shape {value.shape} is not static")
    return TensorSpec(value.name or "", value.dtype, tuple(int(d) for d in value.shape.numpy()))


@dataclasses.dataclass
class Component:
    """One static-shape ONNX graph of a program.

    Initializers are shared between components *by name*: two initializers of the same name hold the same bytes.
    Large ones are lazy (`ir.ExternalTensor` into the user's file, or a tensor computed when written).

    Attributes:
        name: Identifier, also the file stem of everything made from it (`[a-z0-9_]+`).
        role: What it does in the program.
        modality: Modality of nodes that carry no tag of their own.
        model: The graph, opset `OPSET`.
    """

    name: str
    role: Role
    modality: Modality
    model: ir.Model

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Specs of the graph inputs, in order."""
        return tuple(tensor_spec(value) for value in self.model.graph.inputs)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Specs of the graph outputs, in order."""
        return tuple(tensor_spec(value) for value in self.model.graph.outputs)


@dataclasses.dataclass(frozen=True)
class Request:
    """One thing a user asks of a model.

    Attributes:
        prompt: Text of the question.
        image: RGB or greyscale picture, if any.
        audio: Mono samples in [-1, 1] as float32, if any.
        sample_rate: Of `audio`, in Hz.
        tensors: Raw inputs by name, for models without preprocessing of their own.
        answer: Expected text, where known (test sets).
    """

    prompt: str = ""
    image: Image.Image | None = None
    audio: npt.NDArray[np.float32] | None = None
    sample_rate: int = 0
    tensors: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    answer: str | None = None


@dataclasses.dataclass(frozen=True)
class Edge:
    """A request at the edge of what a model may be fed: zeros, hidden masks, the last row of a table.

    Attributes:
        name: What is special, in words.
        request: The request.
        usual: Whether its values are of the size that the model is calibrated with.
    """

    name: str
    request: Request
    usual: bool = True


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model replied.

    Attributes:
        text: Decoded text; for models without a tokenizer, empty.
        tokens: Generated token ids.
        tensors: Final outputs by name, for models that return tensors.
    """

    text: str
    tokens: tuple[int, ...] = ()
    tensors: Mapping[str, Array] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Original:
    """The model as the user gave it, run by the framework it comes from: what every comparison starts at.

    Attributes:
        method: What runs it, in words, such as `torch in eager mode`.
        openers: Component name → opens its executor, which takes the inputs and returns the outputs of the component
            as it was captured, by their names. What it holds is freed with it.
        missing: Why a component has no opener, in words that follow "not compared: ".
    """

    method: str = ""
    openers: Mapping[str, Callable[[], Executor]] = dataclasses.field(default_factory=dict)
    missing: str = "the source cannot be run by itself"


class Runner(Protocol):
    """Drives a program's components for one request. Made from settings and assets alone: needs no torch."""

    def stream(
        self, executors: Mapping[str, Executor], request: Request, max_new_tokens: int
    ) -> Iterator[str]:
        """Yields the answer piece by piece."""
        ...

    def generate(self, executors: Mapping[str, Executor], request: Request, max_new_tokens: int) -> Answer:
        """Runs the request to its end (greedy decoding)."""
        ...


@dataclasses.dataclass
class Program:
    """A captured model.

    Attributes:
        family: Name of the family adapter; selects the `Runner` again when an artifact is loaded.
        components: By name, in the order of execution.
        settings: JSON-able numbers the runner needs (token ids, cache length, image grid …).
        assets: Small files the runner needs, by file name (`tokenizer.json`).
        requests: Calibration requests (real where the source has them, else seeded synthetic ones).
        provenance: JSON-able facts on the source: path name, sha256 of each file, versions.
        original: The model as the user gave it, to compare with; only while the source is open.
        edges: Requests beyond the usual, to compare on but not to calibrate with.
        drawn: What the requests are, in words, where they are no real inputs: random numbers, or one number everywhere.
    """

    family: str
    components: dict[str, Component]
    settings: dict[str, Any]
    assets: dict[str, bytes]
    requests: tuple[Request, ...]
    provenance: dict[str, Any]
    original: Original = dataclasses.field(default_factory=Original)
    edges: tuple[Edge, ...] = ()
    drawn: str = ""
