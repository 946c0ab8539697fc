"""Which layer of a network each parameter belongs to, told by its computation: no family lists its own."""

from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.extend.core import Literal

from jaxlab.core import tree
from jaxlab.core.rng import row_keys
from jaxlab.core.types import EVALUATION, Mode
from jaxlab.nn.plain import features, running

READOUT = "readout"  # not "head", which is a feature of some backbones


class Order(NamedTuple):
    """layers: the backbone's named features in order, then "readout", the head. layer_of: of each parameter by path.

    unread: parameters of the backbone on which no output depends, such as those behind the layer that the head reads.
    """

    layers: tuple[str, ...]
    layer_of: dict[str, str]
    unread: frozenset[str]


def layers_of(shapes: tuple[nnx.GraphDef, nnx.State, nnx.State], image_shape: tree.Shape) -> tuple[str, ...]:
    """Names of the backbone's features in order, of a network whose readout is not looked at; as for `order`."""
    names: list[str] = []

    def forward(network: Any, image: Any) -> Any:
        found = features(network.backbone, image, EVALUATION)
        names[:] = found  # eval_shape sorts its result by name
        return found

    nnx.eval_shape(forward, nnx.merge(*shapes), tree.example(image_shape))
    return tuple(names)


def order(shapes: tuple[nnx.GraphDef, nnx.State, nnx.State], image_shape: tree.Shape) -> Order:
    """Of a network split into graph, parameters and batch statistics, from one traced training pass.

    A parameter of `network.backbone` belongs to the first feature whose computation depends on it (the last, where
    none does), all of `network.head` to the readout. Nothing is computed: shapes will do. image_shape: (h, w, c), or
    that of each cached feature by name.
    """
    graphdef, params, stats = shapes
    names: list[str] = []

    def forward(flat: tree.Flat, stats: nnx.State, image: jax.Array) -> list[Any]:
        network: Any = nnx.merge(graphdef, tree.unflatten(flat, params), stats)
        mode = Mode(train=True, row_keys=row_keys(jax.random.key(0), 1))
        found = features(network.backbone, image, mode)
        names[:] = found
        with running(mode):
            return [*found.values(), network.head(found, mode)]

    flat = tree.flatten(params)
    traced = jax.make_jaxpr(forward)(flat, stats, tree.example(image_shape))
    *named, outputs = _dependencies(traced.jaxpr, len(flat))
    layer_of, unread = {}, set()
    for bit, path in enumerate(sorted(flat)):  # as JAX flattens a dict
        if path.startswith("head."):
            layer_of[path] = READOUT
            continue
        first = next((k for k, mask in enumerate(named) if mask >> bit & 1), len(named) - 1)
        layer_of[path] = names[first]
        if not outputs >> bit & 1:
            unread.add(path)
    return Order((*names, READOUT), layer_of, frozenset(unread))


def _dependencies(jaxpr: Any, inputs: int) -> list[int]:
    """For each result, the bits of those of the first `inputs` arguments that it depends on.

    A nested call counts as one operation: all that it returns depends on all that it takes.
    """
    masks = {variable: 1 << k for k, variable in enumerate(jaxpr.invars[:inputs])}

    def mask(atom: Any) -> int:
        return 0 if isinstance(atom, Literal) else masks.get(atom, 0)

    for equation in jaxpr.eqns:
        found = 0
        for atom in equation.invars:
            found |= mask(atom)
        if found:
            masks.update(dict.fromkeys(equation.outvars, found))
    return [mask(atom) for atom in jaxpr.outvars]
