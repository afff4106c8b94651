"""The same codes under another shape or another channel axis: Reshape, Flatten, Transpose of the channel axis."""

from __future__ import annotations

import dataclasses

from program.program import Array
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


@dataclasses.dataclass(frozen=True, eq=False)
class Regrouping:
    """The output has the source's codes in the graph's row-major order.

    Attributes:
        name: Of the node.
        source: Input.
        output: Result, with the same number of elements, scale and zero point.
        permutation: Of the axes, before the change of shape; none if empty.
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor
    permutation: tuple[int, ...] = ()

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

    @property
    def keeps_planes(self) -> bool:
        """Whether input and output are the same as [channels, height, width], so that nothing has to move."""
        if self.source.extents != self.output.extents:
            return False
        axes = [axis for axis in range(len(self.source.shape)) if axis != self.source.channel_axis]
        if not self.permutation:
            pairs = zip(self.source.extents, self.source.strides, self.output.strides, strict=True)
            return all(extent == 1 or before == after for extent, before, after in pairs)
        moved = [axis for axis in self.permutation if axis != self.source.channel_axis]
        return moved == axes and self.permutation[self.output.channel_axis] == self.source.channel_axis

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        array = self.source.graph_array(planes[0])
        if self.permutation:
            array = array.transpose(self.permutation)
        return self.output.planes(array.reshape(self.output.shape))
