"""The step of training, written once: gradient, update, averages. An axis name is as in `step`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, UInt

from jaxlab.core import tree
from jaxlab.core.rng import row_keys, seed_words, step_key
from jaxlab.core.scopes import scope
from jaxlab.core.types import Batch, Mode
from jaxlab.metrics import SumsByObjective
from jaxlab.metrics.reduce import total
from jaxlab.nn.spread import in_parts, whole_once
from jaxlab.objectives import Told
from jaxlab.optim import Groups
from jaxlab.training.posed import passed as passed_by
from jaxlab.training.sharding import Layout
from jaxlab.training.state import TrainState, Variables
from jaxlab.training.step import Forward, Program, Reported


@dataclass(frozen=True)
class Learning:
    """How steps change the state from step `first` on; static, one for each phase of a run.

    trains: paths of the parameters that gradients are taken of. frozen_norms: as in `Program.apply`.
    rate, momentum: update's number -> learning rate, and momentum where that changes too.
    steps_per_epoch: updates in an epoch, by which losses are told how far training is.
    accumulate: micro-batches whose gradients make one update.
    ema_decay: of the moving average. average_from: the step from which on the mean is taken instead.
    """

    first: int
    trains: tuple[str, ...]
    frozen_norms: frozenset[str]
    optimizer: Groups
    rate: Callable[[Array], Array]
    steps_per_epoch: int = 1
    accumulate: int = 1
    ema_decay: float | None = None
    momentum: Callable[[Array], Array] | None = None
    average_from: int | None = None

    def epoch(self, state: TrainState) -> Float[Array, ""]:
        """How many have been trained, with fractions."""
        return state.step / self.steps_per_epoch


class Passed(NamedTuple):
    """Of a batch's passes forward and back: gradient, batch statistics and scores' sums after it.

    losses: "loss", the weighted sum, and of several objectives each one's own as "NAME/loss".
    """

    grads: tree.Flat
    stats: tree.Flat
    sums: SumsByObjective
    losses: Reported


def compiled(
    step: Callable, layout: Layout, seed: int, donate: int | None = None
) -> Callable[[TrainState, Any], Any]:
    """(state, batch) -> what `step`(state, batch, seed) gives, compiled for the layout when it is first called."""
    made = layout.compile(step, batch_at=1, arguments=3, donate=donate)
    words = layout.put(seed_words(seed))
    return lambda state, batch: made(state, batch, words)


def train_step(
    program: Program,
    learning: Learning,
    state: TrainState,
    batch: Batch,
    seed: UInt[Array, " w"],
    axis_name: str | None = None,
) -> tuple[TrainState, Reported]:
    """Augment, normalise, forward, loss, gradient, update. seed: its `seed_words`."""
    trained = {path: state.params[path] for path in learning.trains}
    rows = row_keys(step_key(seed, state.step), len(batch["index"]), axis_name)
    grads, stats, sums, losses = passes(program, learning, state, trained, batch, rows, axis_name)
    if learning.optimizer.optimizer.sam is not None:
        trained = climbed(trained, grads, learning.optimizer.optimizer.sam)
        grads = passes(program, learning, state, trained, batch, rows, axis_name).grads
    rate = learning.rate(state.step) * state.rate_scale
    momentum = None if learning.momentum is None else learning.momentum(state.step)
    with scope("optimizer"):
        params, opt_state = learning.optimizer.update(grads, state.opt_state, state.params, rate, momentum)
        ema = _averaged(learning, state, params)
    reported = {**losses, "learning_rate": rate, "gradient_norm": optax.tree.norm(grads)}
    reported |= program.changing_weights(state.params, learning.epoch(state))
    return replace(
        state, step=state.step + 1, params=params, stats=stats, opt_state=opt_state,
        ema=ema, sums=sums,
    ), reported  # fmt: skip


def passes(
    program: Program,
    learning: Learning,
    state: TrainState,
    trained: tree.Flat,
    batch: Batch,
    rows: Key[Array, " b"],
    axis_name: str | None,
) -> Passed:
    """The batch's passes at the parameters `trained`, of all devices and micro-batches together. rows: a key each."""

    def micro(carry: tuple, part: tuple) -> tuple[tuple, None]:
        grads, stats, sums, summed = carry
        piece, keys = part
        (_, (losses, stats, sums)), new = jax.value_and_grad(whole_once(objective), has_aux=True)(
            trained, stats, sums, piece, keys
        )
        new = in_parts(new)
        return (jax.tree.map(jnp.add, grads, new), stats, sums, jax.tree.map(jnp.add, summed, losses)), None

    def objective(
        trained: tree.Flat, stats: tree.Flat, sums: SumsByObjective, piece: Batch, keys: Array
    ) -> tuple[Array, tuple]:
        variables = Variables(state.params | trained, stats, state.constants)
        told, passed, piece = forward(program, learning, state, variables, piece, keys, axis_name)
        sums = program.add(sums, passed.outputs, told, piece, state.constants, axis_name)
        losses = {name: one.loss for name, one in told.items()}
        weights = program.weights(variables.params, learning.epoch(state))
        loss = program.weighted(losses, weights).sum() / rows_in_all
        said = {"loss": loss, **{name: losses[one].sum() / rows_in_all for name, one in named.items()}}
        added = program.added(passed, variables.params) * (len(passed.outputs) / rows_in_all)
        return loss + added, (said, passed.stats, sums)

    rows_in_all = total(jnp.ones(len(rows)), None, axis_name)
    names = [one.name for one in program.objectives]
    named = {f"{name}/loss": name for name in names if len(names) > 1}
    zeros = jax.tree.map(jnp.zeros_like, trained)
    carry = (zeros, state.stats, state.sums, dict.fromkeys(("loss", *named), jnp.zeros(())))
    parts = micro_batches((batch, rows), learning.accumulate)
    if learning.accumulate == 1:
        carry, _ = micro(carry, jax.tree.map(lambda x: x[0], parts))
    else:
        carry, _ = jax.lax.scan(micro, carry, parts)
    grads, stats, sums, losses = carry
    if axis_name is not None:
        grads, losses = jax.lax.psum((grads, losses), axis_name)
    return Passed(grads, stats, sums, losses)


def forward(
    program: Program,
    learning: Learning,
    state: TrainState,
    variables: Variables,
    piece: Batch,
    keys: Array,
    axis_name: str | None,
) -> tuple[dict[str, Told], Forward, Batch]:
    """{objective: a loss a row} of a piece of the batch, augmented and in training mode, the pass itself, and the piece
    with its truth.
    """
    split = jax.vmap(lambda key: jax.random.split(key, 2), out_axes=1)(keys)
    constants, epoch = state.constants, learning.epoch(state)
    mode = Mode(train=True, row_keys=split[1], axis_name=axis_name, epoch=epoch)
    passed, piece = passed_by(program, variables, piece, split[0], mode, learning.frozen_norms)
    told = program.training_losses(passed.outputs, piece, constants, split[0], axis_name, epoch)
    return told, passed, piece


def climbed(params: tree.Flat, grads: tree.Flat, radius: float) -> tree.Flat:
    """p + radius * g / |g|: where, to first order, the loss within `radius` is largest (Foret et al. 2021, eq. 2).

    The norm is over all parameters that train. Where there is no gradient, the parameters themselves.
    """
    # Not optax.contrib.sam, whose opaque form takes gradients of a function itself: statistics, sums and the loss of
    # the first pass would be lost, and micro-batches and devices would each climb alone.
    norm = optax.tree.norm(grads)
    return optax.tree.add_scale(params, jnp.where(norm > 0, radius / norm, 0.0), grads)


def micro_batches(tree_: Any, parts: int) -> Any:
    """Rows dealt out like cards, so that each device's share of a micro-batch lies on that device."""
    return jax.tree.map(lambda x: jnp.moveaxis(x.reshape(len(x) // parts, parts, *x.shape[1:]), 1, 0), tree_)


def _averaged(learning: Learning, state: TrainState, params: tree.Flat) -> tree.Flat | None:
    """The average after an update; of a parameter that does not train it is the parameter.

    A moving one's decay rises as min(decay, (1 + step) / (10 + step)), so that a short run is not held at its start.
    The mean over the updates from `average_from` on (Izmailov et al. 2018) is, before that, of the last one alone.
    """
    if state.ema is None:
        return None
    before, now = ({path: tree_[path] for path in learning.trains} for tree_ in (state.ema, params))
    if learning.average_from is not None:
        count = jnp.maximum(state.step - learning.average_from, 0) + 1
        mean = optax.tree.add_scale(before, 1.0 / count, optax.tree.sub(now, before))
        return state.ema | jax.tree.map(lambda old, new: jnp.where(count > 1, old, new), mean, now)
    if learning.ema_decay is None:
        return state.ema
    kept = jnp.minimum(learning.ema_decay, (1.0 + state.step) / (10.0 + state.step))
    # Not optax.incremental_update: its two products round otherwise, and runs go on from older checkpoints.
    return state.ema | optax.tree.add_scale(before, 1.0 - kept, optax.tree.sub(now, before))
