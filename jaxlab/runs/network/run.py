"""A trained network as a run: predict with it, evaluate its checkpoints."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from jaxlab.core.config import differences, identity, to_json
from jaxlab.core.remote.paths import alone_at_records, sent
from jaxlab.core.terminal import stderr_console
from jaxlab.core.types import Samples, UserError
from jaxlab.data.sources.users_images import given_samples
from jaxlab.evaluate.evaluator import Evaluator
from jaxlab.evaluate.inference import InferenceEvaluator
from jaxlab.evaluate.posed import Shown, shown
from jaxlab.evaluate.refine import norms_of
from jaxlab.experiment import Experiment
from jaxlab.experiment.inputs import Portion
from jaxlab.experiment.recipe import Recipe, recalled
from jaxlab.experiment.seen import input_of
from jaxlab.experiment.sides import positions_of
from jaxlab.experiment.task import Task
from jaxlab.objectives import Labelled, Resolved
from jaxlab.runs.checks import check_unseen, recorded
from jaxlab.runs.network.earlier import as_trained
from jaxlab.runs.network.ready import ready
from jaxlab.runs.network.weights import digests, pretrained
from jaxlab.runs.ready import Ready
from jaxlab.runs.run import NamedScores, Run, UserImages, Which, numbers
from jaxlab.training import elsewhere, journal
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.chosen import parameters_of
from jaxlab.training.rundir import RunDirectory
from jaxlab.training.sharding import AUTO, Layout
from jaxlab.training.state import Variables, norms
from jaxlab.training.step import Program
from submit import Predictions

Inferred = dict[str, Any]  # what inference did, for provenance
PICTURES = 8  # that a run with a pretext task keeps


class NetworkRun(Run):
    """A trained network with the preprocessing that it was trained on. task: targets, image shape, normalisation."""

    def __init__(self, rundir: RunDirectory, experiment: Experiment, predicts: str | None = None):
        super().__init__(rundir, as_trained(experiment, rundir), predicts)
        self.task = Task.from_json(self.info["task"], self.experiment.goals).held_in(self.experiment.images)
        self._norms = self._refined_norms()

    @property
    def objectives(self) -> tuple[Resolved, ...]:
        return self.task.objectives

    @property
    def validates(self) -> bool:
        """Whether its validation images are new to it; to a soup of runs with different ones they are not."""
        return self.info.get("soup", {}).get("validates", True)

    @cached_property
    def recipe(self) -> Recipe:
        """What predicting takes, read back."""
        seen = input_of(self.experiment, self.task, run=str(self.rundir.path))
        return recalled(self.experiment, self.task, seen)

    @cached_property
    def _twin(self) -> "NetworkRun | None":
        """A run of the same network but for its parameters: what is compiled serves both."""
        other = self.like
        if not isinstance(other, NetworkRun) or self.predicts != other.predicts:
            return None
        apart = {name: getattr(other.experiment, name) for name in ("seed", "split", "limit")}
        same = replace(self.experiment, **apart) == other.experiment and self.task.same_as(other.task)
        return other if same else None

    @property
    def _divided_as_twin(self) -> bool:
        """Whether the same samples are for validation, too."""
        other = self._twin
        fields = ("split", "limit")
        return other is not None and all(
            getattr(self.experiment, name) == getattr(other.experiment, name) for name in fields
        )

    @cached_property
    def program(self) -> Program:
        """What predicts its objective."""
        return replace(self.recipe.program, predicted=self.objectives.index(self.primary))

    @property
    def network(self) -> "NetworkRun":
        return self

    def unfinished(self) -> Iterator[str]:
        meta, patience = self.checkpoint("last").meta(), self.experiment.training.early_stopping
        early = patience is not None and meta["progress"]["stale"] >= patience
        if "soup" not in self.info and meta["step"] < meta.get("steps", 0) and not early:
            yield (
                f"warning: {self.rundir.path} stopped at step {meta['step']} of {meta['steps']}; the same `jaxlab "
                "train` goes on from there"
            )

    # -- predictions

    def predicted(self, samples: Samples, which: Which | None = None) -> np.ndarray:
        checkpoint = self.checkpoint(self.usual if which is None else which)
        ((values, _),) = self.predict_each(samples, np.arange(len(samples)), [checkpoint])
        return values

    def given(self, images: UserImages) -> Samples:
        if self.task.masks:
            raise UserError(
                f"{self.rundir.path}: its images have masks, which only those of a split bring along"
            )
        return given_samples(images, self.task.image_dtype)

    def ready(self, which: Which | None = None, size: int = 16) -> Ready:
        return ready(self, [self.checkpoint(self.usual if which is None else which)], size)

    def predict_split(self, split: str = "test", which: Which | None = None) -> Predictions:
        self.refuse_several()
        samples, rows = self._split(split)
        checkpoint = self.checkpoint(self.usual if which is None else which)
        ((values, inferred),) = self.predict_each(samples, rows, [checkpoint], compare=True)
        if split == "test":
            inferred = {**inferred, "samples": self.test_fingerprint}
        return self.named(samples.ids[rows], values, split, checkpoint, inferred)

    def _split(self, split: str) -> tuple[Samples, np.ndarray]:
        """The samples of a split, and the rows of them that belong to it."""
        if split == "test":
            samples = self.test_samples()
            return samples, np.arange(len(samples))
        if split != "validation":
            raise UserError(
                f"{self.rundir.path}: expected the test or validation split, found {split!r}; out-of-fold predictions "
                "are those of `jaxlab train --folds` and of ridge regression"
            )
        if not self.validates:
            raise UserError(
                f"{self.rundir.path}: the members of this soup were not validated on the same images, so that none is "
                "new to all of them"
            )
        check_unseen(self.rundir, self.experiment, self.fingerprint)
        return self.opened.train, self.positions[1]

    def has_samples(self, split: str) -> bool:
        return super().has_samples(split) and (split != "validation" or len(self.positions[1]) > 0)

    def named(
        self, ids: np.ndarray, values: np.ndarray, split: str, checkpoint: Saved, inferred: Mapping[str, Any]
    ) -> Predictions:
        """A checkpoint's values (n, t) with the names of samples and targets, and their provenance.

        inferred: what `predict_each` says of them, and whatever else provenance is to have.
        """
        meta = checkpoint.meta()
        made = {"step": meta["step"], "digest": meta["digest"], **inferred}
        if "soup" in self.info:
            made["soup"] = self.info["soup"]
        scores = self._validated(checkpoint)
        config = {**self.rundir.config(), "inference": to_json(self.experiment.inference)}
        origin = self.origin(scores, **made, config=config)
        return Predictions(ids, values, np.array(self.targets), self.primary.written, split, origin)

    def _validated(self, checkpoint: Saved) -> dict[str, Any]:
        """Its validation scores as training left them, for provenance."""
        return {"validation": journal.validations(self.rundir.metrics).get(checkpoint.step, {})}

    def predict_each(
        self,
        samples: Samples,
        rows: np.ndarray,
        checkpoints: Iterable[Saved],
        compare: bool = False,
        stage: str | None = None,
    ) -> Iterator[tuple[np.ndarray, Inferred]]:
        """Of each of the checkpoints, this run's or another's of its task: predictions of the samples at `rows`.

        (n, t) float32 as `inference` says, and {"inference": what it did}, if anything. UserImages are decoded once.
        compare: with predictions from images as they are. stage: of `inference`, or "plain"; default: all of it.
        """
        seen = self._unlabelled(samples, rows)
        for checkpoint in checkpoints:
            yield self._infer(self.on_devices(checkpoint), seen, compare, stage)

    def _unlabelled(self, samples: Samples, rows: np.ndarray) -> Portion:
        """The samples at `rows`, to predict."""
        recipe = self.recipe if self._twin is None else self._twin.recipe
        return recipe.input.unlabelled(samples, rows, self._layout)

    @cached_property
    def seen_test(self) -> Portion:
        """All samples to predict, decoded."""
        samples = self.test_samples()
        return self._unlabelled(samples, np.arange(len(samples)))

    def _infer(
        self, variables: Variables, seen: Portion, compare: bool, stage: str | None
    ) -> tuple[np.ndarray, Inferred]:
        if stage == "plain" or self.experiment.inference.plain:
            return self._evaluator.predict(variables, seen.rows, seen.put), {}
        evaluator = self._inferring[stage or list(self._inferring)[-1]]
        values = evaluator.predict(variables, seen.rows, seen.put)
        if not compare:
            return values, {}
        plain = self._evaluator.predict(variables, seen.rows, seen.put)
        return values, {"inference": evaluator.record() | {"moved": self.primary.moved(plain, values)}}

    def reconstruct(self, images: UserImages | None = None, which: Which | None = None) -> Shown:
        """What its pretext task shows of images, and what it makes of that, as pictures from 0 to 1.

        images: as `predict` takes them; default the first eight for validation. Raises UserError for a run without a
        task.
        """
        if self.experiment.pretext is None:
            raise UserError(
                f"{self.rundir.path}: was trained without a pretext task; `reconstruct` is of runs that have one, as "
                "pretext=Masked()"
            )
        if images is None:
            samples, rows = self.opened.train, self.positions[1][:PICTURES]
        else:
            samples = self.given(images)
            rows = np.arange(len(samples))
        checkpoint = self.checkpoint(self.usual if which is None else which)
        seen = self.recipe.input.unlabelled(samples, rows, self._layout)
        return shown(self.recipe.program, variables_of(checkpoint), self.task.normalize, seen.rows)

    # -- scores

    def evaluate(self, which: Which | None = None) -> dict[str, NamedScores]:
        """{"train": scores, "validation": scores} of a checkpoint, both in evaluation mode, of images as they are.

        With "validation_tta" and "validation_refined" where the experiment's `inference` asks for them. A soup of runs
        with different validation images has training scores alone, as has a subject without any.
        """
        return self._scores(self.checkpoint(self.usual if which is None else which))

    def evaluate_checkpoints(
        self, which: Which | Literal["all"] | None = None
    ) -> dict[int, dict[str, NamedScores]]:
        """{step: scores} as `evaluate`; a validation that metrics.jsonl lacks is added to it, if of the run's data."""
        asked: Any = self.usual if which is None else which
        steps = (
            [checkpoint.step for checkpoint in saved(self.rundir.checkpoints)] if asked == "all" else [asked]
        )
        checkpoints = [self.checkpoint(step) for step in steps]
        scores = {checkpoint.step: self._scores(checkpoint) for checkpoint in checkpoints}
        same = identity(self.experiment) == identity(recorded(self.rundir))  # settings may say otherwise
        if self.has_its_data(self.fingerprint) and same:
            self._record(checkpoints, scores)
        return scores

    def _scores(self, checkpoint: Saved) -> dict[str, NamedScores]:
        variables = self.on_devices(checkpoint)
        if not self.validates:
            return {"train": self.score(variables, "train")}
        splits = [split for split in ("train", "validation") if len(self._portions[split].ids)]
        scores = {split: self.score(variables, split) for split in splits}
        for name, evaluator in self._inferring.items() if "validation" in splits else ():
            scores[f"validation_{name}"] = self.score(variables, "validation", evaluator)
        return scores

    def recorded(self) -> dict[str, dict[str, NamedScores]]:
        """Of "last" also "train": as the network learned, with augmentation and dropout, over the last epoch."""
        found: dict[str, dict[str, NamedScores]] = {}
        for which in ("best", "last"):
            step = self.checkpoint(which).step
            for split in ("train", "validation") if which == "last" else ("validation",):
                if scores := journal.scores_at(self.rundir.metrics, split).get(step):
                    found.setdefault(which, {})[split] = numbers(scores)
        return found

    def labelled(self, which: Which | None = None, untrained: bool = False) -> Iterator[Labelled]:
        """Of the training split and, where it validates, of the validation split."""
        checkpoint = self.checkpoint(self.usual if which is None else which)
        states = {True: self.untrained(checkpoint)} if untrained else {}
        states[False] = self.on_devices(checkpoint)
        for split, rows in zip(("train", "validation"), self.positions, strict=True):
            portion = self._portions[split]
            for before, variables in states.items() if split == "train" or self.validates else ():
                values = self._evaluator.predict(variables, portion.rows, portion.put)
                yield Labelled(split, rows, values, before)

    def before_training(self, split: str) -> Labelled | None:
        rows = dict(zip(("train", "validation"), self.positions, strict=True))[split]
        portion = self._portions[split]
        variables = self.untrained(self.checkpoint(self.usual))
        return Labelled(split, rows, self._evaluator.predict(variables, portion.rows, portion.put), True)

    def untrained(self, checkpoint: Saved) -> Variables:
        """The network before its first step, on the devices: made anew from its seed, and its pretrained weights.

        Statistics of its batch norms are those of the training images, as training itself takes them of each batch;
        pretrained ones stay. Raises UserError for a soup, and where the weights are not there or others than then.
        """
        if "soup" in self.info:
            raise UserError(f"{self.rundir.path}: a soup was never trained; ask its members (--untrained)")
        params, stats, weights = pretrained(self.recipe)
        if changes := differences(digests(self.info["weights"]), digests(weights)):
            raise UserError(f"{self.rundir.path} was trained from other weights: {'; '.join(changes)}")
        fresh = self.recipe.initial_variables(
            self._portions["train"], (params, stats), self.recipe.of_answers
        )
        variables = self.put(replace(fresh, constants=variables_of(checkpoint).constants))
        kept = norms(f"backbone.{path}" for path in stats)
        return self.measure(variables, kept) if norms(variables.stats) - kept else variables

    def score(self, variables: Variables, split: str, evaluator: Evaluator | None = None) -> NamedScores:
        """Scores on "train" or "validation" of `variables` that lie on the devices, of images as they are.

        evaluator: predicts otherwise.
        """
        portion, evaluator = self._portions[split], evaluator or self._evaluator
        sums = evaluator.evaluate(variables, *portion.sent, portion.put)
        return evaluator.program.scores(sums, self.opened.ceiling)

    def scores_of_all(self, which: Which | None = None) -> NamedScores:
        """Of all labelled samples, of images as they are, where a pretext task makes the truth of them."""
        rows = np.arange(len(self.opened.train))
        (portion,) = self.recipe.input.portions(self.opened, [rows], self._layout)
        variables = self.on_devices(self.checkpoint(self.usual if which is None else which))
        sums = self._evaluator.evaluate(variables, *portion.sent, portion.put)
        return self._evaluator.program.scores(sums)

    def measure(self, variables: Variables, frozen_norms: frozenset[str]) -> Variables:
        """`variables` with batch-norm statistics measured on the training images; `frozen_norms` keep theirs."""
        portion = self._portions["train"]
        return self._evaluator.measure(variables, frozen_norms, portion.rows, portion.put)

    def _record(self, checkpoints: list[Saved], scores: dict[int, dict[str, NamedScores]]) -> None:
        known = {record["step"] for record in journal.read(self.rundir.metrics, "validation")}
        new = [
            {
                "step": one.step,
                "epoch": one.meta()["epoch"],
                "split": "validation",
                **scores[one.step]["validation"],
            }
            for one in checkpoints
            if one.step not in known
            and "validation" in scores[one.step]
            and elsewhere.AWAITS not in one.meta()
        ]
        try:
            if new:
                with alone_at_records(self.rundir.path):
                    journal.append(self.rundir.metrics, new)
            for one in checkpoints:
                if elsewhere.AWAITS in one.meta() and "validation" in scores[one.step]:
                    elsewhere.keep(self.rundir.path, one.meta(), scores[one.step]["validation"])
            sent(self.rundir.path)
        except UserError as error:  # they are shown all the same
            stderr_console().print(
                f"warning: {error}: scores are not kept", highlight=False, markup=False, soft_wrap=True
            )

    # -- what is made once

    @cached_property
    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the training and validation samples."""
        if self._twin is not None and self._divided_as_twin:
            return self._twin.positions
        return positions_of(self.experiment, self.opened)

    @cached_property
    def _portions(self) -> dict[str, Portion]:
        if self._twin is not None and self._divided_as_twin:
            return self._twin._portions
        learn, validate = self.recipe.input.portions(self.opened, self.positions, self._layout)
        return {"train": learn, "validation": validate}

    @cached_property
    def _layout(self) -> Layout:
        if self._twin is not None:
            return self._twin._layout
        return self.layout_of(self.experiment.training.batch_size)

    def layout_of(self, batch_size: int) -> Layout:
        """How predicting batches of such a size lies on the devices: what trained in parts may not fit on one whole."""
        in_parts = self.experiment.training.parallel == "fsdp"
        return Layout("auto", batch_size, several="fsdp" if in_parts else AUTO)

    @cached_property
    def _evaluator(self) -> Evaluator:
        if self._twin is not None:
            return self._twin._evaluator
        return Evaluator(self.program, self._layout, self.experiment.training.batch_size)

    @cached_property
    def _inferring(self) -> dict[str, InferenceEvaluator]:
        """Evaluators of the stages of the experiment's `inference`."""
        if self._twin is not None:
            return self._twin._inferring
        program, size = self.program, self.experiment.training.batch_size
        return {
            name: InferenceEvaluator(program, self._layout, size, stage, self._norms)
            for name, stage in self.experiment.inference.stages().items()
        }

    def _refined_norms(self) -> tuple[str, ...]:
        """The batch norms whose statistics are refined. Raises UserError for an inference that does not fit the run."""
        inference = self.experiment.inference
        if not inference.plain:
            inference.tta.check_size(*self.task.image_shape[:2])
            inference.check_objective(self.primary)
        if inference.refine.adapts != "statistics":
            return ()
        norms = norms_of(self.recipe.shapes, self.recipe.input.shape)
        inference.refine.check_norms(norms)
        return norms

    def on_devices(self, checkpoint: Saved, layout: Layout | None = None) -> Variables:
        """What evaluation uses of a checkpoint, on the devices. layout: default that of the training's batches."""
        return self.put(variables_of(checkpoint), layout)

    def put(self, variables: Variables, layout: Layout | None = None) -> Variables:
        """Host arrays on the devices. layout: default that of the training's batches."""
        return (layout or self._layout).put(variables)


def variables_of(checkpoint: Saved) -> Variables:
    """What evaluation uses of a checkpoint, on the host."""
    params = parameters_of(checkpoint)
    fields = checkpoint.arrays((params, "stats", "constants"))
    return Variables(fields[params], fields["stats"], fields["constants"])
