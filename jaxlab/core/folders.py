"""Folders that take their place once they are whole."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from jaxlab.core.files import writing
from jaxlab.core.lock import locked


@contextlib.contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of whatever is at `path` when the block ends well.

    What a killed process left of it is removed first, what this one leaves in the end. Raises UserError where another
    process is making it, or the disk refuses.
    """
    path = path.resolve()  # "." has no name
    partial = path.with_name(f"{path.name}.partial")
    with locked(path.with_name(f".{path.name}.lock"), path):
        try:
            with writing(path):
                remove(partial)
                partial.mkdir()
            yield partial
            with writing(path):
                remove(path)
                partial.rename(path)
        finally:
            with contextlib.suppress(OSError):
                remove(partial)


def remove(path: Path) -> None:
    """Whatever is there: a folder, a file, or a link, whose target stays. Raises OSError where it cannot be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
