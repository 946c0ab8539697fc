"""Test-time augmentation: predictions averaged over several views of an image, on the device."""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlab.core.config import Component
from jaxlab.core.types import EVALUATION, Batch, UserError
from jaxlab.data.device.augment import intensities, interpolated, window
from jaxlab.training.state import Variables
from jaxlab.training.step import Program, prediction_step


class View(NamedTuple):
    """A window on an image, enlarged or reduced to the image's size. Scalars, or arrays of one value a view.

    scale: its sides, as a share of the image's. top, left: its place, 0 first to 1 last. down, across: how many pixels
    it is moved besides. mirrored, upturned: whether it is then reversed along columns or rows.
    Beyond the edge lies the edge. Where scale is 1 nothing is interpolated.
    """

    scale: Float[Array, "*v"]
    top: Float[Array, "*v"]
    left: Float[Array, "*v"]
    down: Float[Array, "*v"]
    across: Float[Array, "*v"]
    mirrored: Float[Array, "*v"]
    upturned: Float[Array, "*v"]


@dataclass(frozen=True, kw_only=True)
class TTA(Component):
    """The views of an image whose predictions are averaged, each weighted alike; by default the image alone.

    shift: in pixels of the network's input: also the eight windows moved by so much along one axis or both.
    zoom: also the windows about the centre with sides of 1 - zoom and 1 + zoom times the image's.
    crops: also five windows with sides of this share of the image's, at its corners and its centre (Krizhevsky et al.
        2012).
    mirror, mirror_vertical: also the mirror image of each of these windows, left to right or top to bottom.
    """

    mirror: bool = False
    mirror_vertical: bool = False
    shift: int = 0
    zoom: float = 0.0
    crops: float | None = None

    def check(self) -> None:
        if self.shift < 0:
            raise UserError(f"TTA.shift: expected 0 or more pixels, found {self.shift}")
        if not 0 <= self.zoom < 1:
            raise UserError(f"TTA.zoom: expected at least 0 and less than 1, found {self.zoom}")
        if self.crops is not None and not 0 < self.crops < 1:
            raise UserError(f"TTA.crops: expected a share between 0 and 1, found {self.crops}")

    @property
    def mirrors(self) -> dict[str, bool]:
        """Whether each axis is mirrored."""
        return {"horizontal": self.mirror, "vertical": self.mirror_vertical}

    def views(self) -> View:
        """(v,) views, the image as it is first."""
        steps = (0, -self.shift, self.shift) if self.shift else (0,)
        windows = [(1.0, 0.5, 0.5, *step) for step in product(steps, repeat=2)]
        if self.zoom:
            windows += [(scale, 0.5, 0.5, 0, 0) for scale in (1 - self.zoom, 1 + self.zoom)]
        if self.crops is not None:
            places = [*product((0.0, 1.0), repeat=2), (0.5, 0.5)]
            windows += [(self.crops, *place, 0, 0) for place in places]
        mirrors = product(*[(False, True) if used else (False,) for used in self.mirrors.values()])
        rows = [(*shown, *mirror) for mirror in mirrors for shown in windows]
        return View(*np.array(rows, np.float32).T)

    def check_size(self, height: int, width: int) -> None:
        """Raises UserError where shifts would leave nothing of such an image."""
        if self.shift >= min(height, width):
            raise UserError(
                f"inference.tta.shift: expected less than the image's {height} x {width}, found {self.shift}"
            )


def seen(levels: Float[Array, "b h w c"], view: View) -> Float[Array, "b h w c"]:
    """One view of each image, masks with it; linearly interpolated."""
    height, width = levels.shape[1:3]
    rows = window(height, view.scale, view.top) + view.down
    columns = window(width, view.scale, view.left) + view.across
    rows = jnp.where(view.upturned > 0, rows[::-1], rows)
    columns = jnp.where(view.mirrored > 0, columns[::-1], columns)
    return jax.vmap(lambda image: interpolated(interpolated(image, rows, axis=0), columns, axis=1))(levels)


def predicted(
    program: Program, variables: Variables, levels: Float[Array, "b h w c"], view: View
) -> Float[Array, "b t"]:
    """Predictions from one view, in the targets' own units; of classes the logarithms of their probabilities."""
    outputs = program.apply(variables, program.prepare(seen(levels, view), None), EVALUATION).outputs
    return program.objective.viewed(program.objective.own(outputs), variables.constants)


def averaged(program: Program, views: View, variables: Variables, batch: Batch) -> Float[Array, "b t"]:
    """Predictions averaged over the views: in the targets' own units, or as the logarithm of mean probabilities.

    One view after the other, through one forward pass that is compiled once; the sum alone is kept. A single view is
    the image as it is, and predicted bit for bit as without TTA.
    """
    if len(views.scale) == 1:
        return prediction_step(program, variables, batch)
    levels, objective = intensities(batch["image"]), program.objective

    def add(total: Array, view: View) -> tuple[Array, None]:
        return objective.add(total, predicted(program, variables, levels, view)), None

    like = jax.eval_shape(
        lambda view: predicted(program, variables, levels, view), View(*(x[0] for x in views))
    )
    total, _ = jax.lax.scan(add, jnp.full(like.shape, objective.nothing), views)
    return objective.mean(total, len(views.scale))
