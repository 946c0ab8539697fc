"""Protocol buffers as they lie in a file: numbered fields, without the schema that names them.

As https://protobuf.dev/programming-guides/encoding has it.
"""

from collections.abc import Iterator

Value = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field of a message. Raises ValueError where it is none."""
    at = 0
    try:
        while at < len(message):
            key, at = _varint(message, at)
            number, kind = key >> 3, key & 7
            if kind == 0:
                value, at = _varint(message, at)
                yield number, value
                continue
            if kind == 2:
                size, at = _varint(message, at)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
            else:
                raise ValueError(f"no field has the wire type {kind}")
            if at + size > len(message):
                raise ValueError("a field is longer than its message")
            yield number, message[at : at + size]
            at += size
    except IndexError:
        raise ValueError("a message is cut short") from None


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """Its fields of this number that are messages, or text."""
    return (value for found, value in fields(message) if found == number and isinstance(value, memoryview))


def text(message: memoryview, number: int) -> str:
    """The first such field as text; "" where there is none."""
    return next((bytes(value).decode(errors="replace") for value in messages(message, number)), "")


def numbers(message: memoryview, number: int) -> list[int]:
    """Its whole numbers of this number, packed or one by one."""
    found: list[int] = []
    for which, value in fields(message):
        if which == number and isinstance(value, int):
            found.append(value)
        elif which == number and isinstance(value, memoryview):
            at = 0
            while at < len(value):
                one, at = _varint(value, at)
                found.append(one)
    return found


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
