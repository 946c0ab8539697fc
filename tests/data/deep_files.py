"""Image files of 16 bits a channel, written byte by byte: Pillow writes grey ones alone."""

import struct
import zlib
from pathlib import Path

import numpy as np

_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's numbers of colour types, by channels


def png(path: Path, values: np.ndarray, clear: tuple[int, ...] = ()) -> Path:
    """values: (h, w, c) of 16 bits: grey, grey and opacity, colours, or these and opacity. clear: the tRNS chunk."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _COLOUR[channels], 0, 0, 0)),
        *([(b"tRNS", struct.pack(f">{len(clear)}H", *clear))] if clear else []),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return _written(path, chunks)


def tiff(path: Path, values: np.ndarray, order: str = "<") -> Path:
    """values: (h, w, 3) of 16 bits, uncompressed. order: of bytes."""
    height, width, channels = values.shape
    after = 8 + 2 + 9 * 12 + 4  # the header and a directory of nine entries
    entries = [  # tag, type (3: short, 4: long), count, value
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, after), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, after + 2 * channels), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, values.size * 2),
    ]  # fmt: skip
    directory = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (
            struct.pack(f"{order}HH", value, 0)
            if kind == 3 and count == 1
            else struct.pack(f"{order}I", value)
        )
        for tag, kind, count, value in entries
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    body = struct.pack(f"{order}H", len(entries)) + directory + struct.pack(f"{order}I", 0)
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    path.write_bytes(head + body + bits + values.astype(f"{order}u2").tobytes())
    return path


def grey_tiff(path: Path, values: np.ndarray, photometric: int = 1, compression: int = 1) -> Path:
    """values: (h, w) of any type of number. photometric: 0 where 0 is white, 1 where it is black."""
    (height, width), kind = values.shape, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    entries = [  # as above; 339 says what the numbers are
        (256, 4, width), (257, 4, height), (258, 3, 8 * values.itemsize), (259, 3, compression), (262, 3, photometric),
        (273, 4, 8 + 2 + 10 * 12 + 4), (277, 3, 1), (278, 4, height), (279, 4, values.nbytes), (339, 3, kind),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, size, 1, value) for tag, size, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    path.write_bytes(head + directory + bytes(4) + values.astype(values.dtype.newbyteorder("<")).tobytes())
    return path


def few_bits(path: Path, bits: int, clear: int) -> Path:
    """A grey PNG of one row with each level of `bits` bits once. clear: the transparent one."""
    width = 2**bits
    packed = sum(level << (bits * (width - 1 - level)) for level in range(width)).to_bytes(
        width * bits // 8, "big"
    )
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", clear)),
        (b"IDAT", zlib.compress(b"\0" + packed)),
        (b"IEND", b""),
    ]
    return _written(path, chunks)


def _written(path: Path, chunks: list[tuple[bytes, bytes]]) -> Path:
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path
