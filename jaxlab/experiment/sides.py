"""What is said of samples before training: how they are divided, and what they ask of mirrored images."""

import re

import numpy as np

from jaxlab.core.types import Samples
from jaxlab.data.source import Opened, examples
from jaxlab.data.texts import texts_of
from jaxlab.experiment.experiment import Experiment

_SIDES = re.compile(r"\b(left|right)(most)?\b", re.IGNORECASE)


def unvalidated(opened: Opened, validate: np.ndarray) -> list[str]:
    """A line on subjects without a sample for validation."""
    seen = set(opened.train.columns["subject"][validate].tolist()) if opened.subjects else set()
    if not (without := [name for name in opened.subjects if name not in seen]):
        return []
    return [
        f"no sample of {examples(without, 20)} is for validation: their targets have no part in its scores, nor in "
        "which checkpoint is the best; a larger share (split.validation), or another split.seed, gives them some"
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
