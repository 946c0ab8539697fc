"""A backbone and its head as one network."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core import tree
from jaxlab.core.scopes import scope
from jaxlab.core.types import EVALUATION, Mode
from jaxlab.heads.base import FeatureMaps, Head, HeadModule, fork, penalty_of
from jaxlab.heads.joint import Joint
from jaxlab.losses import END
from jaxlab.nn.cpu.turns import by_size, in_turns
from jaxlab.nn.plain import adopted, features, running

_HEAD = 2**31 - 1  # a number that no dropout layer of a backbone gets to


class Network(nnx.Module):
    """A backbone and its head."""

    def __init__(self, backbone: nnx.Module, head: HeadModule):
        self.backbone = backbone
        self.head = head

    def __call__(
        self, images: Float[Array, "b h w c"] | FeatureMaps, mode: Mode = EVALUATION
    ) -> Float[Array, "b t"]:
        found = self._features(images, mode)
        with running(own := fork(mode, _HEAD)), scope("readout"):
            return self.head(found, own)

    def _features(self, images: Any, mode: Mode) -> FeatureMaps:
        """The backbone's, of a few images at a time where each passes alone."""
        pictures = isinstance(images, jax.Array) and images.ndim == 4
        if not pictures or not mode.alone or _is_observed(self.backbone):
            return features(self.backbone, images, mode)
        order: list[str] = []  # a tree of arrays has its names sorted

        def layers(backbone: nnx.Module, images: Array) -> tuple[Array, ...]:
            found = features(backbone, images, mode)
            order[:] = found
            return tuple(found.values())

        found = in_turns(self.backbone, layers, images, by_size(images))
        return dict(zip(order, found, strict=True))

    def penalty(self, epoch: Float[Array, ""] | float = END) -> Float[Array, ""]:
        """What the head adds to the loss after so many epochs."""
        return penalty_of(self.head, epoch)


def _is_observed(module: nnx.Module) -> bool:
    """Whether one of its batch norms, or of Flax's, leaves moments."""
    return any(getattr(part, "observed", False) for _, part in nnx.iter_graph(module))


def build_network(
    model: Any, head: Head | Joint, image_shape: tree.Shape, targets: Any, rngs: nnx.Rngs
) -> Network:
    """`model.build` and `head.build` joined. Trace it (jit, eval_shape): nothing in it should run eagerly.

    image_shape: (h, w, c), or the shape of each cached feature by name. targets: a tuple of their names, or those of
    classes; of a Joint, {objective: such a tuple}.
    """
    seen = dict(image_shape) if isinstance(image_shape, Mapping) else image_shape[-1]
    backbone = adopted(model.build(seen, rngs), type(model).__name__)
    order: list[str] = []  # eval_shape sorts its result by name

    def features_of(module: Any, x: Any) -> FeatureMaps:  # images, or features by name
        found = features(module, x, EVALUATION)
        order[:] = found
        return found

    found = nnx.eval_shape(features_of, backbone, tree.example(image_shape))
    readout = head.build({name: found[name] for name in order}, targets, rngs)
    return Network(backbone, adopted(readout, type(head).__name__))
