"""Studies whose networks are one network but for their parameters, and predict as their mean."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from jaxlab.core.config import to_json
from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import Opened, examples
from jaxlab.evaluate.inference import together
from jaxlab.experiment.study import innermost
from jaxlab.runs import keeping
from jaxlab.runs.network.ready import ready
from jaxlab.runs.network.run import NetworkRun
from jaxlab.runs.ready import Ready
from jaxlab.runs.run import Kept, Run, UserImages, Which
from jaxlab.runs.study import StudyRun
from jaxlab.training.rundir import RunDirectory
from submit import Predictions, ensemble


class TogetherRun(StudyRun):
    """Trained variants of one network. Each of them counts alike, and is predicted with what the first compiled."""

    def __init__(self, rundir: RunDirectory, experiment: Any, predicts: str | None = None):
        super().__init__(rundir, experiment, predicts)
        first, *others = self._networks
        if differing := [self._name(one) for one in others if not one.task.same_as(first.task)]:
            raise UserError(
                f"{rundir.path}: {examples(differing)} differ from {self._name(first)} in targets, images or "
                "normalisation"
            )
        self._network = first  # predicts with the checkpoints of all: it compiles and decodes once

    @property
    def _networks(self) -> Sequence[NetworkRun]:
        return cast("Sequence[NetworkRun]", self.members)

    def _name(self, member: Run) -> str:
        return str(member.rundir.path.relative_to(self.rundir.path))

    @property
    def as_it_is(self) -> Opened:
        return self._network.as_it_is

    @property
    def opened(self) -> Opened:
        return self._network.opened

    @property
    def test(self) -> tuple[Samples | None, Path | None]:
        return self._network.test

    def given(self, images: UserImages) -> Samples:
        return self._network.given(images)

    def predicted(self, samples: Samples, which: Which | None = None) -> np.ndarray:
        """(n, t) float32: the mean over all networks of what each has for these images.

        Of classes, the logarithms of mean probabilities, since these are what `predict_split` averages.
        """
        checkpoints = self.checkpoints(self.usual if which is None else which)
        each = self._network.predict_each(samples, np.arange(len(samples)), checkpoints)
        return self.primary.mean_of(values for values, _ in each)

    def ready(self, which: Which | None = None, size: int = 16) -> Ready:
        return ready(self._network, self.checkpoints(self.usual if which is None else which), size)

    def kept_as(self, split: str = "test", which: Which | None = None) -> Kept:
        """As every run; of the test images those of each network in its own directory, too."""
        if split != "test":
            return super().kept_as(split, which)
        members = list(self.predict_members(which))
        mean = self.averaged(members, which)
        origin = keeping.origin_of(self, mean, which)
        for member, predictions in zip(self.members, members, strict=True):
            keeping.keep(member.rundir, predictions, origin)
        return Kept(mean, keeping.keep(self.rundir, mean, origin))

    def predict_members(self, which: Which | None = None) -> Iterator[Predictions]:
        """Each network's predictions of the test images, in turn."""
        self.refuse_several()
        samples = self._network.test_samples()
        checkpoints = self.checkpoints(self.usual if which is None else which)
        each = self._network.predict_each(samples, np.arange(len(samples)), checkpoints, compare=True)
        for member, (values, inferred), checkpoint in zip(self._networks, each, checkpoints, strict=True):
            inferred = {**inferred, "samples": self.test_fingerprint}
            yield member.named(samples.ids, values, "test", checkpoint, inferred)

    def averaged(self, members: Sequence[Predictions], which: Which | None = None) -> Predictions:
        """The mean of the networks' predictions, with the provenance of all."""
        mean = ensemble.mean(members)
        origin = self.made_of(self.scored(members, which), [member.provenance for member in members])
        return replace(mean, provenance={**mean.provenance, **origin})

    @abstractmethod
    def scored(self, members: Sequence[Predictions], which: Which | None) -> Mapping[str, Any]:
        """{split: scores} that the provenance of the members' mean has."""

    def made_of(self, scores: Mapping[str, Any], members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Provenance. scores: by split. members: the networks' own provenance."""
        inferred = [one["inference"] for one in members if "inference" in one]
        used = to_json(innermost(self.experiment).inference)
        together_ = {"inference": together(inferred)} if inferred else {}
        return self.origin(scores, config=_inferring(self.rundir.config(), used), **together_)


def _inferring(config: Mapping[str, Any], inference: Any) -> dict[str, Any]:
    """The JSON of a study whose innermost experiment has another `inference`."""
    if "experiment" in config:
        return {**config, "experiment": _inferring(config["experiment"], inference)}
    return {**config, "inference": inference}
