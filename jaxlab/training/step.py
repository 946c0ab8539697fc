"""One training step and one evaluation step, each written once.

Both take an optional axis name: under pmap sums are reduced over it; under jit it is None and sums are global
already. Nothing else differs between one device and many.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float

from jaxlab import tree
from jaxlab.losses import Loss
from jaxlab.metrics import Sums
from jaxlab.metrics.reduce import total
from jaxlab.optim import ema_update
from jaxlab.rng import row_keys, step_key
from jaxlab.training.state import TrainState, Variables
from jaxlab.types import EVALUATION, Batch, Kind, Mode

Reported = dict[str, Array]


class Prepare(Protocol):
    """uint8 (or float) images to what the network takes; row keys make the augmentation, None leaves it out."""

    def __call__(self, images: Array, keys: Array | None) -> Float[Array, "b h w c"]: ...


@dataclass(frozen=True)
class Program:
    """The parts that a step is made of; all of it static, nothing of it changes while training.

    shapes: the network's (graphdef, params, stats) as nnx.split gives them, of shapes only.
    prepare: augmentation and normalisation. rate: update's number -> learning rate.
    accumulate: micro-batches whose gradients make one update. dtype: of the forward and backward pass.
    """

    shapes: tuple[nnx.GraphDef, nnx.State, nnx.State]
    kind: Kind
    prepare: Prepare
    loss: Loss
    optimizer: optax.GradientTransformation
    rate: Callable[[Array], Array]
    seed: int
    accumulate: int = 1
    dtype: str = "float32"
    ema_decay: float | None = None

    def apply(self, variables: Variables, images: Array, mode: Mode) -> tuple[Float[Array, "b t"], tree.Flat]:
        """Outputs (standardised targets, or logits) in float32, and the batch statistics after the pass."""
        graphdef, params, stats = self.shapes
        cast = {path: leaf.astype(self.dtype) for path, leaf in variables.params.items()}
        network = nnx.merge(
            graphdef, tree.unflatten(cast, params), tree.unflatten(variables.stats, stats), copy=True
        )
        outputs = network(images.astype(self.dtype), mode)
        return outputs.astype("float32"), tree.flatten(nnx.state(network, nnx.BatchStat))

    def truth(self, batch: Batch, constants: tree.Flat) -> Array:
        """What the loss compares outputs with: labels, or targets standardised by the training data's."""
        if self.kind == "classification":
            return batch["label"]
        return (batch["target"] - constants["target_mean"][None]) / constants["target_scale"][None]

    def in_units(self, outputs: Array, constants: tree.Flat) -> Array:
        """Outputs in the targets' own units; logits as they are."""
        if self.kind == "classification":
            return outputs
        return outputs * constants["target_scale"][None] + constants["target_mean"][None]

    def add(
        self,
        sums: Sums,
        outputs: Array,
        losses: Array,
        batch: Batch,
        constants: tree.Flat,
        axis_name: str | None,
    ) -> Sums:
        """`sums` with a batch added, in the targets' own units."""
        truth = batch["label"] if self.kind == "classification" else batch["target"]
        outputs, losses = jax.lax.stop_gradient((self.in_units(outputs, constants), losses))
        return sums.add(outputs, truth, losses, batch.get("mask"), axis_name)


def train_step(
    program: Program, state: TrainState, batch: Batch, axis_name: str | None = None
) -> tuple[TrainState, Reported]:
    """Augment, normalise, forward, loss, gradient, update."""
    rows = row_keys(step_key(program.seed, state.step), len(batch["index"]), axis_name)

    def micro(carry: tuple, part: tuple) -> tuple[tuple, None]:
        grads, stats, sums, summed = carry
        piece, keys = part
        (loss, (stats, sums)), new = jax.value_and_grad(objective, has_aux=True)(
            state.params, stats, sums, piece, keys
        )
        return (jax.tree.map(jnp.add, grads, new), stats, sums, summed + loss), None

    def objective(
        params: tree.Flat, stats: tree.Flat, sums: Sums, piece: Batch, keys: Array
    ) -> tuple[Array, tuple]:
        split = jax.vmap(lambda key: jax.random.split(key, 2), out_axes=1)(keys)
        images = program.prepare(piece["image"], split[0])
        mode = Mode(train=True, row_keys=split[1], axis_name=axis_name)
        outputs, stats = program.apply(Variables(params, stats, state.constants), images, mode)
        losses = program.loss(outputs, program.truth(piece, state.constants))
        sums = program.add(sums, outputs, losses, piece, state.constants, axis_name)
        return losses.sum() / rows_in_all, (stats, sums)

    rows_in_all = total(jnp.ones(len(rows)), None, axis_name)
    zeros = jax.tree.map(jnp.zeros_like, state.params)
    carry = (zeros, state.stats, state.sums, jnp.zeros(()))
    parts = _micro_batches((batch, rows), program.accumulate)
    if program.accumulate == 1:
        carry, _ = micro(carry, jax.tree.map(lambda x: x[0], parts))
    else:
        carry, _ = jax.lax.scan(micro, carry, parts)
    grads, stats, sums, loss = carry
    if axis_name is not None:
        grads, loss = jax.lax.psum((grads, loss), axis_name)
    return _updated(program, state, grads, stats, sums), {
        "loss": loss,
        "learning_rate": program.rate(state.step) * state.rate_scale,
        "gradient_norm": optax.tree.norm(grads),
    }


def _micro_batches(tree_: Any, parts: int) -> Any:
    """Rows dealt out like cards, so that each device's share of a micro-batch lies on that device."""
    return jax.tree.map(lambda x: jnp.moveaxis(x.reshape(len(x) // parts, parts, *x.shape[1:]), 1, 0), tree_)


def _updated(
    program: Program, state: TrainState, grads: tree.Flat, stats: tree.Flat, sums: Sums
) -> TrainState:
    updates, opt_state = program.optimizer.update(grads, state.opt_state, state.params)
    updates = jax.tree.map(lambda update: update * state.rate_scale, updates)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if program.ema_decay is not None and ema is not None:
        ema = ema_update(ema, params, program.ema_decay, state.step)
    return replace(
        state, step=state.step + 1, params=params, stats=stats, opt_state=opt_state, ema=ema, sums=sums
    )


def evaluation_step(
    program: Program, variables: Variables, sums: Sums, batch: Batch, axis_name: str | None = None
) -> Sums:
    """`sums` with an evaluation batch added; rows where `mask` is False count as nothing."""
    outputs, _ = program.apply(variables, program.prepare(batch["image"], None), EVALUATION)
    losses = program.loss(outputs, program.truth(batch, variables.constants))
    return program.add(sums, outputs, losses, batch, variables.constants, axis_name)


def prediction_step(
    program: Program, variables: Variables, batch: Batch, axis_name: str | None = None
) -> Float[Array, "b t"]:
    """Predictions in the targets' own units, or logits."""
    outputs, _ = program.apply(variables, program.prepare(batch["image"], None), EVALUATION)
    return program.in_units(outputs, variables.constants)


def initial_parameters(build: Callable[[], nnx.Module]) -> tuple[tree.Flat, tree.Flat]:
    """The network's own initial parameters and batch statistics, made in one compiled call."""

    def make() -> tuple[tree.Flat, tree.Flat]:
        params, stats = nnx.state(build(), nnx.Param, nnx.BatchStat)
        return tree.flatten(params), tree.flatten(stats)

    return jax.jit(make)()
