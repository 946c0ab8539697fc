"""Scalars for TensorBoard, in its event file format: records of TFRecord, each an `Event` of tensorflow/core/util.

Written by hand, for what would write it imports PyTorch wherever that is installed, which takes seconds: tensorboardX,
torch.utils.tensorboard. A record is the length of its data (uint64), a checksum of that, the data, and theirs.
"""

import os
import socket
import struct
import time
from pathlib import Path
from typing import BinaryIO

_STARTED = 1  # SessionLog.START


class EventFile:
    """A new event file in `folder`, which is made. Its methods raise OSError where the disk takes no more.

    from_step: what an earlier process wrote past this step is hidden by TensorBoard; 0 says nothing of it.
    """

    def __init__(self, folder: Path, from_step: int = 0):
        folder.mkdir(parents=True, exist_ok=True)
        now = int(time.time())
        self._file: BinaryIO = (
            folder / f"events.out.tfevents.{now:010d}.{socket.gethostname()}.{os.getpid()}"
        ).open("ab")
        self._write(_bytes(3, b"brain.Event:2"))
        if from_step:
            self._write(_whole(2, from_step + 1) + _bytes(7, _whole(1, _STARTED)))

    def scalar(self, name: str, value: float, step: int) -> None:
        """One value of the curve `name`."""
        summary = _bytes(1, _bytes(1, name.encode()) + _number(2, "<f", value))
        self._write(_whole(2, step) + _bytes(5, summary))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _write(self, event: bytes) -> None:
        data = _number(1, "<d", time.time()) + event
        length = struct.pack("<Q", len(data))
        self._file.write(length + _checksum(length) + data + _checksum(data))


# -- protocol buffers: a field is its number and how it is written, then its value -----------------------------------


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def _whole(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, form: str, value: float) -> bytes:
    """form: `<d`, a double, or `<f`, a float, which takes what is too large for it as infinite."""
    wire = 1 if form == "<d" else 5
    try:
        return _varint(field << 3 | wire) + struct.pack(form, value)
    except OverflowError:
        return _varint(field << 3 | wire) + struct.pack(form, float("inf") if value > 0 else float("-inf"))


# -- CRC-32C (RFC 3720, appendix B.4), masked as TFRecord has it -----------------------------------------------------


def _table() -> tuple[int, ...]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _table()


def _checksum(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", (crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8 & 0xFFFFFFFF)


# -- read back: how long it took -------------------------------------------------------------------------------------


def seconds(folder: Path) -> float | None:
    """How long processes wrote to the event files of a folder, together; None where nothing is written."""
    spans = [_span(file) for file in sorted(folder.glob("events.out.tfevents.*"))]
    found = [last - first for first, last in filter(None, spans)]
    return sum(found) if found else None


def _span(path: Path) -> tuple[float, float] | None:
    """The times of the first and the last whole record; None where there is none, or it is another program's."""
    first = last = None
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            place = 0
            while len(head := file.read(21)) == 21:  # length, its checksum, the time's field and value
                (length,) = struct.unpack_from("<Q", head)
                place += 16 + length
                if place > size or head[12] != 1 << 3 | 1:
                    break
                (last,) = struct.unpack_from("<d", head, 13)
                first = last if first is None else first
                file.seek(place)
    except OSError:
        return None
    return None if first is None or last is None or last < first else (first, last)
