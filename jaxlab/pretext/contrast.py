"""Two views of one image, which are to be alike, and unlike those of others."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxlab.core.types import Kind, UserError
from jaxlab.pretext.base import Posed, Prepare, Pretext


@dataclass(frozen=True, kw_only=True)
class Contrast(Pretext):
    """Two augmented views of each image; the loss, `NTXent`, compares them with those of all others (Chen et al. 2020).

    What differs between the views is what the network learns to leave out: `augment` says it, and crops and colours
    are what counts most. Scores are of the numbers of the `Projection` that reads the network: r of one view's with the
    other's, over images, and `loss/top_1`, how often an image's other view is the most similar one of its batch.

    dimensions: of what is compared.
    """

    kind: ClassVar[Kind] = "regression"
    views: ClassVar[int] = 2
    dimensions: int = 64

    def check(self) -> None:
        if self.dimensions < 2:
            raise UserError(f"Contrast.dimensions: expected 2 or more, found {self.dimensions}")

    def targets(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        return tuple(f"z{number}" for number in range(self.dimensions))

    def posed(
        self, prepare: Prepare, images: Any, keys: Key[Array, " b"] | None, drawn: Key[Array, " b"]
    ) -> Posed:
        """Views are augmented in evaluation, too: without, the two would be one."""
        views = [
            prepare(images, jax.vmap(jax.random.fold_in, (0, None))(drawn, k)) for k in range(self.views)
        ]
        return Posed(jnp.stack(views, 1).reshape(-1, *views[0].shape[1:]), None)
