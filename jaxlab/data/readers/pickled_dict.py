"""The pickled dict in an npy file, read so that nothing but numbers and names can come out of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jaxlab.core.types import UserError
from submit.late import Late

if TYPE_CHECKING:
    from submit.files import pickles
    from submit.formats import algonauts_layout
else:
    pickles, algonauts_layout = Late("submit.files.pickles"), Late("submit.formats.algonauts_layout")


def read_mapping(path: Path) -> dict[int, str]:
    """{number: name} of a file that `np.save(path, {number: name})` wrote.

    numpy itself would unpickle it, and a pickle can run any program: here submit.files.pickles reads it. Raises
    UserError for everything else in the file.
    """
    try:
        with path.open("rb") as file:
            found = _content(file)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except pickles.UnsafePickle as error:
        raise UserError(
            f"{path}: not opened: {error} A dict of numbers and names needs nothing of the kind; fetch the file "
            "anew from the challenge"
        ) from error
    except Exception as error:  # of pickle and numpy, by what is damaged
        raise UserError(f"{path}: cannot be read as a pickled dict ({str(error) or repr(error)})") from error
    if type(found) is not dict or not all(type(k) is int and type(v) is str for k, v in found.items()):
        text = repr(found)
        shown = text if len(text) < 100 else f"{text[:100]}..."
        raise UserError(f"{path}: expected a dict of whole numbers to names, found {shown}")
    return found


def _content(file: BinaryIO) -> Any:
    shape, _, dtype = algonauts_layout.array_header(file)
    if not dtype.hasobject or shape != ():
        raise ValueError(f"it holds {dtype} of shape {shape}")
    (content,) = pickles.load_plain(file)
    return content
