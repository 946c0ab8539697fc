"""How a trained network predicts: from which views of an image, and after which refinement."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlab.core import tree
from jaxlab.core.config import Component
from jaxlab.core.terminal import stderr_console
from jaxlab.core.types import Batch, UserError
from jaxlab.evaluate.evaluator import Evaluator
from jaxlab.evaluate.refine import Refine, refined_output, refined_statistics
from jaxlab.evaluate.tta import TTA, averaged
from jaxlab.metrics import SumsByObjective
from jaxlab.metrics.reduce import total
from jaxlab.objectives import Resolved
from jaxlab.training.sharding import Layout
from jaxlab.training.state import Variables
from jaxlab.training.step import Program


@dataclass(frozen=True, kw_only=True)
class Inference(Component):
    """tta: views of each image that predictions are averaged over. refine: what is optimised for each test batch.

    Neither changes how a network trains, or its validation scores while it does.
    """

    afterwards: ClassVar[bool] = True
    tta: TTA = TTA()
    refine: Refine = Refine()

    def check(self) -> None:
        needs_views = self.refine.adapts is not None and self.refine.objective == "consistency"
        if needs_views and self.tta == TTA():
            raise UserError(
                "Inference: refine for consistency compares predictions from several views, and tta has the image "
                "alone; set inference.tta.shift, mirror, zoom or crops, or inference.refine.objective=features"
            )

    def check_objective(self, objective: Resolved) -> None:
        """Raises UserError where refining such predictions would leave them as they are."""
        views = len(self.tta.views().scale)
        if self.refine.adapts == "output" and views < objective.fewest_views:
            raise UserError(
                f'inference.refine.adapts="output": expected three views or more of inference.tta, found {views}, '
                "which agree best on the mean that they have without; shift makes nine"
            )

    @property
    def plain(self) -> bool:
        """Whether an image is predicted once, as it is."""
        return self.tta == TTA() and self.refine.adapts is None

    def stages(self) -> dict[str, "Inference"]:
        """What is asked for beyond plain prediction: "tta" alone, "refined" with it; the last is all of it."""
        stages = {"tta": Inference(tta=self.tta), "refined": self}
        unasked = "refined" if self.refine.adapts is None else None
        return {name: stage for name, stage in stages.items() if name != unasked and not stage.plain}


def inference_step(
    program: Program,
    inference: Inference,
    norms: tuple[str, ...],
    variables: Variables,
    batch: Batch,
    steps: Int[Array, ""],
    axis_name: str | None = None,
) -> Float[Array, "b t"]:
    """Predictions in the targets' own units, or logits, after `steps` of refinement; after none, the views' mean."""
    views, refine = inference.tta.views(), inference.refine
    if refine.adapts == "output":
        return refined_output(program, refine, views, variables, batch, steps)
    if refine.adapts == "statistics":
        refined = partial(refined_statistics, program, refine, norms, views)
        variables = jax.lax.cond(  # what is late costs no more than without
            steps > 0, lambda: refined(variables, batch, steps, axis_name), lambda: variables
        )
    return averaged(program, views, variables, batch)


def score_step(
    program: Program, variables: Variables, sums: SumsByObjective, batch: Batch, axis_name: str | None = None
) -> SumsByObjective:
    """`sums` of the predicted objective with a batch added, of which batch["prediction"] is predicted."""
    one, constants = program.objective, variables.constants
    truths: Any = batch["truth"]
    truth, taught = truths[one.name], truths.get(one.taught_name)
    sum_over = partial(total, mask=batch["mask"], axis_name=axis_name)
    outputs = one.encoded(batch["prediction"], constants)
    losses = one.losses(outputs, truth, constants, sum_over, taught=taught)
    scored = one.scored(truth)
    return {
        one.name: sums[one.name].add(
            batch["prediction"], scored, losses.loss, batch["mask"], axis_name, losses.terms
        )
    }


class InferenceEvaluator(Evaluator):
    """Evaluates and predicts as an `Inference` says; one compiled function, whatever the views and for all batches.

    norms: the batch norms whose statistics may be refined. batches, unrefined: of the last split, and how many of them
    came after `refine.seconds` had passed. These count from the split's first batch, compiling included, and are
    looked at between batches.
    """

    def __init__(
        self,
        program: Program,
        layout: Layout,
        batch_size: int,
        inference: Inference,
        norms: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ):
        program = program.alone()
        super().__init__(program, layout, batch_size)
        self.inference = inference
        self.batches = self.unrefined = 0
        self._clock, self._until = clock, 0.0
        step = partial(inference_step, program, inference, norms)
        self._infer = layout.compile(step, batch_at=1, arguments=3, rows_out=True)
        self._score = layout.compile(partial(score_step, program), batch_at=2, arguments=3, donate=1)
        self._predict, self._evaluate = self._predict_in_time, self._evaluate_in_time

    def evaluate(self, *split: Any) -> SumsByObjective:
        """As `Evaluator.evaluate`."""
        with self._bounded():
            return super().evaluate(*split)

    def predict(self, *split: Any) -> np.ndarray:
        """As `Evaluator.predict`; of classes, logits are the logarithms of mean probabilities."""
        with self._bounded():
            return super().predict(*split)

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """A split's time, and a word on what came after it."""
        refine = self.inference.refine
        self.batches = self.unrefined = 0
        self._until = self._clock() + refine.seconds
        yield
        if self.unrefined:
            stderr_console().print(
                f"warning: inference.refine.seconds={refine.seconds:g} have passed: the last {self.unrefined} of "
                f"{self.batches} batches are not refined",
                highlight=False,
                soft_wrap=True,
            )

    def record(self) -> dict[str, Any]:
        """What was done to the last split, for predictions' provenance."""
        views, adapts = len(self.inference.tta.views().scale), self.inference.refine.adapts
        return {"views": views, "adapts": adapts, "batches": self.batches, "unrefined": self.unrefined}

    def _predict_in_time(self, variables: Variables, batch: Batch) -> Array:
        refine = self.inference.refine
        if refine.adapts is None:
            return self._infer(variables, batch, np.int32(0))
        late = self._clock() >= self._until
        self.batches, self.unrefined = self.batches + 1, self.unrefined + late
        rows = self._infer(variables, batch, np.int32(0 if late else refine.steps))
        return jax.block_until_ready(rows)  # or the clock would time how fast batches are queued

    def _evaluate_in_time(
        self, variables: Variables, sums: SumsByObjective, batch: Batch
    ) -> tuple[SumsByObjective, tree.Flat]:
        """As `evaluation_step`; of views it is not looked at what readouts read."""
        predicted = {**batch, "prediction": self._predict_in_time(variables, batch)}
        return self._score(variables, sums, predicted), {}


def together(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One record of what the same `Inference` did to several splits, or with several networks."""
    sums = {name: sum(record[name] for record in records) for name in ("batches", "unrefined")}
    moved = sum(record["moved"] for record in records) / len(records)
    return {**records[0], **sums, "moved": moved}


def summary(record: Mapping[str, Any], objective: Resolved) -> str:
    """A line on what inference did, from its record in the provenance of predictions of an objective."""
    line = f"{record['views']} view{'s'[: record['views'] > 1]} of each image"
    if record["adapts"] is not None:
        refined = record["batches"] - record["unrefined"]
        line += f", {record['adapts']} refined for {refined} of {record['batches']} batches"
    return f"{line}: {objective.moved_text(record['moved'])}"
