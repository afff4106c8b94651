"""HVX instructions as TIR expressions. A register is an `int32x32` value, whatever its lanes mean.

Names in the docstrings are those of the "Qualcomm Hexagon V66 HVX Programmer's Reference Manual" (80-N2040-44).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm.script.ir_builder import tirx as T

from program.program import Array

LANES = 32
"""32-bit words of a register."""

_REGISTER = "int32x32"
_PAIR = "int32x64"
_TABLE_SEGMENTS = 8
"""A table of 256 bytes has eight segments of 32, which one `vlut32` each looks up."""


def _call(name: str, *arguments: Any, dtype: str = _REGISTER) -> Any:
    number = T.llvm_lookup_intrinsic_id(f"llvm.hexagon.V6.{name}.128B")
    return T.call_llvm_pure_intrin(dtype, number, *arguments)


def load(buffer: Any, word: Any) -> Any:
    """The register at a word index of an int32 buffer."""
    return buffer[T.ramp(word, 1, LANES)]


def store(buffer: Any, word: Any, register: Any) -> None:
    """Writes the register at a word index of an int32 buffer."""
    T.buffer_store(buffer, register, [T.ramp(word, 1, LANES)])


def variable() -> Any:
    """A local variable of one register; larger ones would go to memory."""
    return T.alloc_buffer((LANES,), "int32")


def get(local: Any) -> Any:
    """Value of a local variable."""
    return load(local, 0)


def put(local: Any, register: Any) -> None:
    """Assigns to a local variable."""
    store(local, 0, register)


def splat(word: Any) -> Any:
    """All 32 words equal."""
    return T.Broadcast(word, LANES)


def splat_byte(byte: int) -> Any:
    """All 128 bytes equal."""
    repeated = int.from_bytes(bytes([byte]) * 4, "little", signed=True)
    return T.Broadcast(T.int32(repeated), LANES)


def dot_accumulate(sums: Any, unsigned: Any, signed: Any) -> Any:
    """Adds to each word the dot product of its four unsigned and four signed bytes (`Vx.w += vrmpy(Vu.ub, Vv.b)`)."""
    return _call("vrmpybusv.acc", sums, unsigned, signed)


def dot_unsigned_accumulate(sums: Any, left: Any, right: Any) -> Any:
    """The same of unsigned bytes (`Vx.uw += vrmpy(Vu.ub, Vv.ub)`)."""
    return _call("vrmpyubv.acc", sums, left, right)


def high_multiply(words: Any, multiplier: Any) -> Any:
    """⌊words · multiplier / 2^31⌋, saturating (`vmpye`, then `vmpyo:<<1:sat:shift`)."""
    return _call("vmpyowh.sacc", _call("vmpyewuh", words, multiplier), words, multiplier)


def narrow(words: Sequence[Any]) -> Any:
    """Four registers of words → one of unsigned bytes, in order, saturating (`vpack:sat`)."""
    low = _call("vpackwh.sat", words[1], words[0])
    high = _call("vpackwh.sat", words[3], words[2])
    return _call("vpackhub.sat", high, low)


def widen(register: Any) -> list[Any]:
    """Unsigned bytes → four registers of words, in order (`vunpack`)."""
    halves = _split(_call("vunpackub", register, dtype=_PAIR))
    return [word for half in halves for word in _split(_call("vunpackuh", half, dtype=_PAIR))]


def _split(pair: Any) -> tuple[Any, Any]:
    return _call("lo", pair), _call("hi", pair)


def max_bytes(left: Any, right: Any) -> Any:
    """Larger unsigned byte (`vmax.ub`)."""
    return _call("vmaxub", left, right)


def subtract_bytes(left: Any, right: Any) -> Any:
    """Left − right of unsigned bytes, at least zero (`vsub.ub:sat`)."""
    return _call("vsububsat", left, right)


def exchange(register: Any, distance: int) -> Any:
    """Byte i comes from byte i xor `distance` (`vdelta`)."""
    return _call("vdelta", register, splat_byte(distance))


def word_of(register: Any, index: int) -> Any:
    """One word as a scalar (`vextract`)."""
    return _call("extractw", register, T.int32(4 * index), dtype="int32")


def lookup(register: Any, tables: Sequence[Any]) -> Any:
    """Each byte replaced by its entry in a table of 256 bytes (`vlut32`).

    Args:
        register: Bytes.
        tables: The two registers of `lookup_registers`.
    """
    result = _call("vlutvvb", register, tables[0], T.int32(0))
    for segment in range(1, _TABLE_SEGMENTS):
        table = tables[segment * 2 // _TABLE_SEGMENTS]
        result = _call("vlutvvb.oracc", result, register, table, T.int32(segment))
    return result


def lookup_registers(table: Array) -> Array:
    """A table uint8 [256] as `vlut32` reads it: in each half, bytes i and 64 + i are neighbours."""
    return table.reshape(2, 2, 64).transpose(0, 2, 1).copy()
