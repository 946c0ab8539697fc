"""The steps of training, evaluation, prediction and measuring statistics, each written once.

All take an optional axis name: under pmap sums are reduced over it; under jit it is None and sums are global
already. Nothing else differs between one device and many.
"""

import functools
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core import tree
from jaxlab.core.rng import row_keys, step_key
from jaxlab.core.types import EVALUATION, Batch, Mode
from jaxlab.data.device.mix import Mix, partners
from jaxlab.losses import END
from jaxlab.metrics import SumsByObjective
from jaxlab.metrics.reduce import total
from jaxlab.objectives import Resolved
from jaxlab.optim import Groups
from jaxlab.training.state import TrainState, Variables

Reported = dict[str, Array]


class Prepare(Protocol):
    """uint8 (or float) images to what the network takes; row keys make the augmentation, None leaves it out.

    Cached features, a dict of arrays, stay as they are.
    """

    def __call__(self, images: Any, keys: Array | None) -> Any: ...


class Forward(NamedTuple):
    """Of one pass, in float32: outputs, the batch statistics after it, and what the network adds to the loss.

    moments: of each batch norm that is observed, by its path: as `BatchNorm` leaves them.
    """

    outputs: Float[Array, "b t"]
    stats: tree.Flat
    penalty: Float[Array, ""]
    moments: tree.Flat


@dataclass(frozen=True)
class Program:
    """The parts of a forward pass and its scores; all of it static, nothing of it changes while training.

    shapes: the network's (graphdef, params, stats) as nnx.split gives them, of shapes only.
    objectives: the primary one first. predicted: the one that predictions are of.
    prepare: augmentation, mixing and normalisation. mix: what it mixes by, so that losses are mixed alike.
    dtype: of the forward and backward pass.
    """

    shapes: tuple[nnx.GraphDef, nnx.State, nnx.State]
    objectives: tuple[Resolved, ...]
    prepare: Prepare
    mix: Mix | None = None
    dtype: str = "float32"
    predicted: int = 0

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
    ) -> Forward:
        """Outputs are encoded targets or logits, of all objectives side by side.

        frozen_norms: paths of batch norms that use their running statistics. observed: of those whose moments are
        wanted.
        """
        graphdef, params, stats = self.shapes
        cast = {path: leaf.astype(self.dtype) for path, leaf in variables.params.items()}
        network = nnx.merge(
            graphdef, tree.unflatten(cast, params), tree.unflatten(variables.stats, stats), copy=True
        )
        for path, module in nnx.iter_graph(network):
            if not isinstance(module, nnx.Module):
                continue
            name = ".".join(map(str, path))
            if name in frozen_norms:
                module.set_attributes(use_running_average=True)
            if name in observed:
                module.set_attributes(observed=True)
        outputs = network(jax.tree.map(lambda x: x.astype(self.dtype), images), mode)
        after = tree.flatten(nnx.state(network, nnx.BatchStat))
        left = tree.flatten(nnx.state(network, nnx.Intermediate)) if observed else {}
        moments = {path.removesuffix(".moments"): leaf for path, leaf in left.items()}
        return Forward(outputs.astype("float32"), after, network.penalty().astype("float32"), moments)

    def losses(
        self,
        outputs: Array,
        batch: Batch,
        constants: tree.Flat,
        axis_name: str | None,
        epoch: Float[Array, ""] | float = END,
    ) -> dict[str, Array]:
        """{objective: one a row}. epoch: how many have been trained; evaluation takes losses as they are at the end."""
        sum_over = partial(total, mask=batch.get("mask"), axis_name=axis_name)
        return {
            one.name: one.losses(one.own(outputs), batch["truth"][one.name], constants, sum_over, epoch)
            for one in self.objectives
        }

    def training_losses(
        self,
        outputs: Array,
        batch: Batch,
        constants: tree.Flat,
        keys: Array,
        axis_name: str | None,
        epoch: Float[Array, ""],
    ) -> dict[str, Array]:
        """`losses`; of images that `prepare` mixed by the same keys, by the shares that they have of two truths."""
        losses = self.losses(outputs, batch, constants, axis_name, epoch)
        if self.mix is None:
            return losses
        others = {**batch, "truth": jax.tree.map(partners, batch["truth"])}
        partner = self.losses(outputs, others, constants, axis_name, epoch)
        size = batch["image"].shape[1:3]
        return {name: self.mix.losses(own, partner[name], keys, *size) for name, own in losses.items()}

    def weighted(self, losses: Mapping[str, Any]) -> Any:
        """The sum over objectives, each with its weight."""
        return functools.reduce(operator.add, (one.weight * losses[one.name] for one in self.objectives))

    def start(self) -> SumsByObjective:
        """Empty sums."""
        return {one.name: one.start() for one in self.objectives}

    def add(
        self,
        sums: SumsByObjective,
        outputs: Array,
        losses: Mapping[str, Array],
        batch: Batch,
        constants: tree.Flat,
        axis_name: str | None,
    ) -> SumsByObjective:
        """`sums` with a batch added, in the truths' own units."""
        outputs, losses = jax.lax.stop_gradient((outputs, losses))
        return {
            one.name: sums[one.name].add(
                one.in_units(one.own(outputs), constants), batch["truth"][one.name], losses[one.name],
                batch.get("mask"), axis_name,
            )
            for one in self.objectives
        }  # fmt: skip

    def scores(self, sums: SumsByObjective, ceiling: np.ndarray | None = None) -> dict[str, float]:
        """The primary objective's scores by their names; of several objectives those of each as `objective/score`.

        "loss" is that of training: the weighted sum. ceiling: as in `Resolved.scores`.
        """
        each = {one.name: one.scores(sums[one.name], ceiling) for one in self.objectives}
        primary = each[self.objectives[0].name]
        if len(each) == 1:
            return primary
        loss = self.weighted({name: scores["loss"] for name, scores in each.items()})
        named = {f"{name}/{score}": value for name, scores in each.items() for score, value in scores.items()}
        return {**primary, "loss": loss, **named}


@dataclass(frozen=True)
class Learning:
    """How steps change the state from step `first` on; static, one for each phase of a run.

    trains: paths of the parameters that gradients are taken of. frozen_norms: as in `Program.apply`.
    rate, momentum: update's number -> learning rate, and momentum where that changes too.
    steps_per_epoch: updates in an epoch, by which losses are told how far training is.
    accumulate: micro-batches whose gradients make one update.
    """

    first: int
    trains: tuple[str, ...]
    frozen_norms: frozenset[str]
    optimizer: Groups
    rate: Callable[[Array], Array]
    seed: int
    steps_per_epoch: int = 1
    accumulate: int = 1
    ema_decay: float | None = None
    momentum: Callable[[Array], Array] | None = None


def train_step(
    program: Program, learning: Learning, state: TrainState, batch: Batch, axis_name: str | None = None
) -> tuple[TrainState, Reported]:
    """Augment, normalise, forward, loss, gradient, update."""
    rows = row_keys(step_key(learning.seed, state.step), len(batch["index"]), axis_name)
    trained = {path: state.params[path] for path in learning.trains}

    def micro(carry: tuple, part: tuple) -> tuple[tuple, None]:
        grads, stats, sums, summed = carry
        piece, keys = part
        (_, (loss, stats, sums)), new = jax.value_and_grad(objective, has_aux=True)(
            trained, stats, sums, piece, keys
        )
        return (jax.tree.map(jnp.add, grads, new), stats, sums, summed + loss), None

    def objective(
        trained: tree.Flat, stats: tree.Flat, sums: SumsByObjective, piece: Batch, keys: Array
    ) -> tuple[Array, tuple]:
        split = jax.vmap(lambda key: jax.random.split(key, 2), out_axes=1)(keys)
        images = program.prepare(piece["image"], split[0])
        mode = Mode(train=True, row_keys=split[1], axis_name=axis_name)
        variables = Variables(state.params | trained, stats, state.constants)
        outputs, stats, penalty, _ = program.apply(variables, images, mode, learning.frozen_norms)
        losses = program.training_losses(outputs, piece, state.constants, split[0], axis_name, epoch)
        sums = program.add(sums, outputs, losses, piece, state.constants, axis_name)
        loss = program.weighted(losses).sum() / rows_in_all
        return loss + penalty * (len(outputs) / rows_in_all), (loss, stats, sums)

    epoch = state.step / learning.steps_per_epoch
    rows_in_all = total(jnp.ones(len(rows)), None, axis_name)
    zeros = jax.tree.map(jnp.zeros_like, trained)
    carry = (zeros, state.stats, state.sums, jnp.zeros(()))
    parts = _micro_batches((batch, rows), learning.accumulate)
    if learning.accumulate == 1:
        carry, _ = micro(carry, jax.tree.map(lambda x: x[0], parts))
    else:
        carry, _ = jax.lax.scan(micro, carry, parts)
    grads, stats, sums, loss = carry
    if axis_name is not None:
        grads, loss = jax.lax.psum((grads, loss), axis_name)
    rate = learning.rate(state.step) * state.rate_scale
    momentum = None if learning.momentum is None else learning.momentum(state.step)
    params, opt_state = learning.optimizer.update(grads, state.opt_state, state.params, rate, momentum)
    reported = {"loss": loss, "learning_rate": rate, "gradient_norm": optax.tree.norm(grads)}
    return replace(
        state, step=state.step + 1, params=params, stats=stats, opt_state=opt_state,
        ema=_averaged(learning, state, params), sums=sums,
    ), reported  # fmt: skip


def _micro_batches(tree_: Any, parts: int) -> Any:
    """Rows dealt out like cards, so that each device's share of a micro-batch lies on that device."""
    return jax.tree.map(lambda x: jnp.moveaxis(x.reshape(len(x) // parts, parts, *x.shape[1:]), 1, 0), tree_)


def _averaged(learning: Learning, state: TrainState, params: tree.Flat) -> tree.Flat | None:
    """The moving average after an update; of a parameter that does not train it is the parameter.

    The decay rises as min(decay, (1 + step) / (10 + step)), so that a short run is not held at its start.
    """
    if learning.ema_decay is None or state.ema is None:
        return state.ema
    before, now = ({path: tree_[path] for path in learning.trains} for tree_ in (state.ema, params))
    kept = jnp.minimum(learning.ema_decay, (1.0 + state.step) / (10.0 + state.step))
    # Not optax.incremental_update: its two products round otherwise, and runs go on from older checkpoints.
    return state.ema | optax.tree.add_scale(before, 1.0 - kept, optax.tree.sub(now, before))


def evaluation_step(
    program: Program, variables: Variables, sums: SumsByObjective, batch: Batch, axis_name: str | None = None
) -> SumsByObjective:
    """`sums` with an evaluation batch added; rows where `mask` is False count as nothing."""
    outputs = program.apply(variables, program.prepare(batch["image"], None), EVALUATION).outputs
    losses = program.losses(outputs, batch, variables.constants, axis_name)
    return program.add(sums, outputs, losses, batch, variables.constants, axis_name)


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
    stats = program.apply(variables, program.prepare(batch["image"], None), mode, frozen_norms).stats
    return replace(variables, stats=stats)


def initial_parameters(build: Callable[[], nnx.Module]) -> tuple[tree.Flat, tree.Flat]:
    """The network's own initial parameters and batch statistics, made in one compiled call."""

    def make() -> tuple[tree.Flat, tree.Flat]:
        params, stats = nnx.state(build(), nnx.Param, nnx.BatchStat)
        return tree.flatten(params), tree.flatten(stats)

    return jax.jit(make)()
