"""The words that every room shares: errors, a split of samples, the mode of a forward pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:  # so that `jaxlab inspect` starts without JAX
    import jax

    from jaxlab.core.blocks import Targets

Kind = Literal["regression", "classification"]
WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")  # of files of weights that networks start from
Batch: TypeAlias = "dict[str, jax.Array]"


class UserError(Exception):
    """A mistake in what the user gave. The command line prints its message alone, without a traceback."""


class Interrupted(KeyboardInterrupt):
    """A signal ended a run early, all of which is saved: the same command goes on with it."""


AGAIN = 75  # EX_TEMPFAIL of sysexits.h, how a command ends then: nothing is wrong, run me again
INTERRUPTED = 128 + 2  # as shells say of what SIGINT ended


@dataclass(frozen=True)
class StoredLevels:
    """An image of more than 8 bits as it is stored.

    levels: (h, w, 1 or 3) int32. opacity: (h, w, 1) float32, 0 where transparent to 1; None where it is 1 everywhere.
    """

    levels: np.ndarray
    opacity: np.ndarray | None = None

    @property
    def extremes(self) -> tuple[int, int]:
        """The lowest and highest level that is seen; (0, 0) where none is."""
        seen = self.levels
        if self.opacity is not None:
            seen = seen[np.broadcast_to(self.opacity > 0, seen.shape)]
        return (int(seen.min()), int(seen.max())) if seen.size else (0, 0)


class FileWarning(UserWarning):
    """What is amiss in a file, and passed over. The command line prints its message alone."""


@dataclass(frozen=True)
class Samples:
    """One split as a source hands it over. Nothing is decoded until `read` is called.

    ids: (n,) unicode, unique.
    target: (n, t) float32 for regression; float64 where float32 would lose it (`core.precision`). Of several subjects
        a `BlockDiagonal`, which is an array of the rows that it is asked for.
    label: (n,) int32 for classification. A source for two objectives has both.
        Label -1 is a class that is not among those to learn: such a sample is wrong in validation whatever is
        predicted, and left out of training where nothing but classes is learned.
    read: position -> decoded image, (h, w, c) uint8 or float32; raises UserError that names the file.
    checksum: position -> bytes that identify the stored image (its file's content), without decoding.
    columns: other (n, ...) columns, for a grouped split, a split that the data itself declares, or text that
        belongs to the samples (questions).
    image_of: (n,) int numbers; samples of one number show the same image. None: each has its own.
    together: (n,) unicode names; samples of one name stay on one side of a split that goes by none of the columns.
        None: each is by itself.
    batch_of: (n,) int numbers; a training batch is of samples of one number. None: of any.
    masks: so many of an image's last channels are masks, resized to the nearest pixel and moved with the image.
    deep: position -> the levels of an image that stores more than 8 bits, without its masks; None of any other image.
        `read` divides them by 257; `Images.levels` says what is done in training. None: no image is known to be such.
    """

    ids: np.ndarray
    read: Callable[[int], np.ndarray]
    checksum: Callable[[int], bytes]
    target: "Targets | None" = None
    label: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    image_of: np.ndarray | None = None
    together: np.ndarray | None = None
    batch_of: np.ndarray | None = None
    masks: int = 0
    deep: Callable[[int], StoredLevels | None] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Mode:
    """How a forward pass runs: evaluation by default.

    train: batch statistics and dropout as in training.
    row_keys: (b,) random keys, one an image, folded from seed, step and global row, so that the same image
        draws the same dropout mask however the batch is split over devices.
    axis_name: the mapped axis over which batch statistics are reduced (pmap), or None.
    momentum: where set, batch norms take the batch's statistics in evaluation too, and their running ones move by so
        much towards them, in place of each batch norm's own momentum.
    epoch: how many have been trained, with fractions; evaluation is at the end of all that changes over epochs.
    """

    train: bool = False
    row_keys: "jax.Array | None" = None
    axis_name: str | None = None
    momentum: "jax.Array | None" = None
    epoch: "jax.Array | float" = float("inf")

    @property
    def alone(self) -> bool:
        """Whether each image passes as it would by itself: no statistics of the batch, no draws."""
        return not self.train and self.momentum is None and self.row_keys is None


EVALUATION = Mode()
