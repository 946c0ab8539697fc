"""What a network sees of a batch, the pass that it makes of that, and the truth that a pretext task makes of images."""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxlab.core.scopes import scope
from jaxlab.core.types import EVALUATION, Batch, Mode
from jaxlab.metrics.reduce import total
from jaxlab.pretext import PRETEXT, evaluation_keys, training_keys
from jaxlab.training.state import Variables

if TYPE_CHECKING:
    from jaxlab.training.step import Forward, Program


@scope("augmentation")
def posed(program: "Program", batch: Batch, keys: Array | None) -> tuple[Any, Batch]:
    """What the network sees of a batch, and the batch with the truth that a pretext task makes of its images.

    keys: one a row, of augmentation and task; None in evaluation, where a task's draws follow the samples' places.
    """
    if program.pretext is None:
        return program.prepare(batch["image"], keys), batch
    drawn = evaluation_keys(batch["index"]) if keys is None else training_keys(keys)
    images, truth = program.pretext.posed(program.prepare, batch["image"], keys, drawn)
    return images, batch if truth is None else _with_truth(program, batch, truth)


def passed(
    program: "Program",
    variables: Variables,
    batch: Batch,
    keys: Array | None,
    mode: Mode,
    frozen_norms: Collection[str] = (),
    ranges: bool = False,
) -> "tuple[Forward, Batch]":
    """One pass of a batch, as `Program.apply`, and the batch with its truth. keys: as for `posed`; ranges: as for that.

    Where a task shows several views, outputs are those of the first, and the truth those of the second.
    """
    images, batch = posed(program, batch, keys)
    mode = replace(mode, row_keys=_row_keys(program, mode.row_keys))
    found = program.apply(variables, images, mode, frozen_norms, ranges=ranges)
    if program.pretext is None or program.pretext.views == 1:
        return found, batch
    views = found.outputs.reshape(-1, program.pretext.views, found.outputs.shape[1])
    return found._replace(outputs=views[:, 0]), _with_truth(program, batch, views[:, 1])


def evaluated(program: "Program", variables: Variables, batch: Batch) -> "tuple[Forward, Batch]":
    """`passed` in evaluation: outputs of objectives with a truth of the data are of images as they are, as predictions.

    A task's own are of what it shows. The ranges are those of what it shows, too.
    """
    found, with_truth = passed(program, variables, batch, None, EVALUATION, ranges=True)
    plain = [one for one in program.objectives if one.of != PRETEXT]
    if program.pretext is None or not plain:
        return found, with_truth
    seen = program.prepare(batch["image"], None)
    as_they_are, outputs = program.apply(variables, seen, EVALUATION).outputs, found.outputs
    for one in plain:
        columns = slice(one.first, one.first + len(one.targets))
        outputs = outputs.at[:, columns].set(as_they_are[:, columns])
    return found._replace(outputs=outputs), with_truth


def compared(program: "Program", batch: Batch, axis_name: str | None) -> Batch:
    """The batch; of a task that tells an image from others of its batch, without an image that is alone in it."""
    if program.pretext is None or program.pretext.views == 1:
        return batch
    mask = batch["mask"]
    alone = total(jnp.ones(len(mask)), mask, axis_name) < 2
    return {**batch, "mask": mask & ~alone}


def _with_truth(program: "Program", batch: Batch, truth: Array) -> Batch:
    """The batch with a truth for the objectives whose own is made from images."""
    made = {one.name: truth for one in program.objectives if one.of == PRETEXT}
    return {**batch, "truth": {**batch["truth"], **made}}  # type: ignore[dict-item]


def _row_keys(program: "Program", keys: Array | None) -> Array | None:
    """Of what the network sees, from those of the batch's rows."""
    views = 1 if program.pretext is None else program.pretext.views
    if keys is None or views == 1:
        return keys
    return jax.vmap(lambda key: jax.random.split(key, views))(keys).reshape(-1)
