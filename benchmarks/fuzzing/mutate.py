"""Damages files: bytes, JSON, TOML and protocol buffers, the same for the same seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

Mutate = Callable[[bytes, random.Random], bytes]
"""(valid content, randomness) → other content."""

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 1 << 15, 1 << 20, (1 << 31) - 1, 1 << 31, -(1 << 31), (1 << 53) + 1,
    (1 << 63) - 1, -(1 << 63), 1 << 63, 1 << 64, 10**40, 10**400, 0.5, -0.0, 1e-320, 1e308, 1e309, -1e309, float("nan"),
)  # fmt: skip
STRINGS: tuple[str, ...] = (
    "", " ", "a", "x" * 300, "../../etc/passwd", "/etc/passwd", "/dev/zero", "a/b\\c", "\x00", "*/ int x; /*", "`id`",
    "$(id)", "<script>", "\u202e\ud7ff\U0001f600", "\udc80", "{{ 7 * 7 }}", "(a+)+$", "%n%s", "\x1b[2J", "nan", "1e999",
    "F8_E4M3", "float16", "null",
)  # fmt: skip
_DEPTHS = (10, 100)
_LONGEST = 1 << 22
_FEW = 100


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips bits, overwrites, cuts, doubles and moves pieces, a few times."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not changed:
            return rng.randbytes(rng.randrange(1, 64))
        start = rng.randrange(len(changed))
        piece = slice(start, start + rng.choice((1, 1, 2, 4, 8, 64, 1024)))
        match rng.randrange(7):
            case 0:
                changed[start] ^= 1 << rng.randrange(8)
            case 1:
                changed[start] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
            case 2:
                changed[piece] = rng.randbytes(len(changed[piece]))
            case 3:
                del changed[piece]
            case 4:
                changed[start:start] = changed[piece] * rng.choice((1, 2, 100))
            case 5:
                target = rng.randrange(len(changed))
                changed[target:target] = changed[piece]
            case _:
                del changed[start:]
    return bytes(changed)


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """Changes values, keys and nesting of a JSON text, or its bytes."""
    if rng.random() < 0.15:
        return mutate_bytes(data, rng)
    value = mutate_value(json.loads(data), rng)
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.02:
        depth = rng.choice((1000, 100_000))
        text = "[" * depth + text + "]" * depth
    if len(text) > _LONGEST:
        return mutate_bytes(data, rng)  # large files are slow to read for an honest reason
    return text.encode("utf-8", "surrogatepass")


def mutate_value(value: Any, rng: random.Random) -> Any:
    """Returns a copy of a tree of objects and lists with a few places changed."""
    tree = [copy.deepcopy(value)]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        holders = [item for item in _containers(tree) if item]
        _change(rng.choice(holders), rng)
    return tree[0]


def _containers(root: Any) -> list[Any]:
    found, waiting = [], [root]
    while waiting:
        item = waiting.pop()
        if isinstance(item, (dict, list)):
            found.append(item)
            waiting += item.values() if isinstance(item, dict) else item
    return found


def _change(holder: Any, rng: random.Random) -> None:
    key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    match rng.randrange(9):
        case 0 | 1 | 2:
            holder[key] = _hostile(rng)
        case 3 if not _is_root(holder):
            del holder[key]
        case 4 if isinstance(holder, dict):
            holder[rng.choice(STRINGS)] = holder.pop(key)
        case 5 if isinstance(holder, list):
            many = rng.choice((1, 10, 5000))
            small = len(holder) < _FEW and len(_containers(holder[key])) < _FEW
            holder.extend([copy.deepcopy(holder[key]) for _ in range(many if small else 1)])
        case 6:
            nested: Any = holder[key]
            for _ in range(rng.choice(_DEPTHS)):
                nested = [nested] if rng.random() < 0.5 else {"a": nested}
            holder[key] = nested
        case 7 if isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
            holder[key] = rng.choice((holder[key] + 1, -holder[key], holder[key] * 2, holder[key] * 1000, 0))
        case _:
            holder[key] = rng.choice((*NUMBERS, *STRINGS))


def _is_root(holder: Any) -> bool:
    return isinstance(holder, list) and len(holder) == 1


def _hostile(rng: random.Random) -> Any:
    return copy.deepcopy(
        rng.choice((*NUMBERS, *STRINGS, None, True, False, [], {}, [[]], [None] * 1000, {"a": {}}, [1, 2, 3]))
    )


def mutate_text(data: bytes, rng: random.Random) -> bytes:
    """Changes lines and values of a text such as TOML or a template, or its bytes."""
    if rng.random() < 0.4:
        return mutate_bytes(data, rng)
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        index = rng.randrange(len(lines))
        head, separator, _ = lines[index].partition(" = ")
        match rng.randrange(6):
            case 0 if separator:
                lines[index] = f"{head} = {_toml(rng)}"
            case 1 if separator:
                lines[index] = f"{rng.choice(STRINGS)!r}{separator}{_toml(rng)}"
            case 2:
                lines.insert(rng.randrange(len(lines)), lines[index])
            case 3 if len(lines) > 1:
                del lines[index]
            case 4:
                lines[index] = lines[index] * rng.choice((2, 1000))
            case _:
                lines[index] += rng.choice(STRINGS)
    return "\n".join(lines).encode("utf-8", "replace")


def _toml(rng: random.Random) -> str:
    return rng.choice(
        (*(str(number) for number in NUMBERS), *(json.dumps(text) for text in STRINGS), "[]", "{}", "true", "inf",
         "[[1], [2]]", "1979-05-27", "[" * 2000 + "]" * 2000)
    )  # fmt: skip


def mutate_message(message: Message, rng: random.Random) -> None:
    """Changes a few fields of a protocol buffer, anywhere in it, in place."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        chosen = rng.choice(_messages(message))
        fields: list[FieldDescriptor] = list(chosen.DESCRIPTOR.fields)
        _change_field(chosen, rng.choice(fields), rng)


def _messages(root: Message) -> list[Message]:
    found, waiting = [], [root]
    while waiting:
        message = waiting.pop()
        found.append(message)
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += value if field.is_repeated else [value]
    return found


def _change_field(message: Message, field: FieldDescriptor, rng: random.Random) -> None:
    if not field.is_repeated:
        if field.message_type is None:
            _set(message, field, rng)
        elif rng.random() < 0.5:
            message.ClearField(field.name)
        return
    entries = getattr(message, field.name)
    match rng.randrange(4):
        case 0 if len(entries):
            del entries[rng.randrange(len(entries))]
        case 1 if len(entries):
            entries.append(copy.deepcopy(rng.choice(entries)))
        case 2 if field.message_type is not None:
            entries.add()
        case _ if field.message_type is None:
            value = _scalar(field, rng)
            if len(entries) and rng.random() < 0.7:
                entries[rng.randrange(len(entries))] = value
            else:
                entries.append(value)
        case _:
            message.ClearField(field.name)


def _set(message: Message, field: FieldDescriptor, rng: random.Random) -> None:
    if rng.random() < 0.2:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _scalar(field, rng))


def _scalar(field: FieldDescriptor, rng: random.Random) -> Any:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return rng.choice([value.number for value in field.enum_type.values] if field.enum_type else [0])
    if kind == FieldDescriptor.CPPTYPE_STRING:
        text = rng.choice(STRINGS).encode("utf-8", "replace")
        return text if field.type == FieldDescriptor.TYPE_BYTES else text.decode()
    if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return rng.choice((0.0, 1.0, -1.0, 1e30, float("nan"), float("inf")))
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return rng.random() < 0.5
    bits, signed = (32, True) if kind == FieldDescriptor.CPPTYPE_INT32 else (64, True)
    if kind in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64):
        bits, signed = (32 if kind == FieldDescriptor.CPPTYPE_UINT32 else 64), False
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    fitting = [number for number in NUMBERS if isinstance(number, int) and low <= number <= high]
    return rng.choice(fitting)
