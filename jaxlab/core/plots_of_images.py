"""Images side by side: what a network was shown of each, and what it made of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxlab.core.plots import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table_of_images(columns: Mapping[str, np.ndarray], words: Sequence[str] = ()) -> "Figure":
    """A row an image, a column a title. columns: {title: (n, h, w, 1 or 3) from 0 to 1}. words: beside each row."""
    from matplotlib.figure import Figure

    count = len(next(iter(columns.values())))
    figure = Figure(figsize=(1.7 * len(columns) + 0.3, 1.7 * count + 0.4), layout="constrained")
    panels = figure.subplots(count, len(columns), squeeze=False)
    for column, (title, images) in enumerate(columns.items()):
        panels[0, column].set_title(title, fontsize=8)
        for row, image in enumerate(images):
            grey = image.shape[-1] == 1
            panels[row, column].imshow(
                image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=1
            )
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for row, line in enumerate(words):
        panels[row, -1].set_xlabel(line, fontsize=7)
    return figure


def images_side_by_side(columns: Mapping[str, np.ndarray], words: Sequence[str], path: Path) -> None:
    """`table_of_images` as a file. Raises SubmissionError where the disk refuses."""
    save(table_of_images(columns, words), path)
