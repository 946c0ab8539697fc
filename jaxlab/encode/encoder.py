"""What every encoder offers: a frozen network, its weights loaded, from samples to features by layer."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal, Self

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array

from jaxlab.core import tree
from jaxlab.core.config import LATER, Component, identity
from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import Samples, UserError
from jaxlab.data.levels import Levels
from jaxlab.data.pipeline import HostBatch
from jaxlab.data.texts import texts_of
from jaxlab.nn.products import round_products
from jaxlab.training.ancestor import load_weights
from jaxlab.training.runtime import compute_dtype
from jaxlab.training.sharding import Layout
from jaxlab.training.step import initial_parameters

Dtype = Literal["float32", "bfloat16"]
FrozenVariables = tuple[tree.Flat, tree.Flat]  # parameters and batch statistics


@dataclass(frozen=True, kw_only=True)
class Encoder(Component):
    """Base of the frozen networks whose features are computed once and kept.

    layers: the named layers that are kept; default: the network's last.
    name: written before the layers' names, `name/block4`, where those of several encoders would be the same.
    dtype: of the features that are kept.
    products: "bfloat16": linear layers and 1 x 1 convolutions round the operands of their products, and sum in float32,
        where the processor has instructions for it: two thirds of a ViT-tiny's time, features about a hundredth apart.
    seed: of the parameters, where the model has no `pretrained` ones.
    """

    layers: tuple[str, ...] = ()
    name: str = ""
    dtype: Dtype = "float32"
    products: Dtype = field(default="float32", metadata=LATER)
    seed: int = 0

    def load(self) -> "Loaded":
        """The encoder with its weights. Raises UserError for weights that do not fit and layers that are not there."""
        raise NotImplementedError

    @property
    def arithmetic(self) -> dict[str, str]:
        """What is unusual in how it computes, part of what features are known by."""
        return {} if self.products == "float32" else {"products": self.products}

    def at_levels(self, levels: Levels | None) -> Self:
        """With `images.levels`, where it sees images and leaves them open."""
        return self

    def as_in(self, record: Mapping[str, Any]) -> Self:
        """With what it leaves open as a run's record of it has that."""
        return self


def columns_of(encoders: Iterable[Encoder]) -> tuple[str, ...]:
    """The columns of texts that encoders read; none of those of images."""
    return tuple(dict.fromkeys(one.column for one in encoders if hasattr(one, "column")))


def texts_read(encoders: Iterable[Encoder], samples: Samples) -> dict[str, np.ndarray]:
    """Those columns of all samples. Raises UserError for one that is not there or has no texts."""
    rows = np.arange(len(samples))
    return {
        name: texts_of(samples, rows, name, "encoders: column", blank=True) for name in columns_of(encoders)
    }


@dataclass(frozen=True)
class Stimuli:
    """What an encoder sees of samples, each distinct thing once.

    ids: (u,) those of the samples that show them first. row_of: (n,) which of the u each sample shows; None where
        each shows its own. checksum: of what the network is given, before its preprocessing.
    batches: (size, first, stop) -> (which of the u, a batch of `size` rows) from the number `first` to before `stop`,
        always in the same order; the last batch is filled up.
    """

    ids: np.ndarray
    row_of: np.ndarray | None
    checksum: str
    batches: Callable[[int, int, int], Iterator[tuple[np.ndarray, HostBatch]]]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Loaded:
    """An encoder ready to run.

    config: with all that its weights settle filled in. recipe: the JSON of what decides about features besides weights
    and samples. frozen: the network. shapes: {layer: shape of one sample's features as they are kept} of all layers, in
    the network's order. pool: how positions were pooled, part of a file's name.
    stimuli: samples and positions -> what the network sees. forward: (module, batch) -> features by layer, as kept but
    for their dtype.
    """

    config: Encoder
    recipe: Any
    frozen: "Frozen"
    shapes: Mapping[str, tuple[int, ...]]
    pool: str
    stimuli: Callable[[Samples, np.ndarray], Stimuli]
    forward: Callable[[Any, Mapping[str, Array]], Mapping[str, Array]]
    about: str
    programs: dict[Any, Callable[..., dict[str, Array]]] = field(default_factory=dict, repr=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Those asked for. Raises UserError that lists the network's where one is unknown."""
        return asked_layers(self.config, self.shapes)

    @property
    def named(self) -> dict[str, str]:
        """{name under which a readout finds it: layer}."""
        before = f"{self.config.name}/" if self.config.name else ""
        return {f"{before}{layer}": layer for layer in self.layers}

    def program(self, layers: tuple[str, ...], layout: Layout) -> Callable[..., dict[str, Array]]:
        """(variables, batch) -> {layer: rows}, compiled; the layers above the last of them are not computed."""

        def encode(
            variables: FrozenVariables, batch: Mapping[str, Array], axis_name: str | None = None
        ) -> dict[str, Array]:
            module = self.frozen.merged(variables)
            if compute_dtype(self.config.products) == "bfloat16":
                round_products(module)
            features = self.forward(module, batch)
            return {layer: features[layer].astype(self.config.dtype) for layer in layers}

        key = (layers, layout.parallel, layout.count)
        if key not in self.programs:
            self.programs[key] = layout.compile(encode, batch_at=1, arguments=2, rows_out=True)
        return self.programs[key]

    def record(self) -> dict[str, Any]:
        """What a run keeps of it: equal records give equal features of equal samples."""
        return {
            "encoder": identity(self.config),
            "digest": self.frozen.digest,
            "layers": {name: list(self.shapes[layer]) for name, layer in self.named.items()},
            "weights": self.frozen.weights,
        }


def asked_layers(config: Encoder, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """`config.layers`, by default the last of `shapes`. Raises UserError for unknown ones."""
    layers = config.layers or (list(shapes)[-1],)
    if unknown := [layer for layer in layers if layer not in shapes]:
        model: Any = getattr(config, "model", None)
        raise UserError(
            f"{type(config).__name__}.layers: {type(model).__name__} has no layer "
            f"{', '.join(map(repr, unknown))}; it has {', '.join(shapes)}"
        )
    return layers


@dataclass(frozen=True)
class Frozen:
    """A network and its weights. weights: the record that `load_pretrained` makes; None for initial parameters."""

    graphdef: nnx.GraphDef
    params: nnx.State
    stats: nnx.State
    variables: FrozenVariables
    weights: dict[str, Any] | None

    def of(self, build: Callable[[nnx.Rngs], nnx.Module]) -> Self:
        """The same weights in what `build` makes, which has the same parameters."""
        graphdef, *_ = nnx.split(nnx.eval_shape(partial(_seeded, build, 0)), nnx.Param, nnx.BatchStat)
        return replace(self, graphdef=graphdef)

    def merged(self, variables: FrozenVariables) -> Any:
        """The module with `variables` in it; under jit."""
        params, stats = variables
        return nnx.merge(
            self.graphdef, tree.unflatten(params, self.params), tree.unflatten(stats, self.stats), copy=True
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the weights."""
        if self.weights is None:
            return ("warning: its weights are random, as `pretrained` is not set",)
        return tuple(self.weights.get("notes", ()))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over parameters and batch statistics."""
        params, stats = self.variables
        return tree.digest(
            {f"params.{k}": v for k, v in params.items()} | {f"stats.{k}": v for k, v in stats.items()}
        )

    def shapes(
        self, forward: Callable[[Any, Mapping[str, Array]], Mapping[str, Array]], batch: Mapping[str, Any]
    ) -> dict[str, tuple[int, ...]]:
        """{layer: shape without the batch} that `forward` makes, in its order; nothing is computed.

        batch: as jax.ShapeDtypeStruct.
        """
        names: list[str] = []

        def traced(params: nnx.State, stats: nnx.State, batch: Mapping[str, Array]) -> dict[str, Array]:
            features = forward(nnx.merge(self.graphdef, params, stats), batch)
            names[:] = features  # eval_shape sorts its result by name
            return dict(features)

        found = jax.eval_shape(traced, self.params, self.stats, batch)
        return {name: tuple(found[name].shape[1:]) for name in names}


def load_frozen(model: Any, build: Callable[[nnx.Rngs], nnx.Module], seed: int) -> Frozen:
    """`model` with its pretrained weights, else with the initial parameters of `seed`.

    build: makes the module, as the model's own `build` for the images at hand. The parameters of a seed are those that
    the model has inside an experiment of that seed.
    """
    make = partial(_seeded, build, seed)
    split: Any = nnx.split(nnx.eval_shape(make), nnx.Param, nnx.BatchStat)
    graphdef, params, stats = split
    source = getattr(model, "pretrained", None)
    if source is None:
        return Frozen(graphdef, params, stats, jax.device_get(initial_parameters(make)), None)
    flat = tree.flatten(params), tree.flatten(stats)
    new_params, new_stats, weights = load_weights(model, source, *flat)
    return Frozen(graphdef, params, stats, (new_params, new_stats), weights)


def _seeded(build: Callable[[nnx.Rngs], nnx.Module], seed: int) -> nnx.Module:
    return build(initial_rngs(seed))
