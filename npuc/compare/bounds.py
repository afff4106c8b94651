"""How closely a lowered component has to agree with the ONNX Runtime reference."""

from __future__ import annotations

AGREEMENT_BOUNDS: dict[str, float] = {"float32": 1e-4, "float16": 2e-2, "e4m3": 5e-2, "e5m2": 1e-1}
"""Largest `program.agreement.relative_error` of a component, by the coarsest format its graph computes in.

* float32: both sides round each product sum at 2⁻²⁴, in another order; over some ten layers this stays below 1e-4.
* float16: a value that lies between two float16 numbers may be rounded to the other neighbour, 2⁻¹¹ relative,
  after each operator; the differences add up over the layers.
* e4m3, e5m2: such a difference may move an activation across a rounding boundary of its FP8 format, which changes it
  by a whole step: 2⁻³ (three mantissa bits) or 2⁻² (two). Few elements flip, so the bound is far below one step for
  a component of one or two layers. Over more layers single elements move further although the tensors agree: judge
  those by `FP8_SIGNAL_TO_NOISE`.
"""

FP8_SIGNAL_TO_NOISE = 25.0
"""Least `program.agreement.signal_to_noise`, in dB, of a component with FP8 activations, however deep: the rounding to
E5M2 itself leaves 20 to 29 dB in each layer, and flips of that rounding must stay below it."""

NPU_SIGNAL_TO_NOISE: dict[str, float] = {"float16": 55.0, "16 bit": 50.0, "8 bit": 30.0}
"""Least `program.agreement.signal_to_noise`, in dB, of what an NPU computes, by the type of its activations. Integer
graphs agree to one or two steps of their last rounding; float16 differs in the order of sums and in the vendor's
approximations of softmax and GELU."""
