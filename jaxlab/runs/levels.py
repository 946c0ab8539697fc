"""What a run that is there has settled of its images: the grey level that is white, and how encoders see them."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxlab.core.config import Component, components, from_json
from jaxlab.data.images import Images
from jaxlab.data.levels import Levels, settled
from jaxlab.data.source import Opened
from jaxlab.encode import ImageEncoder
from jaxlab.experiment.inputs import levels_of
from jaxlab.training.ancestor import levels_of as levels_of_run
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory


def levels_for(config: Component, rundir: RunDirectory, opened: Opened, session: Session) -> Levels | None:
    """What `config` leaves open of `images.levels`: as the run in `rundir` has them; of a new one the data's."""
    if rundir.exists():
        return recorded_levels(rundir.info().get("task", {}))
    parts = list(components(config))
    inherited = [levels_of_run(one.pretrained) for one in parts if getattr(one, "pretrained", None)]  # type: ignore[attr-defined]
    if (white := next(filter(None, inherited), None)) is not None:
        return white
    encoders = [one.images for one in parts if isinstance(one, ImageEncoder)]
    images = encoders or [one for one in parts if isinstance(one, Images)]
    return settled(opened, [one.levels for one in images], session.once)


def recorded_encoders(rundir: RunDirectory) -> Sequence[Mapping[str, Any]]:
    """The records of its encoders that the run in `rundir` keeps; none where there is no run yet."""
    return rundir.info().get("task", {}).get("encoders", ()) if rundir.exists() else ()


def recorded_levels(task: Mapping[str, Any]) -> Levels | None:
    """Those that the task of run.json names. An older run's are None: 65535 showed white."""
    images = from_json(task.get("images"))
    own = images.levels if isinstance(images, Images) else None
    return own or levels_of(task.get("encoders", ()))
