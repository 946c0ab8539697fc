"""How samples are divided into those to learn from and those to validate on, and what is said of them."""

import re
from collections import Counter

import numpy as np

from jaxlab.core.types import Samples
from jaxlab.data.pipeline import check_batch_size, epoch_length, steps_of_each
from jaxlab.data.source import Opened, examples
from jaxlab.data.split import spread
from jaxlab.data.texts import texts_of
from jaxlab.experiment.experiment import Experiment

_SIDES = re.compile(r"\b(left|right)(most)?\b", re.IGNORECASE)


def positions_of(experiment: Experiment, opened: Opened) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training and validation samples, of each `limit` at most: evenly spread ones, since data may
    be sorted by class; of several subjects as many of each.

    Samples of no class to learn (label -1) are left out of training where an experiment `leaves_out_unknown` ones; in
    validation they stay, and count as wrong.
    """
    learn, validate = experiment.split.split(opened.train)
    if opened.train.label is not None and experiment.leaves_out_unknown:
        learn = learn[opened.train.label[learn] >= 0]
    subject = opened.train.columns["subject"] if experiment.data.pools else None
    return spread(learn, experiment.limit, subject), spread(validate, experiment.limit, subject)


def divided(experiment: Experiment, opened: Opened) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """`positions_of`, and the steps of an epoch. Raises UserError where either side, or a batch, cannot be filled."""
    positions, batch_size = positions_of(experiment, opened), experiment.training.batch_size
    label = None if opened.train.label is None else opened.train.label[positions[0]]
    epoch = epoch_length(len(positions[0]), label, experiment.balance)
    check_batch_size(batch_size, epoch)
    if opened.train.batch_of is not None:
        return positions, steps_of_each(opened.train.batch_of[positions[0]], batch_size)
    return positions, epoch // batch_size


def unvalidated(opened: Opened, validate: np.ndarray) -> list[str]:
    """A line on subjects without two samples for validation, which a correlation takes."""
    seen = Counter(opened.train.columns["subject"][validate].tolist()) if opened.subjects else Counter()
    if not (few := [name for name in opened.subjects if seen[name] < 2]):
        return []
    return [
        f"fewer than two samples of {examples(few, 20)} are for validation: their targets have no part in its "
        "correlations, nor in which checkpoint is the best; a larger share (split.validation), or another split.seed, "
        "gives them some"
    ]


def seen_on_both_sides(samples: Samples, positions: tuple[np.ndarray, np.ndarray]) -> list[str]:
    """A warning where samples of both sides share images, as questions do: scores are then of images that were learned.

    positions: of the training and validation samples.
    """
    if samples.image_of is None:
        return []
    learn, validate = (samples.image_of[rows] for rows in positions)
    both = int(np.isin(validate, learn).sum())
    if not both:
        return []
    ways = [
        words
        for column, words in (
            ("split", 'split=ColumnSplit(column="split") divides as the data say'),
            ("image", 'split=GroupedSplit(column="image") keeps each image on one side'),
        )
        if column in samples.columns
    ]
    mend = "; ".join(ways) or "a GroupedSplit by a column that names images keeps each on one side"
    return [
        f"warning: {both:,} of {len(validate):,} samples for validation are of images that training sees, too, so that "
        f"scores are not those of new images; {mend}"
    ]


def asked_of_mirrored(experiment: Experiment, samples: Samples, learn: np.ndarray) -> list[str]:
    """A warning where questions on images that are mirrored left to right name a side.

    learn: positions of the training samples.
    """
    if not experiment.model.asks or not any(
        getattr(part, "horizontal", False) for part in experiment.augment
    ):
        return []
    texts = texts_of(samples, learn, experiment.model.column, "model.column").tolist()  # type: ignore[attr-defined]
    named = [text for text in texts if _SIDES.search(text)]
    if not named:
        return []
    return [
        f"warning: images are mirrored left to right, and {len(named):,} of {len(texts):,} questions name a side "
        f"({examples(map(repr, dict.fromkeys(named)), 2)}), whose answers that makes wrong; leave Flip() out"
    ]
