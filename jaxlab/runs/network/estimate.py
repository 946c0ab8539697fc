"""What a training is going to take, worked out from shapes: nothing is compiled, no image decoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlab.core import tree
from jaxlab.core.types import Mode
from jaxlab.data.source import Opened
from jaxlab.experiment import Experiment
from jaxlab.experiment.recipe import Recipe, resolve
from jaxlab.heads.chunks import undivided
from jaxlab.nn.cpu import switched
from jaxlab.nn.spread import rows_over
from jaxlab.optim.tuning import BACKBONE
from jaxlab.pretext import PRETEXT
from jaxlab.training.posed import passed
from jaxlab.training.sharding import Layout
from jaxlab.training.state import Variables
from jaxlab.training.update import Learning


@dataclass(frozen=True)
class Estimate:
    """Of one training. Bytes are those of one device.

    shown: (h, w, c) of what the network sees, or the shape of each cached feature. targets: by objective.
    samples: for training and validation. parameters, trained: how many there are, and train in the end.
    layout, devices: how a batch lies on how many devices. rows: of a batch on one, at a time.
    steps, steps_per_epoch: updates. held: what stays on a device, by name. activations: what the pass forward keeps for
    the one back; XLA needs less where it fuses, and up to as much again for what is in hand.
    operations: floating-point operations of all updates, over all devices.
    """

    shown: Any
    targets: dict[str, int]
    samples: tuple[int, int]
    parameters: int
    trained: int
    layout: str
    devices: int
    rows: int
    steps: int
    steps_per_epoch: int
    held: Mapping[str, int]
    activations: int
    operations: float

    @property
    def bytes(self) -> int:
        """What a device needs in all."""
        return sum(self.held.values()) + self.activations

    @property
    def epochs(self) -> float:
        return self.steps / self.steps_per_epoch


def estimate(experiment: Experiment, opened: Opened) -> Estimate:
    """Raises UserError as training does, where parts of the experiment do not go together or with the data."""
    recipe = resolve(experiment, opened)
    training, plan, learning = experiment.training, recipe.plan, recipe.phases[-1]
    layout = experiment.layout
    params = tree.flatten(recipe.shapes[1])
    trained = {path: params[path] for path in learning.trains}
    rows = training.batch_size // training.accumulate // layout.count
    learn, validate = recipe.training.positions
    passes = [_pass(recipe, phase, layout, rows) for phase in recipe.phases]
    firsts = [phase.first for phase in recipe.phases]
    updates = np.diff([*firsts, plan.steps])
    twice = 1 if experiment.optimizer.sam is None else 2
    return Estimate(
        shown=recipe.input.shape,
        targets={one.name: len(one.targets) for one in recipe.task.objectives},
        samples=(len(learn), len(validate)),
        parameters=tree.count(params),
        trained=tree.count(trained),
        layout=layout.parallel,
        devices=layout.count,
        rows=rows,
        steps=plan.steps,
        steps_per_epoch=plan.steps_per_epoch,
        held=_held(recipe, layout, learning, params, rows * training.accumulate),
        activations=max(kept for kept, _ in passes),
        operations=twice
        * training.batch_size
        * sum(count * one for count, (_, one) in zip(updates.tolist(), passes, strict=True)),
    )


def _held(recipe: Recipe, layout: Layout, learning: Learning, params: tree.Flat, rows: int) -> dict[str, int]:
    """Bytes on a device between steps, and of gradients and batches; features of all samples lie there, too."""
    experiment = recipe.experiment
    averaged = experiment.training.ema is not None or experiment.training.average_from is not None
    # what a pretext task asks is made on the device
    outputs = sum(len(one.targets) for one in recipe.task.objectives if one.of != PRETEXT)
    parts, state = jax.tree.map(layout.part, (params, jax.eval_shape(learning.optimizer.init, params)))
    wide = jnp.dtype(recipe.program.dtype).itemsize / 4
    whole = _bytes({path: leaf for path, leaf in params.items() if path.startswith(BACKBONE)}) * wide
    found = {
        "parameters": _bytes(parts) + _bytes(tree.flatten(recipe.shapes[2])),
        "their average": _bytes(parts) if averaged else 0,
        "the backbone's made whole, at most": int(whole) if layout.parallel == "fsdp" else 0,
        "optimizer": _bytes(state),
        "gradients": _bytes([parts[path] for path in learning.trains]),
        "batches, three ahead": 3 * rows * (_bytes(recipe.input.example) + 4 * outputs),
        "sums of scores": _bytes(jax.eval_shape(recipe.program.start)),
    }
    if recipe.task.encoders:
        samples = sum(map(len, recipe.training.positions))
        found["batches, three ahead"] = 3 * rows * 8
        found["features of all samples"] = samples * (_bytes(recipe.input.example) + 4 * outputs)
    return {name: size for name, size in found.items() if size}


def _pass(recipe: Recipe, learning: Learning, layout: Layout, rows: int) -> tuple[int, float]:
    """Bytes that the pass forward keeps for the one back of `rows` on a device, and operations of both of one row.

    What does not grow with the rows, as parameters, is left out: two small numbers of them tell how much that is.
    """
    params = tree.flatten(recipe.shapes[1])
    stats = tree.flatten(recipe.shapes[2])
    trained = {path: params[path] for path in learning.trains}
    others = {path: leaf for path, leaf in params.items() if path not in trained}
    # What the loss keeps, outputs and truth, is little beside them but for very many targets.
    outputs = 3 * 4 * sum(len(one.targets) for one in recipe.task.objectives)

    def forward(trained: tree.Flat, others: tree.Flat, stats: tree.Flat, images: Any, keys: Any) -> Any:
        batch: Any = {"image": images, "truth": {}}
        mode = Mode(train=True, row_keys=keys[1])
        variables = Variables({**trained, **others}, stats, {})
        found, posed = passed(recipe.program, variables, batch, keys[0], mode, learning.frozen_norms)
        told: Any = posed["truth"]  # of two views of an image, what the network makes of the second
        return found.outputs.sum() + sum(one.sum() for one in told.values())

    def back(trained: tree.Flat, *rest: Any) -> Any:
        return jax.vjp(lambda trained: forward(trained, *rest), trained)[1]

    def arguments(rows: int) -> tuple[Any, ...]:
        images = jax.tree.map(
            lambda one: jax.ShapeDtypeStruct((rows, *one.shape[1:]), one.dtype), recipe.input.example
        )
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), (2, rows)))
        return trained, others, stats, images, keys

    def both(rows: int) -> tuple[int, float]:
        given = arguments(rows)
        lowered = jax.jit(jax.grad(forward)).lower(*given)
        told = lowered.cost_analysis() or {}
        return _bytes(jax.eval_shape(back, *given)), float(told.get("flops", np.nan))

    with (
        switched(False),
        undivided(),
    ):  # XLA counts what a loop does once; without any, all grows evenly with the rows
        (few, some), (many, more) = both(2), both(4)
    together = 1 if layout.parallel == "pmap" else layout.count  # devices whose rows are one array
    with rows_over(together):  # as it is going to be: a CPU's forms of layers keep less of many rows
        kept = _bytes(jax.eval_shape(back, *arguments(rows * together)))
    return (kept - (2 * few - many)) // together + rows * outputs, (more - some) / 2


def _bytes(leaves: Any) -> int:
    """Of shapes; random keys count as the integers that they are."""
    found = jax.tree.leaves(leaves)
    return sum(
        int(np.prod(one.shape))
        * (8 if jnp.issubdtype(one.dtype, jax.dtypes.prng_key) else one.dtype.itemsize)
        for one in found
    )
