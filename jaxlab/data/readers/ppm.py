"""PPM files of more than 8 bits a colour, of which Pillow gives the upper eight alone."""

from pathlib import Path
from typing import BinaryIO

_GREY = {b"P3": b"P2", b"P6": b"P5"}  # the same numbers, one a pixel: of such Pillow gives all 16 bits


def as_grey(file: Path | BinaryIO, start: int, size: tuple[int, int]) -> bytes | None:
    """The file as a grey one, (h, 3 w), of a PPM whose largest level is above 255; None of any other.

    start: where its pixels begin. size: its width and height.
    """
    if isinstance(file, Path):
        content = file.read_bytes()
    else:
        file.seek(0)
        content = file.read()
    kind, white = _GREY.get(content[:2]), _largest(content[:start])
    if kind is None or white < 256:
        return None
    width, height = size
    return b"%b %d %d %d\n" % (kind, 3 * width, height, white) + content[start:]


def _largest(header: bytes) -> int:
    """The last number of a header, which is what white is."""
    words = b" ".join(line.partition(b"#")[0] for line in header.split(b"\n")).split()
    return int(words[-1]) if words and words[-1].isdigit() else 0
