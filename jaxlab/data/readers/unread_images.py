"""What a file is that is read as no image: of what kind, by its first bytes, and what would mend it."""

import contextlib
import re
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from PIL import TiffImagePlugin

TIFF_HEADS = (
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"II\0*",
    b"MM*\0",
)  # all that Pillow takes; + is of 64 bits
WIDTH, BITS, COMPRESSION, PHOTOMETRIC, SAMPLE_FORMAT = 256, 258, 259, 262, 339  # tags of a TIFF
WHITE_IS_ZERO, UNSIGNED, SIGNED, FLOATS = 0, 1, 2, 3
_UNREAD = "not an image that is read: {}; save it as PNG or JPEG"
_HEAD = 512  # bytes looked at
_TURNED = "invert them, and save them with BlackIsZero"
_KINDS: tuple[tuple[str, str], ...] = (  # pattern of the first bytes, as Latin-1: words
    (r"$", "an empty file"),
    (r"version https://git-lfs", "a pointer of Git LFS; `git lfs pull` fetches the image"),
    (r"\s*<(!doctype )?html", "a web page; was a download refused?"),
    (r"\s*(<\?xml.*)?<svg", _UNREAD.format("SVG")),
    (r"....ftyp(avif|avis)", _UNREAD.format("AVIF")),
    (r"....ftyp(hei|hev|mif1)", _UNREAD.format("HEIC")),
    (r"(....jP  |\xff\x4f\xff\x51)", _UNREAD.format("JPEG 2000")),
    (r"(\xff\x0a|....JXL )", _UNREAD.format("JPEG XL")),
    (r"8BPS", _UNREAD.format("a Photoshop file")),
    (r"v/1\x01", _UNREAD.format("OpenEXR")),
    (r".{128}DICM", _UNREAD.format("DICOM")),
    (r"\x93NUMPY", "an array of numpy, expected an image; the source Arrays reads such"),
    (r"PK\x03\x04", "a zip; unpack it"),
    (r"\x1f\x8b", "a gzip; unpack it"),
    (r"\0+$", "zeros; was a copy or a download cut short?"),
)


def kind_of(file: Path | BinaryIO) -> str:
    """In a few words, for a message; "not an image" of anything else. Raises OSError where it cannot be read."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return kind_of(stream)
    file.seek(0)
    head = file.read(_HEAD)
    if head.startswith(TIFF_HEADS):
        return _tiff(file)
    text = head.decode("latin1")
    return next((words for start, words in _KINDS if re.match(start, text, re.I | re.S)), "not an image")


def odd_levels(image: Any) -> str | None:
    """Of an opened TIFF whose levels would come out as others than it means: how to mend them; None of any other."""
    tags = getattr(image, "tag_v2", {})
    kind = _first(tags, SAMPLE_FORMAT, UNSIGNED)
    if kind == FLOATS and _first(tags, PHOTOMETRIC, 1) == WHITE_IS_ZERO:
        return f"a TIFF of floats in which 0 is white (WhiteIsZero); {_TURNED}"
    if kind == SIGNED and _first(tags, BITS, 1) == 8:
        return "a TIFF of 8-bit levels with a sign; save them as 8 bits without one"
    return None


def is_inverted(image: Any) -> bool:
    """Whether 0 is white in an opened TIFF of 16-bit levels, which Pillow turns round only in those of 8."""
    return _first(getattr(image, "tag_v2", {}), PHOTOMETRIC, 1) == WHITE_IS_ZERO


def _tiff(file: BinaryIO) -> str:
    with contextlib.suppress(Exception):  # of Pillow's reader of tags, by what is damaged
        file.seek(0)
        head = file.read(8)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head + file.read(8) if head[2:3] == b"+" else head)
        file.seek(tags.next)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags.load(file)
        if WIDTH not in tags:
            return "a damaged TIFF"
        kinds = {SIGNED: "whole numbers with a sign", FLOATS: "floats"}
        what = kinds.get(_first(tags, SAMPLE_FORMAT, UNSIGNED), "whole numbers")
        packed = _first(tags, COMPRESSION, 1)
        packed_as = "" if packed == 1 else f", of compression {packed}"
        white = _first(tags, PHOTOMETRIC, 1) == WHITE_IS_ZERO
        return (
            f"a TIFF with {what} of {_first(tags, BITS, 1)} bits{packed_as}{', in which 0 is white' if white else ''}, "
            "which is not read; save it as whole numbers of 8 or 16 bits, or as floats of 32"
            f"{', with 0 for black' if white else ''}"
        )
    return "a damaged TIFF"


def _first(tags: Any, number: int, default: int) -> int:
    value = tags.get(number, default)
    return int(value[0] if isinstance(value, tuple) else value)
