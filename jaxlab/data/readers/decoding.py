"""One image file decoded: as 8 bits, or with the grey levels that it stores where these have more."""

import contextlib
import io
import struct
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps

from jaxlab.core.types import StoredLevels, UserError
from jaxlab.data.readers.ppm import as_grey
from jaxlab.data.readers.room import ROOM
from jaxlab.data.readers.unread_images import TIFF_HEADS, is_inverted, kind_of, odd_levels

FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "BMP",
    "TIFF",
    "GIF",
    "PPM",
)  # all that is opened, whatever a file is called
_ORIENTATION = 0x0112  # the EXIF tag
BACKGROUND = 128  # shows through transparent pixels and fills padding: mid-grey, as in vision experiments
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    MemoryError,
    Image.DecompressionBombError,
)
FULL = 65535  # white of 16 bits
_PNG, _PNM = b"\x89PNG\r\n\x1a\n", (b"P2", b"P3", b"P5", b"P6")
_OTHER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # order of bytes
_PLAIN = "RGBA"  # four bytes as they stand
_STEP = {"L;2": 85, "L;4": 17}  # by which Pillow spreads the levels of few bits, but not the transparent one


def decode_image(file: Path | BinaryIO, name: str) -> np.ndarray:
    """(h, w, 1) or (h, w, 3) uint8, upright as its EXIF orientation says; (h, w, 1) float32 for a float TIFF.

    Transparent pixels show mid-grey, 16-bit grey levels are divided by 257, of frames the first counts.
    Raises UserError that says `name` when the file is missing, truncated or not an image.
    """
    with opened_image(file, name) as image:
        if image.mode.startswith("I"):
            return eight_bits(_grey(image), FULL)
        if not ("transparency" in image.info and _lower_bytes(image)):
            return _array(image)
    return eight_bits(_coloured(file, name), FULL)


def pixels_of(content: bytes, name: str) -> int:
    """Height times width of an encoded image, of which the header alone is read. Raises UserError as `decode_image`."""
    file = io.BytesIO(content)
    try:
        with warnings.catch_warnings(), Image.open(file, formats=FORMATS) as image:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return image.width * image.height
    except UNREADABLE as error:
        raise UserError(f"{name}: cannot be decoded ({_reason(error, file)})") from error


def stored_levels(file: Path | BinaryIO, name: str) -> StoredLevels | None:
    """Levels as the file has them where it stores more than 8 bits as whole numbers; None of any other image.

    Of most others a few bytes are read. Raises UserError as `decode_image`.
    """
    try:
        if not _may_be_deep(file):
            return None
    except OSError as error:
        raise UserError(f"{name}: cannot be decoded ({reason_of(error)})") from error
    with opened_image(file, name) as image:
        if image.mode.startswith("I"):
            return _grey(image)
        if image.format == "PPM":
            return _of_ppm(file, image)
        if _lower_bytes(image) is None:
            return None
    return _coloured(file, name)


def eight_bits(stored: StoredLevels, shown: int | tuple[int, int]) -> np.ndarray:
    """(h, w, c) uint8. shown: the level that is white, or those that are black and white; transparent is mid-grey.

    Levels outside of a pair are black or white. Raises ValueError for such outside of 0 to one that is white.
    """
    low, high = (0, shown) if isinstance(shown, int) else shown
    lowest, highest = stored.extremes
    if isinstance(shown, int) and (lowest < 0 or highest > shown):
        beside = "; expected 8 or 16 bits" if shown == FULL else ""
        raise ValueError(f"integer pixels from {lowest} to {highest}, where {shown} is white{beside}")
    levels = (np.clip(stored.levels, low, high).astype(np.float64) - low) * 255 / (high - low)
    if stored.opacity is not None:
        levels = levels * stored.opacity + BACKGROUND * (1 - stored.opacity)
    return np.round(levels).astype(np.uint8)


@contextlib.contextmanager
def opened_image(file: Path | BinaryIO, name: str) -> Iterator[ImageFile.ImageFile]:
    """An image of one of FORMATS, not decoded yet; other threads leave room for its pixels meanwhile.

    Raises UserError that says `name` where it is none, or where what is done with it fails.
    """
    try:
        with Image.open(file, formats=FORMATS) as image, ROOM.taken(image.width * image.height):
            if odd := odd_levels(image):
                raise ValueError(odd)
            yield image
    except UNREADABLE as error:
        raise UserError(f"{name}: cannot be decoded ({_reason(error, file)})") from error


def reason_of(error: Exception) -> str:
    """Why Pillow could not decode a file, in a few words."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image"
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    return str(error) or repr(error)


def _reason(error: Exception, file: Path | BinaryIO) -> str:
    """As `reason_of`, with what the file is where it is no image."""
    with contextlib.suppress(OSError):
        if isinstance(error, Image.UnidentifiedImageError):
            return kind_of(file)
    return reason_of(error)


def _upright(image: Image.Image) -> Image.Image:
    """A copy each, even of images that are upright or RGB already, is what Pillow makes if asked."""
    return image if image.getexif().get(_ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)


def _array(image: Image.Image) -> np.ndarray:
    clear = _clear_level(image)
    image = _upright(image)
    if image.mode == "F":
        return np.asarray(image)[..., None]
    if image.mode in ("1", "L"):
        levels = np.asarray(image if image.mode == "L" else image.convert("L"))[..., None]
        return levels if clear is None else np.where(levels == clear, np.uint8(BACKGROUND), levels)
    if image.has_transparency_data:
        above = image.convert("RGBA")
        ground = Image.new("RGBA", above.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
        image = Image.alpha_composite(ground, above)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _clear_level(image: Image.Image) -> int | None:
    """The grey level, 0 to 255, that is transparent; None where none is. To be asked before the image is decoded."""
    level = image.info.get("transparency")
    if not isinstance(level, int) or image.mode not in ("1", "L"):
        return None
    if image.mode == "1":
        return 255 * (level & 1)
    step = _STEP.get(_raw_mode(image), 1)
    return (level & (255 // step)) * step


def _grey(image: Image.Image) -> StoredLevels:
    """(h, w, 1) of an image of one channel of whole numbers."""
    clear = image.info.get("transparency")
    levels = np.asarray(_upright(image)).astype(np.int32)[..., None]
    if is_inverted(image):
        levels = FULL - levels
    return StoredLevels(levels, (levels != clear).astype(np.float32) if isinstance(clear, int) else None)


def _coloured(file: Path | BinaryIO, name: str) -> StoredLevels:
    """(h, w, 3), or (h, w, 1) of grey with opacity, of an image of 16 bits a channel.

    Of each channel Pillow gives the upper byte; read as if its bytes stood in the other order it gives the lower one.
    """
    with opened_image(file, name) as image:
        clear, lower = image.info.get("transparency"), _lower_bytes(image)
        upper = None if lower == _PLAIN else np.asarray(_upright(image)).astype(np.int32)
    with opened_image(file, name) as image:
        image.tile = [_read_as(tile, str(lower)) for tile in image.tile]
        found = np.asarray(_upright(image)).astype(np.int32)
    values = found[..., ::2] * 256 + found[..., 1::2] if upper is None else upper * 256 + found
    if values.shape[2] in (2, 4):
        return StoredLevels(values[..., :-1], values[..., -1:].astype(np.float32) / FULL)
    visible = (values != np.array(clear)).any(-1, keepdims=True) if isinstance(clear, tuple) else None
    return StoredLevels(values, None if visible is None else visible.astype(np.float32))


def _of_ppm(file: Path | BinaryIO, image: ImageFile.ImageFile) -> StoredLevels | None:
    """(h, w, 3) of one of more than 8 bits a colour, 0 to 65535 as its header says what white is; else None."""
    grey = as_grey(file, image.tile[0][2], image.size) if image.mode == "RGB" else None
    if grey is None:
        return None
    with Image.open(io.BytesIO(grey), formats=("PPM",)) as read:  # within the room that `image` has
        return StoredLevels(np.asarray(read).astype(np.int32).reshape(image.height, image.width, 3))


def _lower_bytes(image: Image.Image) -> str | None:
    """Pillow's raw mode that gives what an image of 16-bit colours loses in its own; None of any other image."""
    mode, order = _raw_mode(image).split(";16")[0], _raw_mode(image)[-1:]
    if f"{mode};16{order}" != _raw_mode(image) or order not in _OTHER:
        return None
    if mode == "LA":
        return _PLAIN
    return f"{mode};16{_OTHER[order]}" if mode in ("RGB", "RGBA") else None


def _raw_mode(image: Image.Image) -> str:
    tiles: Any = getattr(image, "tile", ())
    args = tiles[0][3] if tiles else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _read_as(tile: Any, mode: str) -> Any:
    """A tile of Pillow (decoder, place, offset, arguments), a tuple before Pillow 11, to be read in another mode."""
    *place, args = tile
    changed = (*place, (mode, *args[1:]) if isinstance(args, tuple) else mode)
    return tile._make(changed) if hasattr(tile, "_make") else changed


def _may_be_deep(file: Path | BinaryIO) -> bool:
    """By its first bytes: PNG says how many bits it has, a TIFF, PGM or PPM may have more than 8."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            head = stream.read(25)
    else:
        file.seek(0)
        head = file.read(25)
    if head.startswith(_PNG):
        return head[24:25] == b"\x10"
    return head.startswith((*TIFF_HEADS, *_PNM))
