"""A set of features in pieces, so that all processes that need it make it at once.

One of them, the maker, holds the folder's lock and goes through the rows from the first on. Others, who find it locked,
make pieces of it from its end, each in a folder of its own, which the maker copies as it comes there:

features/<key>/pieces/<first>-<stop>/   rows from `first` to before `stop`, laid out as `store` has the whole

Whoever makes a piece holds its lock, the maker until the whole is written; a kill frees it. Who is suspended at one is
not waited for for ever. What was made of a piece stays for those that come next, however many these are.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from jaxlab.encode.store import Folder, Layer, Rows

ROWS, MOST = 512, 128  # of a piece at least; pieces of a set at most: the maker holds a lock each
PATIENCE = 60.0  # seconds without progress, after which the maker computes what another is at
_LOOK = 1.0  # seconds between two looks at that
_COPIED = 256  # rows at a time

Compute = Callable[
    [int, int], Generator[Rows, None, None]
]  # (first, stop) -> these rows, in order; it may be left early


@dataclass(frozen=True)
class Piece:
    """Rows `first` to before `stop`, and where they are kept."""

    folder: Folder
    first: int
    stop: int

    def of(self, layer: Layer) -> Layer:
        return replace(layer, shape=(self.stop - self.first, *layer.shape[1:]))

    def lists(self, layers: Sequence[Layer]) -> bool:
        return self.folder.lists([self.of(layer) for layer in layers])


class Pieces:
    """Those of `layers` in `folder`, which lack. As a context, the maker's: it holds their locks to its end."""

    def __init__(self, folder: Folder, layers: Sequence[Layer]):
        self._folder, self._layers = folder, layers
        self._count = layers[0].shape[0]
        self._size = max(ROWS, -(-self._count // MOST))
        self._held = contextlib.ExitStack()
        self._mine: set[Piece] = set()
        self.copied = 0  # rows that others have made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def rows(self, done: int, compute: Compute) -> Iterator[Rows]:
        """All from row `done` on, for `Folder.fill`: those that others have made or are at, and the others computed."""
        while done < self._count:
            piece = self._at(done)
            self._wait(piece)
            if (arrays := self._made(piece)) is not None:
                for start in range(done, piece.stop, _COPIED):
                    rows = np.arange(start, min(start + _COPIED, piece.stop))
                    yield rows, {name: array[rows - piece.first] for name, array in arrays.items()}
                self.copied += piece.stop - done
                done = piece.stop
                continue
            with contextlib.closing(compute(done, self._count)) as computed:
                for rows, values in computed:
                    yield rows, values
                    done += len(rows)
                    while piece.stop <= done < self._count and self._free(self._at(piece.stop)):
                        piece = self._at(piece.stop)
                    if piece.stop <= done:
                        break

    def help(self, fill: Callable[[Piece], None]) -> bool:
        """Make the last piece that nobody has made or is at, by `fill`; False where there is none."""
        done = self._folder.done(self._layers)
        for first in reversed(range(0, self._count, self._size)):
            piece = self._at(first)
            if piece.stop <= done:
                return False
            if piece.lists(self._layers):
                continue
            with piece.folder.tried() as free:
                if self._folder.lists(self._layers):  # the maker is through, and keeps no piece any more
                    return False
                made = free and not piece.lists(self._layers)
                if made:
                    fill(piece)
            if made:
                if self._folder.lists(self._layers):  # the maker has not waited
                    self.clear()
                return True
        return False

    def clear(self) -> None:
        """Remove the pieces that hold nothing but what the whole has by now; the maker's, when it is written."""
        self._held.close()
        place = self._folder.path / "pieces"
        for path in place.iterdir() if place.is_dir() else ():
            piece = Folder(f"{self._folder.key}/pieces/{path.name}")
            with contextlib.suppress(OSError), piece.tried() as free:
                if free and piece.listed() <= self._folder.listed():
                    shutil.rmtree(path)
        with contextlib.suppress(OSError):
            place.rmdir()

    def _at(self, row: int) -> Piece:
        first = row - row % self._size
        stop = min(first + self._size, self._count)
        return Piece(Folder(f"{self._folder.key}/pieces/{first}-{stop}"), first, stop)

    def _made(self, piece: Piece) -> dict[str, np.ndarray] | None:
        arrays = {layer.name: piece.folder.open(piece.of(layer)) for layer in self._layers}
        return None if any(array is None for array in arrays.values()) else arrays  # type: ignore[return-value]

    def _wait(self, piece: Piece) -> None:
        """Until nobody else is at the piece; or until who is shows no progress, and may be suspended."""
        seen, since = -1, time.monotonic()
        while not self._taken(piece, _LOOK) and time.monotonic() - since < PATIENCE:
            if (done := piece.folder.done([piece.of(layer) for layer in self._layers])) != seen:
                seen, since = done, time.monotonic()

    def _free(self, piece: Piece) -> bool:
        """Whether the maker has it for itself, from here on; not where it is made."""
        return not piece.lists(self._layers) and self._taken(piece) and not piece.lists(self._layers)

    def _taken(self, piece: Piece, seconds: float = 0.0) -> bool:
        """Whether the maker holds its lock, in so many seconds."""
        if piece not in self._mine:
            with contextlib.ExitStack() as held:
                if held.enter_context(piece.folder.tried(seconds)):
                    self._held.push(held.pop_all())
                    self._mine.add(piece)
        return piece in self._mine
