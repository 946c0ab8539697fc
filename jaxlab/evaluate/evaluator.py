"""Compiled evaluation and prediction over whole splits, on however many devices there are."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import islice

import jax
import numpy as np

from jaxlab.core import tree
from jaxlab.core.progress import tracked
from jaxlab.core.types import Batch
from jaxlab.data.images import ImageRows
from jaxlab.data.pipeline import Batches, HostBatch, Truth, evaluation_batches, prefetch
from jaxlab.metrics import SumsByObjective
from jaxlab.training.hosts.arrays import fetched
from jaxlab.training.sharding import Layout
from jaxlab.training.state import Variables
from jaxlab.training.step import Program, evaluation_step, measuring_step, prediction_step

Put = Callable[[HostBatch], Batch]


class Evaluator:
    """Evaluates and predicts with one program; compiled once, for one batch size.

    Its methods' `put` brings host batches to the devices; default: the layout's `put_batch`.
    """

    def __init__(self, program: Program, layout: Layout, batch_size: int):
        self.program = program
        self._layout = layout
        self._batch_size = batch_size
        self._ranges: list[tree.Flat] = []
        self._rows = layout.rows(batch_size)
        self._evaluate = layout.compile(partial(evaluation_step, program), batch_at=2, arguments=3, donate=1)
        self._predict = layout.compile(
            partial(prediction_step, program), batch_at=1, arguments=2, rows_out=True
        )
        self._measure = cache(
            lambda frozen_norms: layout.compile(
                partial(measuring_step, program, frozen_norms), batch_at=2, arguments=3
            )
        )

    def no_sums(self) -> SumsByObjective:
        """Empty sums, on the devices."""
        return self._layout.put(self.program.start())

    def evaluate(
        self,
        variables: Variables,
        images: ImageRows,
        truth: Truth,
        put: Put | None = None,
    ) -> SumsByObjective:
        """The scores' sums over a split; one transfer back, made when they are computed.

        truth: {objective: (n, ...)}, or {} where `put` has it on the devices.
        """
        sums, self._ranges = self.no_sums(), []
        for batch in self._batches(images, truth, put):
            sums, ranges = self._evaluate(variables, sums, batch)
            self._ranges.append(ranges)
        return sums

    def constant(self) -> dict[str, np.ndarray]:
        """{layer: (c,) bool}: which of the channels that readouts read had one value in all of the last evaluation."""
        each = jax.device_get(self._ranges)
        return {name: _one_value([ranges[name] for ranges in each]) for name in (each[0] if each else ())}

    def predict(self, variables: Variables, images: ImageRows, put: Put | None = None) -> np.ndarray:
        """(n, t) predictions in the targets' own units (or logits), in the order of `images`."""
        out = np.empty((len(images), len(self.program.objective.targets)), np.float32)
        count = -(-len(images) // self._batch_size)
        batches = tracked(self._batches(images, {}, put), "predicting", count)
        for number, batch in enumerate(batches):
            first = number * self._batch_size
            rows = np.asarray(fetched(self._predict(variables, batch))).reshape(self._batch_size, -1)
            out[first : first + self._batch_size] = rows[: len(images) - first]
        return self.program.objective.received(out)

    def measure(
        self, variables: Variables, frozen_norms: frozenset[str], images: ImageRows, put: Put | None = None
    ) -> Variables:
        """`variables` with the batch-norm statistics that these parameters have on `images`: the average over batches.

        As Izmailov et al. 2018, section 3.3: statistics of other parameters, averaged or not, are not theirs. Batches
        are whole and drawn at random, without the remainder. frozen_norms: paths of batch norms that keep theirs.
        """
        batches = Batches(images, {}, self._batch_size, seed=0, rows=self._rows)
        whole = islice(batches.iterate(), batches.steps_per_epoch)
        for count, batch in enumerate(prefetch(whole, put or self._layout.put_batch)):
            variables = self._measure(frozen_norms)(variables, np.float32(count), batch)
        return variables

    def _batches(self, images: ImageRows, truth: Truth, put: Put | None) -> Iterator[Batch]:
        batches: Iterator[HostBatch] = evaluation_batches(images, truth, self._batch_size, self._rows)
        return prefetch(batches, put or self._layout.put_batch)


def _one_value(ranges: Sequence[np.ndarray]) -> np.ndarray:
    """(c,) which channels vary by no more than float32 rounds them. ranges: (2, c) of each batch."""
    low, high = np.min([one[0] for one in ranges], 0), np.max([one[1] for one in ranges], 0)
    return high - low <= 1e-6 * np.maximum(abs(low), abs(high))
