"""The manifest of an artifact: what it contains, how it was made, what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from exporter.errors import SourceError
from exporter.files.regular_file import read_regular
from npuc.artifact.paths import MANIFEST_NAME
from npuc.artifact.record import Record
from npuc.compare.records import PrecisionRecord, SourceRecord
from npuc.errors import ArtifactError
from npuc.version import SCHEMA_VERSION, npuc_version
from targets.contract.npu_format import Gate

if TYPE_CHECKING:
    from program.program import TensorSpec

_SIZE_LIMIT = 64 << 20


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts or "\\" in path or "\0" in path:
        raise ValueError("path leaves the artifact")
    return path


RelativePath = Annotated[str, AfterValidator(_inside)]


Count = Annotated[int, Field(ge=0, lt=1 << 62)]
"""Of bytes, operations and the like."""


class TensorRecord(Record):
    """Name, element type (ONNX name) and shape of an input or output."""

    name: str
    dtype: Literal[
        "BOOL", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "FLOAT16", "FLOAT", "DOUBLE",
        "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E5M2",
    ]  # fmt: skip
    shape: tuple[Annotated[int, Field(ge=0, lt=1 << 40)], ...]

    @classmethod
    def of(cls, spec: TensorSpec) -> TensorRecord:
        """Makes the record of a spec."""
        return cls(name=spec.name, dtype=spec.dtype.name, shape=spec.shape)

    def spec(self) -> TensorSpec:
        """Returns the spec this record stands for."""
        import onnx_ir as ir  # whoever only shows a manifest needs no graph library

        from program.program import TensorSpec

        return TensorSpec(self.name, ir.DataType[self.dtype], self.shape)


class FileRecord(Record):
    """Size and checksum of one file."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class BoundRecord(Record):
    """The gate that a binary was held to.

    Attributes:
        max_relative_error: Upper limit; None where there is none.
        min_sqnr: Lower limit, dB; None where there is none.
        exact: Whether the binary also had to equal its processor's integer reference bit by bit.
        own: Whether the ratio is what the reference itself keeps when its values move in the last place.
    """

    max_relative_error: float | None = None
    min_sqnr: float | None = None
    exact: bool = False
    own: bool = False

    def __str__(self) -> str:
        limit = "reported"
        if self.min_sqnr is not None:
            limit = f"SQNR >= {self.min_sqnr:g} dB"
        elif self.max_relative_error:
            limit = f"relative error <= {self.max_relative_error:g}"
        exact = "equal to its integer reference, " if self.exact else ""
        return f"{exact}{limit}{', as its reference by itself' if self.own else ''}"


class Agreement(Record):
    """How far a binary is from the reference, over all samples and outputs.

    Attributes:
        executed: False where nothing on a desk can run the binary.
        samples: Inputs compared.
        max_relative_error: max |binary - reference| / max |reference|.
        sqnr: 10 log10(sum reference² / sum (binary - reference)²), dB; None where the difference is zero.
        bound: The gate applied.
        passed: Whether it held.
    """

    executed: bool
    samples: Count
    max_relative_error: float
    sqnr: float | None
    bound: BoundRecord
    passed: bool


class SegmentRecord(Record):
    """The part of a component that one processor runs.

    Attributes:
        name: The component's, or `<component>_<number>` where it has several parts.
        processor: `cpu`, or the name of an NPU's processor.
        reference: Graph of this part: what the binary is compared with.
        weights: Weights file the binary reads at run time; None where it holds its weights itself.
        nodes: Number of nodes of the graph.
        binding: What has to match before the files are loaded: versions of the vendor's runtime, chip, checksum.
        agreement: Of the binary with the reference; the worst where it is for several chips.
        chips: The same for each chip, where they are several.
    """

    name: str
    processor: str
    reference: RelativePath
    weights: RelativePath | None
    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    nodes: Count
    triple: str
    features: tuple[str, ...]
    files: tuple[RelativePath, ...]
    executable: RelativePath | None
    emulator: tuple[str, ...]
    arena_bytes: Count
    weight_bytes: Count
    code_bytes: Count
    kernels: Count
    policy: dict[str, str] = Field(description="Per format: native, storage, requantised.")
    note: str
    remarks: tuple[str, ...]
    binding: dict[str, str]
    agreement: Agreement
    chips: dict[str, Agreement] = Field(default_factory=dict)


class LayerRecord(Record):
    """Precision decision for one layer with weights."""

    node: str
    weight: str
    modality: str
    format: str
    reason: str


class NpuRecord(Record):
    """How a component was changed for the NPU, and what that changed.

    Attributes:
        processor: Which NPU; the names of all that run a part of it, the preferred one first.
        scheme: Its number format: `float16`, bits of activations and weights such as `a16w8`, or a vendor's own.
        gate: Which of the recipe's gates its binaries are held to, by the type of activations.
        source_gate: Which one this graph is held to, against the user's model.
        reason: Why this scheme.
        sqnr: The changed graph against the reference graph, over all samples and outputs, dB; None where equal.
        max_relative_error: The same as the largest difference.
        precision: The changed graph against the user's model.
        weight_bytes: Large tensors of the changed graph.
        weight_bytes_before: Large tensors of the reference graph.
    """

    processor: str
    scheme: str
    gate: Gate
    source_gate: Gate
    reason: str
    sqnr: float | None
    max_relative_error: float
    precision: PrecisionRecord | None
    weight_bytes: Count
    weight_bytes_before: Count


class ComponentRecord(Record):
    """One component: its reference graph, how far that is from the user's model, and what runs it."""

    name: str
    role: str
    modality: str
    reference: RelativePath
    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    layers: tuple[LayerRecord, ...]
    source: SourceRecord
    npu: NpuRecord | None = None
    segments: tuple[SegmentRecord, ...] = Field(min_length=1)


class DeviceRecord(Record):
    """Which device the artifact is for.

    Attributes:
        also: Ids of further devices it is for.
    """

    id: str
    name: str
    soc: str
    tier: str
    target: str
    also: tuple[str, ...] = ()


class FormatError(Record):
    """Output error of one modality's layers if they all used one FP8 format."""

    modality: str
    format: str
    layers: Count
    mean_sqnr: float
    worst_sqnr: float
    worst_layer: str


class Budget(Record):
    """One budget of the device beside what the artifact takes or reaches.

    Attributes:
        name: What is limited.
        unit: Of both figures.
        value: What the artifact takes or reaches.
        limit: The device's budget.
        relation: `at most` or `at least`.
        met: Whether the value keeps to the limit.
        basis: How the value was found: measured, or an estimate and of what.
        estimated: Whether the value is the best that the device could reach, not what it does reach.
    """

    name: str
    unit: str
    value: float
    limit: float
    relation: Literal["at most", "at least"]
    met: bool
    basis: str
    estimated: bool = False

    @property
    def verdict(self) -> Literal["met", "possible", "not met"]:
        """What the value says of the limit; an estimate of the best case can only rule it out."""
        if not self.met:
            return "not met"
        return "possible" if self.estimated else "met"


class SubnetworkRecord(Record):
    """One sub-network of the program, switched at run time.

    Attributes:
        name: For `npuc run --power`.
        components: Component of the full program → component that stands for it, for those that are narrowed.
        operations: Multiply-accumulates, one call of each component.
        operations_share: Of the full network's.
        bytes_touched: Weights that its binaries read, one call of each component.
        accuracy: Share of exactly right answers of the reference graphs on the model's test set; None without one.
        test_requests: Requests of that test set.
        cache: Whether the KV cache is valid across a switch to or from the full network.
    """

    name: str
    components: dict[str, str]
    operations: Count
    operations_share: float
    bytes_touched: Count
    accuracy: float | None
    test_requests: Count
    cache: str


def _with(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def check(values: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(values.get(key), str):
            raise ValueError(f"there is no {key!r}")
        return values

    return check


class Manifest(Record):
    """Everything known about an artifact."""

    schema_version: int
    npuc_version: str
    tool_versions: dict[str, str]
    source: Annotated[dict[str, Any], AfterValidator(_with("source"))]
    family: str
    settings: dict[str, Any]
    assets: tuple[RelativePath, ...]
    device: DeviceRecord
    recipe: Annotated[dict[str, Any], AfterValidator(_with("name"))]
    components: tuple[ComponentRecord, ...] = Field(min_length=1)
    subnetworks: tuple[SubnetworkRecord, ...]
    notes: tuple[str, ...] = Field((), description="What to know about the choice of processors.")
    format_errors: tuple[FormatError, ...]
    budgets: tuple[Budget, ...]
    files: dict[RelativePath, FileRecord]

    def write(self, folder: Path) -> None:
        """Writes `manifest.json` with sorted keys."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
        (folder / MANIFEST_NAME).write_text(text + "\n", "utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Reads and validates an artifact's manifest.

    Raises:
        ArtifactError: There is none, it is damaged, or another version of npuc wrote it.
    """
    path = folder / MANIFEST_NAME
    remedy = "name a folder written by `npuc compile -o`"
    try:
        values = json.loads(read_regular(path, _SIZE_LIMIT), parse_constant=_refuse_constant)
    except SourceError as error:
        raise ArtifactError(
            f"not an artifact: no readable manifest: {error.what}",
            where=str(path),
            received=error.received,
            remedy=remedy,
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            "the manifest is damaged", where=str(path), received=str(error), remedy="compile again"
        ) from error
    _check_version(values, path)
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ArtifactError(
            f"the manifest is damaged: {first['msg']}",
            where=f"{path}: {'.'.join(str(part) for part in first['loc'])}",
            received=repr(first.get("input"))[:200],
            remedy="compile again",
        ) from error


def _refuse_constant(name: str) -> float:
    """What is not finite has a number of its own, such as `npuc.compare.records.NOT_FINITE`."""
    raise ValueError(f"{name} is no figure")


def _check_version(values: object, path: Path) -> None:
    found = values.get("schema_version") if isinstance(values, dict) else None
    if found != SCHEMA_VERSION:
        maker = values.get("npuc_version", "unknown") if isinstance(values, dict) else "unknown"
        raise ArtifactError(
            f"the artifact was made by another version of npuc ({str(maker)[:80]})",
            where=str(path),
            received=f"manifest schema {str(found)[:80]}; npuc {npuc_version()} reads schema {SCHEMA_VERSION}",
            remedy=f"compile the model again, or install npuc {str(maker)[:80]}",
        )
