"""Whether the objectives of a network agree: each one's gradient on the parameters that they share."""

from itertools import combinations

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, UInt

from jaxlab.core import tree
from jaxlab.core.rng import row_keys, step_key
from jaxlab.core.types import Batch
from jaxlab.metrics.reduce import total
from jaxlab.optim.tuning import BACKBONE
from jaxlab.training.state import TrainState, Variables
from jaxlab.training.step import Program, Reported
from jaxlab.training.update import Learning, forward, micro_batches


def shared(learning: Learning) -> tuple[str, ...]:
    """Paths of the parameters that train and that all objectives have a share in: the backbone's."""
    return tuple(path for path in learning.trains if path.startswith(BACKBONE))


def compared_gradients(
    program: Program,
    learning: Learning,
    state: TrainState,
    batch: Batch,
    seed: UInt[Array, " w"],
    axis_name: str | None = None,
) -> Reported:
    """{"norms": (t,), "products": (t (t - 1) / 2,)}: lengths of the objectives' gradients on `shared`, and each pair's
    inner product, in the order of `itertools.combinations`.

    Of the weighted losses, so that the sum over objectives is the gradient that they train by. They share one pass
    forward, and each has a pass back of its own through the backbone alone.
    """
    rows = row_keys(step_key(seed, state.step), len(batch["index"]), axis_name)
    own = {path: state.params[path] for path in shared(learning)}
    weights = program.weights(state.params, learning.epoch(state))
    names = [one.name for one in program.objectives]

    def micro(carry: tuple, part: tuple) -> tuple[tuple, None]:
        gradients, stats = carry
        piece, keys = part

        def each(own: tree.Flat) -> tuple[list[Array], tree.Flat]:
            variables = Variables(state.params | own, stats, state.constants)
            losses, passed, _ = forward(program, learning, state, variables, piece, keys, axis_name)
            return [weights[name] * losses[name].loss.sum() / rows_in_all for name in names], passed.stats

        values, back, stats = jax.vjp(each, own, has_aux=True)
        one_at_a_time = jnp.eye(len(names), dtype=values[0].dtype)
        new = [back(list(chosen))[0] for chosen in one_at_a_time]
        return (jax.tree.map(jnp.add, gradients, new), stats), None

    rows_in_all = total(jnp.ones(len(rows)), None, axis_name)
    start = ([jax.tree.map(jnp.zeros_like, own) for _ in names], state.stats)
    parts = micro_batches((batch, rows), learning.accumulate)
    if learning.accumulate == 1:  # XLA's CPU backend is slow within a loop
        (gradients, _), _ = micro(start, jax.tree.map(lambda x: x[0], parts))
    else:
        (gradients, _), _ = jax.lax.scan(micro, start, parts)
    if axis_name is not None:
        gradients = jax.lax.psum(gradients, axis_name)
    return {
        "norms": jnp.stack([optax.tree.norm(one) for one in gradients]),
        "products": jnp.stack([optax.tree.vdot(*pair) for pair in combinations(gradients, 2)]),
    }
