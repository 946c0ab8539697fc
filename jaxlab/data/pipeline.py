"""Batches: batch k is a pure function of (seed, k). Grain shuffles and prefetches; no state is saved."""

import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from jaxlab.core.blocks import Targets
from jaxlab.core.types import UserError
from jaxlab.data.balance import Balance, Shown
from jaxlab.data.images import ImageRows
from submit.late import Late

if TYPE_CHECKING:
    import grain
else:
    grain = Late("grain")

HostBatch = dict[str, Any]
Truth = Mapping[str, Targets]
T = TypeVar("T")
_ENDLESS = 1 << 40  # batches: a range as long as no run is
ALL = slice(None)


class Batches:
    """Shuffled training batches without end: every epoch is another permutation, its remainder dropped.

    images: (n, h, w, c), or shared. truth: {objective: (n, t) float32 numbers or (n,) int32 classes}.
    label: (n,) int32 or None; a `balance` needs it, and decides what an epoch shows.
    batch_of: (n,) numbers; a batch is of samples of one number, whose remainders are dropped each.
    rows: those of each batch that are asked for, of several processes one's own; b is then how many they are.
    `batches[k]` is {"image": (b, h, w, c), "truth": {objective: (b, ...)}, "index": (b,) int32}, where index is the
    position in these arrays. Raises UserError when there are fewer samples than a batch holds.
    """

    def __init__(
        self,
        images: ImageRows,
        truth: Truth,
        batch_size: int,
        seed: int,
        balance: Balance | None = None,
        label: np.ndarray | None = None,
        batch_of: np.ndarray | None = None,
        rows: slice = ALL,
    ) -> None:
        n = epoch_length(len(images), label, balance)
        check_batch_size(batch_size, n)
        self.steps_per_epoch, self._batch_size = n // batch_size, batch_size
        self._images, self._truth, self._rows = images, truth, rows
        if batch_of is not None:
            self.steps_per_epoch = steps_of_each(batch_of, batch_size)
            self._order = functools.lru_cache(4)(functools.partial(of_each, batch_of, batch_size, seed))
            self._batches = grain.MapDataset.range(_ENDLESS).map(self._of_one)
            return
        if balance is not None and label is not None:
            self._epoch = functools.lru_cache(4)(functools.partial(balance.epoch, label, seed))
            self._batches = grain.MapDataset.range(_ENDLESS).map(self._balanced)
            return
        # Grain shuffles epoch e with seed + e: unmixed, runs with seeds 0 and 1 would share their epochs.
        mixed = int(np.random.SeedSequence(seed).generate_state(1)[0])
        order = grain.MapDataset.range(n).shuffle(seed=mixed)
        self._batches = order.batch(batch_size, drop_remainder=True, batch_fn=self._gather).repeat()

    def __getitem__(self, step: int) -> HostBatch:
        return self._batches[step]

    def _gather(self, index: Sequence[int]) -> HostBatch:
        return _gather(self._images, self._truth, np.array(index, np.int32)[self._rows])

    def _of_one(self, step: int) -> HostBatch:
        epoch, place = divmod(step, self.steps_per_epoch)
        return _gather(self._images, self._truth, self._order(epoch)[place][self._rows])

    def _balanced(self, step: int) -> HostBatch:
        epoch, place = divmod(step, self.steps_per_epoch)
        shown: Shown = self._epoch(epoch)
        rows = slice(place * self._batch_size, (place + 1) * self._batch_size)
        batch = _gather(self._images, self._truth, shown.index[rows][self._rows])
        for axis, mirrored in enumerate(shown.mirror[rows][self._rows].T, 1):
            batch["image"][mirrored] = np.flip(batch["image"][mirrored], axis)
        return batch

    def iterate(self, start_step: int = 0) -> Iterator[HostBatch]:
        """batches[start_step], batches[start_step + 1], ...: made ahead by two threads."""
        options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
        iterator = iter(self._batches.to_iter_dataset(options))
        iterator.set_state({"next_index": start_step})
        try:
            yield from iterator
        finally:
            iterator.close()


def steps_of_each(batch_of: np.ndarray, batch_size: int) -> int:
    """Whole batches in an epoch, of which each is of one number. Raises UserError for a number that fills none."""
    counts = np.bincount(batch_of)
    if few := [int(count) for count in counts if 0 < count < batch_size]:
        raise UserError(
            f"batch size {batch_size}: expected at most as many as each subject has training samples, of which a batch "
            f'is of one (data.batches="one"), found {", ".join(map(str, sorted(few)[:5]))}; a smaller batch, or "all"'
        )
    return int((counts // batch_size).sum())


def of_each(batch_of: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """(steps, b) int32 positions: each number's samples in an order of their own, cut into batches, these mixed."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    batches = []
    for number in np.unique(batch_of):
        order = rng.permutation(np.flatnonzero(batch_of == number))
        whole = len(order) // batch_size * batch_size
        batches.append(order[:whole].reshape(-1, batch_size))
    return rng.permutation(np.concatenate(batches)).astype(np.int32)


def epoch_length(samples: int, label: np.ndarray | None, balance: Balance | None) -> int:
    """Samples in an epoch. Raises UserError where classes are to be balanced and there are none."""
    if balance is None:
        return samples
    if label is None:
        raise UserError(f"balance={type(balance).__name__}() needs classes, and these data have none")
    return balance.length(label)


def check_batch_size(batch_size: int, samples: int) -> None:
    """Raises UserError where `samples` do not fill one batch."""
    if not 1 <= batch_size <= samples:
        raise UserError(f"batch size {batch_size}: expected between 1 and the {samples} training samples")


def evaluation_batches(
    images: ImageRows, truth: Truth, batch_size: int, own: slice = ALL
) -> Iterator[HostBatch]:
    """All samples in order, with `mask` (b,) bool; the last batch is filled up with its last sample.

    own: as `rows` of `Batches`.
    """
    n = len(images)
    for start in range(0, n, batch_size):
        rows = np.arange(start, start + batch_size, dtype=np.int32)[own]
        yield {**_gather(images, truth, np.minimum(rows, n - 1)), "mask": rows < n}


def prefetch(batches: Iterator[HostBatch], put: Callable[[HostBatch], T], depth: int = 2) -> Iterator[T]:
    """`put(batch)` for each batch, `depth` of them ahead, so that transfers overlap the device's work."""
    ready: deque[T] = deque()
    for batch in batches:
        ready.append(put(batch))
        if len(ready) > depth:
            yield ready.popleft()
    yield from ready


def _gather(images: ImageRows, truth: Truth, index: np.ndarray) -> HostBatch:
    chosen = {name: array[index] for name, array in truth.items()}
    return {"image": images[index], "truth": chosen, "index": index}
