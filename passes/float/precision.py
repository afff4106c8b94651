"""Which number format each layer computes in, and why."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.rewrite import is_op, modality_of
from program.number_format import Format
from program.program import Modality

DEFAULT_FORMATS: Mapping[Modality, Format] = {
    Modality.VISION: Format.E4M3,
    Modality.AUDIO: Format.E4M3,
    Modality.TEXT: Format.E5M2,
    Modality.FUSION: Format.FLOAT16,
}

DEFAULT_KEEP = ("*lm_head*", "*embed_tokens*", "*embed_positions*", "*pos_embed*", "*word_embeddings*")
"""Names (node or weight) that stay in the base format: the first and last layer of a language model lose most."""


@dataclasses.dataclass(frozen=True)
class Override:
    """An exception from a modality's format.

    Attributes:
        pattern: Shell-style pattern, matched against the node name and the weight name.
        format: The format.
    """

    pattern: str
    format: Format


@dataclasses.dataclass(frozen=True)
class LayerFormat:
    """A layer's format and the reason for it."""

    format: Format
    reason: str


@dataclasses.dataclass(frozen=True)
class PrecisionPolicy:
    """Chooses a format for each layer: overrides first, then kept layers, measurements, and the modality.

    Attributes:
        base: Format of everything that is not FP8.
        by_modality: Format of each modality's layers.
        overrides: Exceptions; the first match wins.
        keep: Patterns of layers that stay in the base format.
        measured: Format by weight name, chosen by measurement (`auto`); shared by components that share a weight.
    """

    base: Format = Format.FLOAT16
    by_modality: Mapping[Modality, Format] = dataclasses.field(default_factory=lambda: dict(DEFAULT_FORMATS))
    overrides: tuple[Override, ...] = ()
    keep: tuple[str, ...] = DEFAULT_KEEP
    measured: Mapping[str, LayerFormat] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.base.is_fp8:
            raise PassError(
                "the base format cannot be FP8: norms, softmax and accumulators have none",
                received=self.base.value,
                remedy="use float16 or float32",
            )

    def format_of(self, node: ir.Node) -> LayerFormat:
        """Chooses the format of one node.

        Nodes other than MatMul, Gemm and Conv with a constant weight always compute in the base format.
        """
        weight = weight_of(node)
        if weight is None:
            return LayerFormat(
                self.base, f"{node.op_type} without a constant weight computes in the base format"
            )
        names = (node.name or "", weight.name or "")
        for override in self.overrides:
            if _matches(override.pattern, names):
                return self._not_below_base(override.format, f"override {override.pattern}")
        for pattern in self.keep:
            if _matches(pattern, names):
                return LayerFormat(self.base, f"kept in the base format: {pattern}")
        if names[1] in self.measured:
            return self.measured[names[1]]
        return self._of_modality(modality_of(node))

    def _of_modality(self, modality: str) -> LayerFormat:
        if modality not in Modality.__members__.values():
            return LayerFormat(self.base, "no modality")
        chosen = self.by_modality.get(Modality(modality), self.base)
        return self._not_below_base(chosen, f"modality {modality}")

    def _not_below_base(self, chosen: Format, reason: str) -> LayerFormat:
        """In a float32 graph a float16 layer stays in float32; the reason says so."""
        if chosen is Format.FLOAT16 and self.base is Format.FLOAT32:
            return LayerFormat(self.base, f"{reason}: float16, computed in the base format")
        return LayerFormat(chosen, reason)


def weight_of(node: ir.Node) -> ir.Value | None:
    """Returns the constant float weight of a MatMul, Gemm or Conv (rank 2 at least), else None."""
    if not is_op(node, "MatMul", "Gemm", "Conv") or len(node.inputs) < 2:
        return None
    weight = node.inputs[1]
    if weight is None or weight.const_value is None or not weight.is_initializer():
        return None
    floating = weight.const_value.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
    return weight if floating and len(weight.const_value.shape) >= 2 else None


def _matches(pattern: str, names: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)
