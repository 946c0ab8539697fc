"""What a pretext task shows of images, and what a network makes of that: for pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlab.core.types import EVALUATION, UserError
from jaxlab.data.device.augment import Normalize
from jaxlab.data.images import ImageRows
from jaxlab.pretext import PRETEXT, evaluation_keys
from jaxlab.training.posed import posed
from jaxlab.training.state import Variables
from jaxlab.training.step import Program

_BATCH = 16


@dataclass(frozen=True)
class Shown:
    """Of n images, as arrays from 0 (black) to 1 (white), what a pretext task made of them by its draws of evaluation.

    images: (n, h, w, c) as the network sees them without the task. seen: (n, views, h, w, c) what the task shows it.
    made: (n, h2, w2, c) the image that it says, None of a task of classes or of views. asked, said: (n,) the names of
    the true class and of the one that it takes for it; None of a task of numbers.
    """

    images: np.ndarray
    seen: np.ndarray
    made: np.ndarray | None = None
    asked: np.ndarray | None = None
    said: np.ndarray | None = None

    def columns(self) -> dict[str, np.ndarray]:
        """{title: (n, h, w, c)} of a table of pictures."""
        views = self.seen.shape[1]
        names = ["what the network sees"] if views == 1 else [f"view {k + 1}" for k in range(views)]
        made = {} if self.made is None else {"what it makes of that": self.made}
        return {"image": self.images, **{name: self.seen[:, k] for k, name in enumerate(names)}, **made}

    def words(self) -> list[str]:
        """A line for each image; none of a task of numbers."""
        if self.asked is None or self.said is None:
            return []
        pairs = zip(self.asked.tolist(), self.said.tolist(), strict=True)
        return [asked if asked == said else f"{asked}, taken for {said}" for asked, said in pairs]


def shown(program: Program, variables: Variables, normalize: Normalize, images: ImageRows) -> Shown:
    """All of `images`, in order. Raises UserError for a network that was trained without a task."""
    if program.pretext is None:
        raise UserError(
            "reconstruct: expected a run with a pretext task (pretext=Masked()), found one without"
        )
    step = jax.jit(partial(_step, program))
    parts: list[dict[str, Any]] = []
    for rows in _batches(len(images)):
        batch: dict[str, Any] = {
            "image": images[np.minimum(rows, len(images) - 1)],
            "truth": {},
            "index": rows,
        }
        found = jax.device_get(step(variables, batch))
        parts.append(
            {name: leaf[: len(images) - rows[0]] for name, leaf in found.items() if leaf is not None}
        )
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    pictures = {
        name: normalize.undone(whole[name].astype(np.float32))
        for name in ("images", "seen", "made")
        if name in whole
    }
    targets = np.array(_objective(program).targets)
    classes = {name: targets[whole[name]] for name in ("asked", "said") if name in whole}
    return Shown(**pictures, **classes)


def _batches(count: int) -> Iterator[np.ndarray]:
    for start in range(0, count, _BATCH):
        yield np.arange(start, start + _BATCH, dtype=np.int32)


def _objective(program: Program) -> Any:
    return next(one for one in program.objectives if one.of == PRETEXT)


def _step(program: Program, variables: Variables, batch: Any) -> dict[str, Float[Array, "b ..."] | None]:
    task, one = program.pretext, _objective(program)
    assert task is not None
    plain, keys = program.prepare(batch["image"], None), evaluation_keys(batch["index"])
    seen, asked = posed(program, batch, None)
    outputs = one.own(program.apply(variables, seen, EVALUATION).outputs)
    found: dict[str, Any] = {"images": plain, "seen": seen.reshape(len(plain), task.views, *seen.shape[1:])}
    if task.kind == "classification":
        return {**found, "asked": asked["truth"][one.name], "said": outputs.argmax(-1).astype(jnp.int32)}
    if task.views == 1:
        made = jax.vmap(task.restored)(one.in_units(outputs, variables.constants), plain, keys)
        return found if made is None else {**found, "made": made}
    return found
