"""The steps of evaluation, prediction and measuring statistics, each written once; that of training is `update`.

All take an optional axis name: under pmap sums are reduced over it; under jit it is None and sums are global
already. Nothing else differs between one device and many.
"""

import functools
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core import tree
from jaxlab.core.scopes import scope
from jaxlab.core.types import EVALUATION, Batch, Mode
from jaxlab.data.device.mix import Mix, partners
from jaxlab.heads.base import LayersModule
from jaxlab.heads.joint import LOG_VARIANCE
from jaxlab.losses import END
from jaxlab.metrics import TERM, SumsByObjective
from jaxlab.metrics.reduce import gathered, spanned, total
from jaxlab.nn.cpu import on_cpu
from jaxlab.nn.products import round_products
from jaxlab.nn.remat import blocks_of, make_again
from jaxlab.nn.spread import made_whole
from jaxlab.objectives import Resolved, Told
from jaxlab.optim.tuning import BACKBONE
from jaxlab.pretext import Pretext
from jaxlab.training.posed import compared, evaluated
from jaxlab.training.posed import passed as passed_by
from jaxlab.training.state import Variables

Reported = dict[str, Array]
_RANGES = ".ranges."


class Prepare(Protocol):
    """uint8 (or float) images to what the network takes; row keys make the augmentation, None leaves it out.

    Cached features, a dict of arrays, stay as they are.
    """

    def __call__(self, images: Any, keys: Array | None) -> Any: ...


class Forward(NamedTuple):
    """Of one pass, in float32: outputs, the batch statistics after it, and what the network adds to the loss.

    moments: of each batch norm that is observed, by its path: as `BatchNorm` leaves them.
    ranges: of each layer that readouts read, where that is asked for: as `LayersModule` leaves them.
    """

    outputs: Float[Array, "b t"]
    stats: tree.Flat
    penalty: Float[Array, ""]
    moments: tree.Flat
    ranges: tree.Flat | None = None


@dataclass(frozen=True)
class Program:
    """The parts of a forward pass and its scores; all of it static, nothing of it changes while training.

    shapes: the network's (graphdef, params, stats) as nnx.split gives them, of shapes only.
    objectives: the primary one first. predicted: the one that predictions are of.
    prepare: augmentation, mixing and normalisation. mix: what it mixes by, so that losses are mixed alike.
    pretext: what makes a truth of the images so prepared.
    dtype: of the forward and backward pass. remat: in training, blocks compute again what the pass back needs of them.
    """

    shapes: tuple[nnx.GraphDef, nnx.State, nnx.State]
    objectives: tuple[Resolved, ...]
    prepare: Prepare
    mix: Mix | None = None
    pretext: Pretext | None = None
    dtype: str = "float32"
    predicted: int = 0
    remat: bool = False

    @property
    def _kept(self) -> str:
        """The dtype of activations: on a CPU products alone are of bfloat16, which is as fast, and all else exact."""
        return "float32" if on_cpu() else self.dtype

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """Paths of the backbone's blocks."""
        return tuple(path for path in blocks_of(nnx.merge(*self.shapes)) if path.startswith(BACKBONE))

    @property
    def objective(self) -> Resolved:
        """The one that predictions are of."""
        return self.objectives[self.predicted]

    def alone(self) -> Self:
        """The same network, scored by the predicted objective alone."""
        return replace(self, objectives=(self.objective,), predicted=0)

    def apply(
        self,
        variables: Variables,
        images: Any,
        mode: Mode,
        frozen_norms: Collection[str] = (),
        observed: Collection[str] = (),
        ranges: bool = False,
    ) -> Forward:
        """Outputs are encoded targets or logits, of all objectives side by side.

        frozen_norms: paths of batch norms that use their running statistics, and of modules with statistics of their
        own, which stay. observed: of batch norms whose moments are wanted. ranges: whether those of what readouts read
        are.
        """
        graphdef, params, stats = self.shapes
        again = self.blocks if self.remat and mode.train else ()
        cast = {path: leaf.astype(self._kept) for path, leaf in variables.params.items()}
        cast = made_whole(cast, later=again)
        network = nnx.merge(
            graphdef, tree.unflatten(cast, params), tree.unflatten(variables.stats, stats), copy=True
        )
        for path, part in nnx.iter_graph(network):
            if not isinstance(part, nnx.Module):
                continue
            module: Any = part
            name = ".".join(map(str, path))
            if name in frozen_norms and hasattr(module, "use_running_average"):
                module.use_running_average = True
            if name in observed or (ranges and isinstance(module, LayersModule)):
                module.observed = True
            if name in again:
                make_again(module)
        if self._kept != self.dtype:
            round_products(network)
        outputs = network(jax.tree.map(self._computed, images), mode)
        after = tree.flatten(nnx.state(network, nnx.BatchStat))
        after |= {path: variables.stats[path] for path in after if path.rpartition(".")[0] in frozen_norms}
        left = tree.flatten(nnx.state(network, nnx.Intermediate)) if observed or ranges else {}
        return Forward(
            outputs.astype("float32"),
            after,
            network.penalty(mode.epoch).astype("float32"),
            {path.removesuffix(".moments"): leaf for path, leaf in left.items() if path.endswith(".moments")},
            {path.rpartition(_RANGES)[2]: leaf for path, leaf in left.items() if _RANGES in path},
        )

    def _computed(self, seen: Array) -> Array:
        """What the network sees, in the dtype that it computes in; the numbers of words stay whole."""
        return seen.astype(self._kept) if jnp.issubdtype(seen.dtype, jnp.inexact) else seen

    def losses(
        self,
        outputs: Array,
        batch: Batch,
        constants: tree.Flat,
        axis_name: str | None,
        epoch: Float[Array, ""] | float = END,
    ) -> dict[str, Told]:
        """{objective: one a row}. epoch: how many have been trained; evaluation takes losses as they are at the end."""
        sum_over = partial(total, mask=batch.get("mask"), axis_name=axis_name)
        across: dict[str, Any] = {"gather": partial(gathered, axis_name=axis_name), "mask": batch.get("mask")}
        across["first"] = 0 if axis_name is None else jax.lax.axis_index(axis_name) * len(outputs)
        truth: Any = batch["truth"]
        return {
            one.name: one.losses(
                one.own(outputs),
                truth[one.name],
                constants,
                sum_over,
                epoch,
                truth.get(one.taught_name),
                **across,
            )
            for one in self.objectives
        }

    @scope("loss")
    def training_losses(
        self,
        outputs: Array,
        batch: Batch,
        constants: tree.Flat,
        keys: Array,
        axis_name: str | None,
        epoch: Float[Array, ""],
    ) -> dict[str, Told]:
        """`losses`; of images that `prepare` mixed by the same keys, by the shares that they have of two truths."""
        losses, mix = self.losses(outputs, batch, constants, axis_name, epoch), self.mix
        if mix is None:
            return losses
        others = {**batch, "truth": jax.tree.map(partners, batch["truth"])}
        partner = self.losses(outputs, others, constants, axis_name, epoch)
        size = batch["image"].shape[1:3]
        mixed: dict[str, Told] = jax.tree.map(
            lambda own, other: mix.losses(own, other, keys, *size), losses, partner
        )
        return mixed

    def weights(self, params: tree.Flat, epoch: Float[Array, ""] | float) -> dict[str, Any]:
        """{objective: what its loss counts} after so many epochs; learned ones are in the parameters."""
        return {
            one.name: one.weight_at(epoch, params.get(f"{LOG_VARIANCE}{one.name}")) for one in self.objectives
        }

    def changing_weights(self, params: tree.Flat, epoch: Float[Array, ""] | float) -> Reported:
        """{"NAME/weight": what it is now} of the objectives whose weights are learned or on a ramp, and of the terms
        of their losses that are on one.
        """
        objectives = {
            f"{name}/weight": weight
            for name, weight in self.weights(params, epoch).items()
            if not isinstance(weight, int | float)
        }
        several = len(self.objectives) > 1
        return objectives | {
            f"{one.name}/{TERM}{term}/weight" if several else f"{TERM}{term}/weight": weight
            for one in self.objectives
            for term, weight in one.changing(epoch).items()
        }

    def added(self, passed: Forward, params: tree.Flat) -> Float[Array, ""]:
        """What comes to the losses besides: the network's penalties, and s / 2 of each learned weight."""
        variances = [leaf for path, leaf in params.items() if path.startswith(LOG_VARIANCE)]
        return functools.reduce(operator.add, (leaf / 2 for leaf in variances), passed.penalty)

    def weighted(self, losses: Mapping[str, Any], weights: Mapping[str, Any]) -> Any:
        """The sum over objectives, each with its weight."""
        return functools.reduce(
            operator.add, (weights[one.name] * losses[one.name] for one in self.objectives)
        )

    def start(self) -> SumsByObjective:
        """Empty sums."""
        return {one.name: one.start() for one in self.objectives}

    @scope("loss")
    def add(
        self,
        sums: SumsByObjective,
        outputs: Array,
        losses: Mapping[str, Told],
        batch: Batch,
        constants: tree.Flat,
        axis_name: str | None,
    ) -> SumsByObjective:
        """`sums` with a batch added, in the truths' own units."""
        outputs, losses, batch = jax.lax.stop_gradient((outputs, losses, batch))
        return {
            one.name: sums[one.name].add(
                one.in_units(one.own(outputs), constants), one.scored(batch["truth"][one.name]),
                losses[one.name].loss, batch.get("mask"), axis_name, losses[one.name].terms,
            )
            for one in self.objectives
        }  # fmt: skip

    def scores(self, sums: SumsByObjective, ceiling: np.ndarray | None = None) -> dict[str, float]:
        """The primary objective's scores by their names; of several objectives those of each as `objective/score`.

        Among them are the terms that its loss adds up, "loss/mse" and so on, without their weights.

        "loss" is the sum weighted as the config has it: by what a learned weight starts from, and a ramp comes to.
        ceiling: as in `Resolved.scores`.
        """
        each = {one.name: one.scores(sums[one.name], ceiling) for one in self.objectives}
        primary = each[self.objectives[0].name]
        if len(each) == 1:
            return primary
        primary = {name: value for name, value in primary.items() if not name.startswith(TERM)}
        loss = self.weighted({name: scores["loss"] for name, scores in each.items()}, self.weights({}, END))
        named = {f"{name}/{score}": value for name, scores in each.items() for score, value in scores.items()}
        return {**primary, "loss": loss, **named}


def evaluation_step(
    program: Program, variables: Variables, sums: SumsByObjective, batch: Batch, axis_name: str | None = None
) -> tuple[SumsByObjective, tree.Flat]:
    """`sums` with an evaluation batch added, of which rows where `mask` is False count as nothing; and {layer: (2, c)},
    the least and the largest value of each channel that readouts read: padding repeats a row, and moves none.
    """
    passed, batch = evaluated(program, variables, compared(program, batch, axis_name))
    outputs = passed.outputs
    losses = program.losses(outputs, batch, variables.constants, axis_name)
    sums = program.add(sums, outputs, losses, batch, variables.constants, axis_name)
    return sums, {name: spanned(leaf, axis_name) for name, leaf in (passed.ranges or {}).items()}


def prediction_step(
    program: Program, variables: Variables, batch: Batch, axis_name: str | None = None
) -> Float[Array, "b t"]:
    """Predictions in the targets' own units, or logits."""
    outputs = program.apply(variables, program.prepare(batch["image"], None), EVALUATION).outputs
    return program.objective.in_units(program.objective.own(outputs), variables.constants)


def measuring_step(
    program: Program,
    frozen_norms: Collection[str],
    variables: Variables,
    count: Float[Array, ""],
    batch: Batch,
    axis_name: str | None = None,
) -> Variables:
    """`variables` with batch-norm statistics averaged over the `count` batches before and this one, all weighted alike.

    They are those of images as evaluation sees them, without dropout. frozen_norms: as in `Program.apply`.
    """
    mode = Mode(axis_name=axis_name, momentum=1 / (count + 1))
    passed, _ = passed_by(program, variables, batch, None, mode, frozen_norms)
    return replace(variables, stats=passed.stats)


def compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` gives, in one compiled call."""
    return jax.jit(function)(*arguments)


def initial_parameters(
    build: Callable[[], nnx.Module], made: Callable[..., Any] = compiled
) -> tuple[tree.Flat, tree.Flat]:
    """The network's own initial parameters and batch statistics. made: calls what makes them."""

    def make() -> tuple[tree.Flat, tree.Flat]:
        params, stats = nnx.state(build(), nnx.Param, nnx.BatchStat)
        return tree.flatten(params), tree.flatten(stats)

    found: tuple[tree.Flat, tree.Flat] = made(make)
    return found
