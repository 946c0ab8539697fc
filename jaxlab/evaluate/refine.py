"""Per-instance optimisation: a few gradient steps, for each test batch alone, on what needs no labels.

Read for it: test-time training on entropy (Tent, Wang et al. 2021), on one image's augmented views (MEMO, Zhang et
al. 2022) and on activations' means and variances (ActMAD, Mirza et al. 2023). Unlike Tent, every batch starts from
the trained network and nothing is carried over, so that predictions depend on no order of batches.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxlab.core import tree
from jaxlab.core.config import Component
from jaxlab.core.types import EVALUATION, Batch, UserError
from jaxlab.data.device.augment import intensities
from jaxlab.evaluate.tta import View, predicted
from jaxlab.metrics.reduce import total
from jaxlab.models.order import order
from jaxlab.training.state import Variables
from jaxlab.training.step import Program

_EFFICIENT = 1.345 * 1.4826  # Huber's threshold in standard deviations, which are 1.4826 median deviations


@dataclass(frozen=True, kw_only=True)
class Refine(Component):
    """What is optimised for each test batch, and for how long; off by default.

    adapts: "output": the prediction itself, for consistency (`refined_output`); of numbers it takes three views or
        more, as two agree best on their mean. "statistics": the running means and variances of the network's batch
        norms, which with the same steps for scale and bias would do no more (`refined_statistics`). None: nothing.
    objective: of statistics. "consistency": predictions from the views of `tta` agree. "features": what batch norms put
        out has the mean 0 and the variance 1 that it has over training data. A small batch differs from these by
        chance, and is then moved as a whole, against other batches.
    layers: a regular expression for the paths of the batch norms whose features are compared; default all that the
        readout depends on.
    steps: gradient steps on each batch. lr: of Adam, for statistics: in standard deviations of a channel, and for
        variances in their logarithm.
    stay: weight of the squared distance from the unrefined prediction, for consistency: without it a network agrees
        with itself best where it says nothing.
    seconds: for a whole split; once they have passed, the remaining batches are predicted unrefined. A batch that has
        begun is refined to its end.
    """

    adapts: Literal["output", "statistics"] | None = None
    objective: Literal["consistency", "features"] = "consistency"
    layers: str = ""
    steps: int = 10
    lr: float = 0.001
    stay: float = 0.1
    seconds: float = 600.0

    def check(self) -> None:
        if self.adapts == "output" and self.objective == "features":
            raise UserError(
                'Refine: objective="features" goes with adapts="statistics"; an output has no features to compare'
            )
        for name in ("steps", "lr", "seconds"):
            if getattr(self, name) <= 0:
                raise UserError(f"Refine.{name}: expected more than 0, found {getattr(self, name)}")
        if self.stay < 0:
            raise UserError(f"Refine.stay: expected 0 or more, found {self.stay}")
        try:
            re.compile(self.layers)
        except re.error as error:
            raise UserError(f"Refine.layers: {self.layers!r} is no regular expression: {error}") from None

    def check_norms(self, norms: tuple[str, ...]) -> None:
        """Raises UserError where a network with these batch norms has no statistics to refine or to compare."""
        if not norms:
            raise UserError(
                'inference.refine.adapts="statistics": expected a network with batch norms, but this one has none that '
                'its readout depends on; adapts="output" does without'
            )
        if not self.compared(norms):
            raise UserError(
                f"inference.refine.layers: {self.layers!r} matches none of the batch norms {', '.join(norms)}"
            )

    def compared(self, norms: tuple[str, ...]) -> tuple[str, ...]:
        """The batch norms whose features are compared."""
        return tuple(name for name in norms if re.search(self.layers, name))


def norms_of(shapes: tuple[nnx.GraphDef, nnx.State, nnx.State], image_shape: tree.Shape) -> tuple[str, ...]:
    """Paths of a network's batch norms, but for those whose parameters no output depends on."""
    unread = order(shapes, image_shape).unread
    stats = tree.flatten(shapes[2])
    paths = [path.removesuffix(".mean") for path in stats if path.endswith(".mean")]
    return tuple(path for path in paths if f"{path}.var" in stats and f"{path}.scale" not in unread)


def refined_output(
    program: Program, refine: Refine, views: View, variables: Variables, batch: Batch, steps: Int[Array, ""]
) -> Float[Array, "b t"]:
    """What all views agree on: an outlier among their predictions moves it no further than others do.

    Each o minimises mean_v huber(o - f_v; d) + stay / 2 (o - m)^2, from o = m, the mean over views: predictions f_v
    in the targets' own units, or the logarithms of probabilities and of their mean. d is 1.345 times the views'
    spread about their median, by its median absolute value (Huber 1981): robust, and at normal errors nearly a mean.
    The objective's curvature is at most 1 + stay, so that steps of 1 / (1 + stay) never raise it.
    """
    levels = intensities(batch["image"])
    values = jax.lax.map(lambda view: predicted(program, variables, levels, view), views)
    start = program.objective.mean_over_views(values)
    reach = _EFFICIENT * jnp.median(jnp.abs(values - jnp.median(values, axis=0)[None]), axis=0)

    def step(_: Any, output: Array) -> Array:
        pull = jnp.clip(output[None] - values, -reach[None], reach[None]).mean(0)
        return output - (pull + refine.stay * (output - start)) / (1 + refine.stay)

    output = jax.lax.fori_loop(0, steps, step, start)
    return program.objective.valid(output)


def refined_statistics(
    program: Program,
    refine: Refine,
    norms: tuple[str, ...],
    views: View,
    variables: Variables,
    batch: Batch,
    steps: Int[Array, ""],
    axis_name: str | None = None,
) -> Variables:
    """`variables` with the statistics of `norms` moved by `steps` of Adam on the batch's objective.

    Means move in units of their standard deviations, variances in their logarithms. Rows where `mask` is False count
    as nothing.
    """
    objective = objective_of(program, refine, norms, views, variables, batch)
    kept = {f"{name}.{kind}": variables.stats[f"{name}.{kind}"] for name in norms for kind in ("mean", "var")}
    optimizer = optax.adam(refine.lr)

    def moved(change: tree.Flat) -> Variables:
        new = {}
        for name in norms:
            mean, var = kept[f"{name}.mean"], kept[f"{name}.var"]
            new[f"{name}.mean"] = mean + jnp.sqrt(var) * change[f"{name}.mean"]
            new[f"{name}.var"] = var * jnp.exp(change[f"{name}.var"])
        return replace(variables, stats=variables.stats | new)

    def step(_: Any, carry: tuple) -> tuple:
        change, state = carry
        # Sums over devices are differentiated by hand: what psum's own gradient is depends on who maps it.
        sums, back = jax.vjp(lambda change: objective.sums(moved(change)), change)
        slopes = jax.grad(objective.value)(_over_devices(sums, axis_name))
        (gradient,) = back(slopes)
        updates, state = optimizer.update(_over_devices(gradient, axis_name), state)
        return optax.apply_updates(change, updates), state

    zeros = jax.tree.map(jnp.zeros_like, kept)
    change, _ = jax.lax.fori_loop(0, steps, step, (zeros, optimizer.init(zeros)))
    return moved(change)


class Refined(NamedTuple):
    """sums: over a device's rows, for statistics as they are in `Variables`. value: of the sums over all devices."""

    sums: Callable[[Variables], tree.Flat]
    value: Callable[[tree.Flat], Float[Array, ""]]


def objective_of(
    program: Program, refine: Refine, norms: tuple[str, ...], views: View, trained: Variables, batch: Batch
) -> Refined:
    """What a batch's statistics are refined to lower.

    "consistency", of numbers z (in standard deviations of the training targets): the mean over rows and targets of
    var_v z_v + stay (mean_v z_v - mean_v z_v of the trained network)^2. Of classes: the entropy of the mean over views
    of probabilities p, as MEMO's, + stay KL(p of the trained network || p); a mean over rows.
    "features": the mean over batch norms and channels of |mean| + |variance - 1| of normalised values, as ActMAD's, but
    by channel rather than by place, so that no statistics have to be stored beside the network's own.
    """
    mask = batch["mask"]
    count = total(jnp.ones(len(mask)), mask, None)
    if refine.objective == "features":
        images = program.prepare(batch["image"], None)
        return _features(program, images, mask, count, refine.compared(norms))
    levels, predicts = intensities(batch["image"]), program.objective

    def per_view(variables: Variables) -> Array:
        one = jax.checkpoint(lambda view: predicted(program, variables, levels, view))
        return jax.lax.map(one, views)

    start = predicts.mean_over_views(per_view(trained))

    def sums(variables: Variables) -> tree.Flat:
        each = predicts.disagreement(per_view(variables), start, refine.stay, trained.constants)
        return {"inconsistency": total(each, mask, None), "rows": count}

    return Refined(sums, lambda sums: sums["inconsistency"] / jnp.maximum(sums["rows"], 1))


def _features(program: Program, images: Any, mask: Array, count: Array, norms: tuple[str, ...]) -> Refined:
    def sums(variables: Variables) -> tree.Flat:
        moments = program.apply(variables, images, EVALUATION, observed=norms).moments
        if others := [name for name in norms if name not in moments]:
            raise UserError(
                f"inference.refine.layers: {', '.join(others)}: expected batch norms of jaxlab or of Flax, whose "
                "features can be compared, found modules with statistics of their own"
            )
        found = {name: total(jnp.moveaxis(both, 1, 0), mask, None) for name, both in moments.items()}
        return {"moments": found, "rows": count}

    def value(sums: tree.Flat) -> Array:
        layers = []
        for both in sums["moments"].values():
            mean, square = both / jnp.maximum(sums["rows"], 1)
            layers.append((jnp.abs(mean) + jnp.abs(square - jnp.square(mean) - 1)).mean())
        return jnp.stack(layers).mean()

    return Refined(sums, value)


def _over_devices(sums: Any, axis_name: str | None) -> Any:
    return sums if axis_name is None else jax.lax.psum(sums, axis_name)
