"""Mixup and CutMix: each training image mixed with the one beside it, and the loss with the loss to its target.

Rows 2 k and 2 k + 1 of a batch are partners. Batches are shuffled, so partners are drawn at random; and as a device
holds an even number of rows, they meet there however many devices share the batch.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Shaped

from jaxlab.core.config import Component
from jaxlab.core.types import UserError

_FOLD = 1 << 20  # tells the mixing's key from those of augmentations, which are numbered by their place


@dataclass(frozen=True, kw_only=True)
class Mix(Component):
    """Base of the ways to mix two images.

    alpha: an image keeps the larger of l and 1 - l, with l from Beta(alpha, alpha), of itself and takes the rest from
    its partner; so the larger share, by which training scores are counted, is its own.
    """

    alpha: float = 1.0

    def check(self) -> None:
        if self.alpha <= 0:
            raise UserError(f"{type(self).__name__}.alpha: expected above 0, found {self.alpha}")

    def pattern(self, key: Key[Array, ""], height: int, width: int) -> Float[Array, "h w"]:
        """The image's own share at each pixel; (1, 1) where it is the same everywhere."""
        raise NotImplementedError

    def patterns(self, row_keys: Key[Array, " b"], height: int, width: int) -> Float[Array, "b h w"]:
        """`pattern` of every row, drawn from its key alone."""
        keys = jax.vmap(jax.random.fold_in, (0, None))(row_keys, _FOLD)
        return jax.vmap(lambda key: self.pattern(key, height, width))(keys)

    def images(self, images: Float[Array, "b h w c"], row_keys: Key[Array, " b"]) -> Float[Array, "b h w c"]:
        """The images, mixed."""
        own = self.patterns(row_keys, *images.shape[1:3])[..., None]
        return own * images + (1 - own) * partners(images)

    def losses(
        self,
        own: Float[Array, " b"],
        partner: Float[Array, " b"],
        row_keys: Key[Array, " b"],
        height: int,
        width: int,
    ) -> Float[Array, " b"]:
        """The losses to the rows' own targets and to their partners', by the shares that the images have of them.

        For cross-entropy that is the loss to mixed labels; for squared error it has the gradient of the loss to mixed
        targets.
        """
        share = self.patterns(row_keys, height, width).mean((1, 2))
        return share * own + (1 - share) * partner


@dataclass(frozen=True, kw_only=True)
class Mixup(Mix):
    """The weighted mean of two images (Zhang et al. 2018)."""

    alpha: float = 0.2

    def pattern(self, key: Key[Array, ""], height: int, width: int) -> Float[Array, "1 1"]:
        return _larger_share(key, self.alpha).reshape(1, 1)


@dataclass(frozen=True, kw_only=True)
class CutMix(Mix):
    """A rectangle of the image's own proportions, centred anywhere, comes from the partner (Yun et al. 2019).

    Its area is the partner's share; what of it lies outside the image is left out, and the shares follow the pixels.
    """

    def pattern(self, key: Key[Array, ""], height: int, width: int) -> Float[Array, "h w"]:
        size, place = jax.random.split(key)
        side = jnp.sqrt(1 - _larger_share(size, self.alpha))
        centre = jax.random.uniform(place, (2,))
        down, across = (
            jnp.abs(jnp.arange(length) + 0.5 - at * length) < side * length / 2
            for length, at in ((height, centre[0]), (width, centre[1]))
        )
        return 1.0 - (down[:, None] & across[None, :])


def partners(rows: Shaped[Array, "b ..."]) -> Shaped[Array, "b ..."]:
    """Each row's partner in its place: rows 2 k and 2 k + 1 change places."""
    pairs = rows.reshape(len(rows) // 2, 2, *rows.shape[1:])
    return pairs[:, ::-1].reshape(rows.shape)


def _larger_share(key: Key[Array, ""], alpha: float) -> Float[Array, ""]:
    share = jax.random.beta(key, alpha, alpha)
    return jnp.maximum(share, 1 - share)
