"""A trained network as a run: predict with it, evaluate its checkpoints."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from jaxlab.core.config import identity, to_json
from jaxlab.core.types import Kind, Samples, UserError
from jaxlab.data.images import ImageRows, decode_splits
from jaxlab.data.source import Opened, fingerprint
from jaxlab.data.sources.users_images import given_samples
from jaxlab.encode import CachedFeatures, Loaded, Resident, features, load_all
from jaxlab.evaluate.evaluator import Evaluator
from jaxlab.evaluate.inference import InferenceEvaluator, moved
from jaxlab.evaluate.refine import norms_of
from jaxlab.experiment import Experiment
from jaxlab.runs.network.begin import changed_encoders, check_unseen, recorded
from jaxlab.runs.network.task import Task, input_shape, network_shapes, program_of
from jaxlab.runs.network.train import Decoded, decoded, positions_of, resident
from jaxlab.training import journal
from jaxlab.training.checkpoint import Saved, newest_good, saved
from jaxlab.training.rundir import RunDirectory, provenance
from jaxlab.training.sharding import Layout
from jaxlab.training.state import Variables
from submit import Predictions

Which = Literal["best", "last"] | int
_KIND: dict[Kind, Literal["regression", "logits"]] = {"regression": "regression", "classification": "logits"}


class Run:
    """A trained network with the preprocessing that it was trained on.

    experiment: its config. task: targets, image shape and normalisation. info: run.json.
    usual: the checkpoint that predicts where none is asked for.
    """

    usual: Which = "best"

    def __init__(self, rundir: RunDirectory, experiment: Experiment):
        self.rundir = rundir
        self.experiment = experiment
        self.info = rundir.info()
        self.task = Task.from_json(self.info["task"])
        self._norms = self._refined_norms()

    @property
    def kind(self) -> Kind:
        """regression or classification."""
        return self.task.kind

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the outputs' columns."""
        return self.task.targets

    @property
    def validates(self) -> bool:
        """Whether its validation images are new to it; to a soup of runs with different ones they are not."""
        return self.info.get("soup", {}).get("validates", True)

    def checkpoint(self, which: Which = "best") -> Saved:
        """The best, the last, or one by its step. For a damaged best or last, the good one before it, and says so.

        Raises UserError where a step is not there or is damaged, or where no checkpoint is whole.
        """
        folder = self.rundir.checkpoints
        if isinstance(which, int):
            found = {checkpoint.step: checkpoint for checkpoint in saved(folder)}
            if which not in found:
                raise UserError(f"{folder}: no checkpoint {which}; there are {sorted(found)}")
            if fault := found[which].fault():
                raise UserError(f"checkpoint {which} is damaged: {fault}; there are {sorted(found)}")
            return found[which]
        if which not in ("best", "last"):
            raise UserError(f"checkpoint: expected best, last or a step, found {which!r}")
        tell = partial(Console(stderr=True).print, highlight=False, soft_wrap=True)
        last = newest_good(folder, tell)
        if last is None:
            raise UserError(f"{folder}: none of the {len(saved(folder))} checkpoints is whole")
        best = (last.meta()["progress"]["best"] or {}).get("step", last.step)
        if which == "last" or best == last.step:
            return last
        return newest_good(folder, tell, up_to=best) or last

    def predict(
        self, images: np.ndarray | str | Path | Sequence[str | Path], which: Which = "best"
    ) -> np.ndarray:
        """(n, t) float32 predictions in the targets' units; logits for classification.

        images: (n, h, w) or (n, h, w, c) uint8 (or float, as the run's own data), a file, a list of files, or a
        folder (its images sorted by name). They are resized as in training.
        """
        samples = self.given(images)
        ((values, _),) = self.predict_each(samples, np.arange(len(samples)), [self.checkpoint(which)])
        return values

    def given(self, images: np.ndarray | str | Path | Sequence[str | Path]) -> Samples:
        """Images that are `predict`'s argument, as samples. Raises UserError where they cannot be this network's."""
        if self.task.masks:
            raise UserError(
                f"{self.rundir.path}: its images have masks, which only those of a split bring along"
            )
        return given_samples(images, self.task.image_dtype)

    def predict_split(
        self, split: Literal["test", "validation"] = "test", which: Which = "best"
    ) -> Predictions:
        """Predictions for a split of the run's data, with ids, target names and provenance."""
        if split == "test":
            samples = self.test_samples()
            rows = np.arange(len(samples))
        elif split == "validation":
            if not self.validates:
                raise UserError(
                    f"{self.rundir.path}: the members of this soup were not validated on the same images, so that none "
                    "is new to all of them"
                )
            check_unseen(self.rundir, self.experiment, fingerprint(self.opened))
            samples, rows = self.opened.train, self.positions[1]
        else:
            raise UserError(
                f"{self.rundir.path}: expected the test or validation split, found {split!r}; out-of-fold predictions "
                "are those of `jaxlab train --folds` and of ridge regression"
            )
        checkpoint = self.checkpoint(which)
        ((values, inferred),) = self.predict_each(samples, rows, [checkpoint], compare=True)
        return self.named(samples.ids[rows], values, split, checkpoint, inferred)

    def test_samples(self) -> Samples:
        """The samples to predict. Raises UserError where there are none."""
        if self.test[0] is None:
            raise UserError(
                f"{type(self.experiment.data).__name__}: these data have no test images to predict"
            )
        return self.test[0]

    def named(
        self,
        ids: np.ndarray,
        values: np.ndarray,
        split: str,
        checkpoint: Saved,
        inferred: Mapping[str, Any],
    ) -> Predictions:
        """A checkpoint's values (n, t) with the names of samples and targets, and their provenance.

        inferred: what `predict_each` says of them.
        """
        meta = checkpoint.meta()
        made = {"run": self.rundir.path.name, "step": meta["step"], "digest": meta["digest"], **inferred}
        if "soup" in self.info:
            made["soup"] = self.info["soup"]
        scores = {"validation": journal.validations(self.rundir.metrics).get(checkpoint.step, {})}
        config = {**self.rundir.config(), "inference": to_json(self.experiment.inference)}
        origin = {**made, "scores": scores, "config": config, "data": self.info["data"]}
        return Predictions(
            ids=ids, values=values, targets=np.array(self.targets), kind=_KIND[self.task.kind],
            split=split, provenance={**origin, **provenance()},
        )  # fmt: skip

    def evaluate(self, which: Which = "best") -> dict[str, dict[str, float]]:
        """{"train": scores, "validation": scores} of a checkpoint, both in evaluation mode, of images as they are.

        With "validation_tta" and "validation_refined" where the experiment's `inference` asks for them. A soup of runs
        with different validation images has training scores alone.
        """
        return self._scores(self.checkpoint(which))

    def evaluate_checkpoints(
        self, which: Literal["best", "last", "all"]
    ) -> dict[int, dict[str, dict[str, float]]]:
        """{step: scores} as `evaluate`; a validation that metrics.jsonl lacks is added to it, if of the run's data."""
        if which == "all":
            chosen = [self.checkpoint(checkpoint.step) for checkpoint in saved(self.rundir.checkpoints)]
        else:
            chosen = [self.checkpoint(which)]
        scores = {checkpoint.step: self._scores(checkpoint) for checkpoint in chosen}
        same = identity(self.experiment) == identity(recorded(self.rundir))  # settings may say otherwise
        if same and fingerprint(self.opened) == self.info["data"]["fingerprint"]:
            self._record(chosen, scores)
        return scores

    def _scores(self, checkpoint: Saved) -> dict[str, dict[str, float]]:
        variables = self._variables(checkpoint)
        if not self.validates:
            return {"train": self.score(variables, "train")}
        scores = {split: self.score(variables, split) for split in ("train", "validation")}
        for name, evaluator in self._inferring.items():
            scores[f"validation_{name}"] = self.score(variables, "validation", evaluator)
        return scores

    def score(self, variables: Variables, split: str, evaluator: Evaluator | None = None) -> dict[str, float]:
        """Scores on "train" or "validation" of `variables` that lie on the devices, of images as they are.

        evaluator: predicts otherwise.
        """
        data = self._decoded[split]
        sums = (evaluator or self._evaluator).evaluate(variables, *data.sent, data.put)
        return sums.compute(self.opened.ceiling)

    def measure(self, variables: Variables, held: frozenset[str]) -> Variables:
        """`variables` with batch-norm statistics measured on the training images; `held` batch norms keep theirs."""
        data = self._decoded["train"]
        return self._evaluator.measure(variables, held, data.images, data.put)

    def _record(self, chosen: list[Saved], scores: dict[int, dict[str, dict[str, float]]]) -> None:
        known = {record["step"] for record in journal.read(self.rundir.metrics, "validation")}
        with self.rundir.metrics.open("a") as file:
            for checkpoint in chosen:
                if checkpoint.step not in known and "validation" in scores[checkpoint.step]:
                    epoch = checkpoint.meta()["epoch"]
                    record = {"step": checkpoint.step, "epoch": epoch, "split": "validation"}
                    file.write(json.dumps({**record, **scores[checkpoint.step]["validation"]}) + "\n")

    @cached_property
    def opened(self) -> Opened:
        """The run's source, opened."""
        return self.experiment.data.open()

    @cached_property
    def test(self) -> tuple[Samples | None, Path | None]:
        """The samples to predict and the sample submission, where there are any."""
        return self.experiment.data.open_test()

    @cached_property
    def positions(self) -> list[np.ndarray]:
        """Positions of the training and validation samples."""
        return positions_of(self.experiment, self.opened)

    @cached_property
    def _decoded(self) -> dict[str, Decoded]:
        if self.task.encoders:
            limit = self.experiment.limit
            learn, validate = resident(self._encoders, self.opened, self.positions, limit, self._layout)
        else:
            learn, validate = decoded(self.opened, self.positions, self.task.images)
        return {"train": learn, "validation": validate}

    @cached_property
    def _encoders(self) -> tuple[Loaded, ...]:
        """Those of cached features. Raises UserError where they are not those that the run was trained on."""
        assert isinstance(self.experiment.data, CachedFeatures)
        loaded = load_all(self.experiment.data.encoders)
        if changes := changed_encoders(self.task.encoders, [encoder.record() for encoder in loaded]):
            raise UserError(
                f"{self.rundir.path} was trained on features of other encoders: {'; '.join(changes)}. Give the "
                "weights of then (--set data.encoders.0.model.pretrained=PATH)"
            )
        return loaded

    @cached_property
    def _layout(self) -> Layout:
        return Layout("auto", self.experiment.training.batch_size)

    @cached_property
    def _evaluator(self) -> Evaluator:
        program = program_of(self.experiment, self.task)
        return Evaluator(program, self._layout, self.experiment.training.batch_size, len(self.targets))

    def _refined_norms(self) -> tuple[str, ...]:
        """The batch norms whose statistics are refined. Raises UserError for an inference that does not fit the run."""
        inference = self.experiment.inference
        if not inference.plain:
            inference.tta.check_size(*self.task.image_shape[:2])
            inference.check_kind(self.kind)
        if inference.refine.adapts != "statistics":
            return ()
        shapes = network_shapes(self.experiment, self.task)
        norms = norms_of(shapes, input_shape(self.experiment, self.task))
        inference.refine.check_norms(norms)
        return norms

    @cached_property
    def _inferring(self) -> dict[str, InferenceEvaluator]:
        """Evaluators of the stages of the experiment's `inference`."""
        program, size = program_of(self.experiment, self.task), self.experiment.training.batch_size
        return {
            name: InferenceEvaluator(program, self._layout, size, len(self.targets), stage, self._norms)
            for name, stage in self.experiment.inference.stages().items()
        }

    def predict_each(
        self,
        samples: Samples,
        rows: np.ndarray,
        checkpoints: Iterable[Saved],
        compare: bool = False,
        stage: str | None = None,
    ) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """Of each of the checkpoints, this run's or another's of its task: predictions of the samples at `rows`.

        (n, t) float32 as `inference` says, and {"inference": what it did}, if anything. Images are decoded once.
        compare: with predictions from images as they are. stage: of `inference`, or "plain"; default: all of it.
        """
        put = None
        images: ImageRows
        if self.task.encoders:  # of all samples, as training stored them
            images = rows.astype(np.int32)
            put = Resident(self._layout, features(self._encoders, samples), None, None)
        else:
            (images,) = decode_splits(samples, [rows], self.task.images)
        for checkpoint in checkpoints:
            yield self._infer(self._variables(checkpoint), images, put, compare, stage)

    def _infer(
        self,
        variables: Variables,
        images: ImageRows,
        put: Resident | None,
        compare: bool,
        stage: str | None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        if stage == "plain" or self.experiment.inference.plain:
            return self._evaluator.predict(variables, images, put), {}
        evaluator = self._inferring[stage or list(self._inferring)[-1]]
        values = evaluator.predict(variables, images, put)
        if not compare:
            return values, {}
        plain = self._evaluator.predict(variables, images, put)
        return values, {"inference": evaluator.record() | {"moved": moved(plain, values, self.kind)}}

    def _variables(self, checkpoint: Saved) -> Variables:
        return self.put(variables_of(checkpoint))

    def put(self, variables: Variables) -> Variables:
        """Host arrays on the devices."""
        return self._layout.put(variables)


def parameters_of(checkpoint: Saved) -> Literal["ema", "params"]:
    """The field of a checkpoint that evaluation uses: averaged parameters where the run keeps them."""
    return "ema" if checkpoint.meta()["leaves"]["ema"] else "params"


def variables_of(checkpoint: Saved) -> Variables:
    """What evaluation uses of a checkpoint, on the host."""
    params = parameters_of(checkpoint)
    fields = checkpoint.arrays((params, "stats", "constants"))
    return Variables(fields[params], fields["stats"], fields["constants"])
