"""A trained network as a run: predict with it, evaluate its checkpoints."""

import json
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console

from jaxlab.config import identity
from jaxlab.data.given import given_samples
from jaxlab.data.images import ImageRows, decode_splits
from jaxlab.data.source import Opened, fingerprint
from jaxlab.encode import CachedFeatures, Loaded, Resident, features, load_all
from jaxlab.evaluate.evaluator import Evaluator
from jaxlab.experiment import Experiment
from jaxlab.fit import Decoded, decoded, positions_of, resident
from jaxlab.start import changed_encoders, recorded
from jaxlab.task import Task, program_of
from jaxlab.training import journal
from jaxlab.training.checkpoint import Saved, newest_good, saved
from jaxlab.training.rundir import RunDirectory, provenance
from jaxlab.training.sharding import Layout
from jaxlab.training.state import Variables
from jaxlab.types import Kind, Samples, UserError
from submit import Predictions

Which = Literal["best", "last"] | int
_KIND: dict[Kind, Literal["regression", "logits"]] = {"regression": "regression", "classification": "logits"}


class Run:
    """A trained network with the preprocessing that it was trained on.

    experiment: its config. task: targets, image shape and normalisation. info: run.json.
    """

    def __init__(self, rundir: RunDirectory, experiment: Experiment):
        self.rundir = rundir
        self.experiment = experiment
        self.info = rundir.info()
        self.task = Task.from_json(self.info["task"])

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
        if self.task.masks:
            raise UserError(
                f"{self.rundir.path}: its images have masks, which only those of a split bring along"
            )
        samples = given_samples(images, self.task.image_dtype)
        return self._predict(samples, np.arange(len(samples)), self.checkpoint(which))

    def predict_split(
        self, split: Literal["test", "validation"] = "test", which: Which = "best"
    ) -> Predictions:
        """Predictions for a split of the run's data, with ids, target names and provenance."""
        if split == "test":
            samples = self.test[0]
            if samples is None:
                raise UserError(
                    f"{type(self.experiment.data).__name__}: these data have no test images to predict"
                )
            rows = np.arange(len(samples))
        elif not self.validates:
            raise UserError(
                f"{self.rundir.path}: the members of this soup were not validated on the same images, so that none is "
                "new to all of them"
            )
        else:
            samples, rows = self.opened.train, self.positions[1]
        checkpoint = self.checkpoint(which)
        values = self._predict(samples, rows, checkpoint)
        meta = checkpoint.meta()
        made = {"run": self.rundir.path.name, "step": meta["step"], "digest": meta["digest"]}
        config = self.rundir.config()
        origin = {**made, "config": config, "data": self.info["data"], **provenance()}
        if "soup" in self.info:
            origin["soup"] = self.info["soup"]
        return Predictions(
            ids=samples.ids[rows], values=values, targets=np.array(self.targets), kind=_KIND[self.task.kind],
            split=split, provenance=origin,
        )  # fmt: skip

    def evaluate(self, which: Which = "best") -> dict[str, dict[str, float]]:
        """{"train": scores, "validation": scores} of a checkpoint, both in evaluation mode.

        A soup of runs with different validation images has training scores alone.
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
        splits = ("train", "validation") if self.validates else ("train",)
        return {split: self.score(variables, split) for split in splits}

    def score(self, variables: Variables, split: str) -> dict[str, float]:
        """Scores on "train" or "validation", in evaluation mode, of `variables` that lie on the devices."""
        data = self._decoded[split]
        return self._evaluator.evaluate(variables, *data.sent, data.put).compute(self.opened.ceiling)

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

    def _predict(self, samples: Samples, rows: np.ndarray, checkpoint: Saved) -> np.ndarray:
        put = None
        images: ImageRows
        if self.task.encoders:  # of all samples, as training stored them
            images = rows.astype(np.int32)
            put = Resident(self._layout, features(self._encoders, samples), None, None)
        else:
            (images,) = decode_splits(samples, [rows], self.task.images)
        return self._evaluator.predict(self._variables(checkpoint), images, put)

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
