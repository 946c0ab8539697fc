"""What is said of how samples are divided into those to learn from and those to validate on."""

import numpy as np

from jaxlab.core.types import Samples
from jaxlab.data.source import Opened, examples


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
