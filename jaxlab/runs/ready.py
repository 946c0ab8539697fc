"""A run that predicts images as they come: what it has learned is read once, and stays."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlab.core.types import Samples
from jaxlab.data.sources.users_images import encoded_samples
from jaxlab.runs import asked
from jaxlab.training.sharding import Layout

if TYPE_CHECKING:
    from jaxlab.runs.run import Run, Which


class Ready:
    """What `Run.ready` gives. `taken` may be called by several threads at a time, `predict` by one.

    This one asks the run anew each time; kinds of run that can do better have their own. which: as for `Run.predict`.
    """

    def __init__(self, run: "Run", which: "Which | None"):
        self._run, self._which = run, which
        self.asks = run.asks

    def taken(self, image: bytes, name: str, question: str | None = None) -> Any:
        """An encoded image, such as a PNG, as `predict` takes it: decoded where that takes less room.

        question: about it, of a run that answers some (`asks`).
        Raises UserError that says `name` where it cannot be decoded, or is not as the run's own images.
        """
        encoded_samples([image], [name]).read(0)
        return Shown(image, question)

    def predict(self, images: Sequence[Any]) -> np.ndarray:
        """(n, t) of what `taken` gave, as `Run.predicted` has it: in the targets' units, or logits."""
        return self._run.predicted(samples_of(images, self.asks), self._which)


class Shown(NamedTuple):
    """An encoded image, and what is asked about it, if anything."""

    image: bytes
    question: str | None = None


def samples_of(images: Sequence[Shown], asks: Sequence[str]) -> Samples:
    """asks: the columns of texts that the run reads beside images."""
    encoded = encoded_samples([one.image for one in images], [str(number) for number in range(len(images))])
    return asked.each(encoded, [one.question for one in images], asks)


def sizes(most: int) -> tuple[int, ...]:
    """Of batches, which are filled up, each of them compiled: a row a device, for what comes alone, and `most`."""
    return tuple(sorted({Layout("auto", most).count, most}))


def fitting(count: int, sizes: Collection[int]) -> int:
    """The smallest size that holds `count` images; where none does, the largest."""
    return min((size for size in sizes if size >= count), default=max(sizes))
