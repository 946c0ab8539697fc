"""An experiment whose data are named nowhere, tried out on simulated neurons, small enough for minutes on a CPU."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import jax

from jaxlab.core.config import Component
from jaxlab.core.types import Kind
from jaxlab.data.images import Images
from jaxlab.data.source import Source
from jaxlab.data.sources.algonauts import Algonauts
from jaxlab.data.sources.arrays import Arrays
from jaxlab.data.sources.folders import ImageFolders
from jaxlab.data.sources.nx414 import NX414
from jaxlab.data.sources.pooled import Pooled
from jaxlab.data.sources.simulated import Simulated
from jaxlab.data.sources.table import KaggleTable
from jaxlab.data.sources.unlabelled import ImageTree, Unlabelled
from jaxlab.data.split import KFold, RandomSplit
from jaxlab.encode import CachedFeatures, ImageEncoder, Ridge
from jaxlab.experiment.experiment import Experiment, Training
from jaxlab.experiment.folds import Folds
from jaxlab.experiment.study import Study, innermost
from jaxlab.objectives import Objective
from jaxlab.pretext import PRETEXT
from jaxlab.training.ancestor import located
from jaxlab.weights.read import Unreachable

E = TypeVar("E", bound=Component)

# Sources of images with one number or class each: what a simulated population can stand in for.
_SIMULABLE = (Algonauts, Arrays, ImageFolders, ImageTree, KaggleTable, NX414, Pooled)
_SIDE = 112  # pixels of large images: whole patches of 14 and of 16, at a quarter of the cost of 224
_LARGE = 128  # more than so many pixels
_SMALLEST = 16  # that scenes are drawn at; they are resized as any image
_BATCH, _BATCHES, _EPOCHS = 16, 10, 2
_NEURONS = _TEST_IMAGES = 16


def unnamed(experiment: Component) -> str | None:
    """The field that would name where the data lie and does not, as `--set` has it; None where nothing is amiss.

    None as well for data that nothing simulated can stand in for, such as questions about images.
    """
    source, field = getattr(innermost(experiment), "data", None), "data"
    while isinstance(source, CachedFeatures | Unlabelled):
        source, field = source.data, f"{field}.data"
    named = getattr(source, "root", "") is not None or bool(getattr(source, "sources", {}))
    if type(source) in _SIMULABLE and not named:
        return f"{field}.root"
    return None


def simulated(experiment: E) -> E:
    """The same on a small simulated population, with classes where no loss asks for numbers."""
    part: Any = experiment
    if isinstance(experiment, Study):
        return part.of(simulated(part.experiment))
    return replace(part, **_simulated(experiment))


def _simulated(experiment: Any) -> dict[str, Any]:
    """The fields that data decide: no simulated image has the columns that splits and objectives may go by."""
    batch, source, kind = _batch(experiment), experiment.data, _kind(experiment)
    one = Simulated(
        images=batch * _BATCHES,
        test_images=_TEST_IMAGES,
        neurons=_NEURONS,
        size=max(_SMALLEST, *(_size(experiment) or (_SIDE,))),
        kind=kind,
    )
    data = _in_place_of(source, one)
    split = experiment.split
    if isinstance(split, KFold):
        split = replace(split, column=None)
    elif not isinstance(split, RandomSplit):
        split = RandomSplit()
    if not isinstance(experiment, Experiment):
        return {"data": data, "split": split}
    objectives = {name: _of_simulated(one, kind) for name, one in experiment.objectives.items()}
    balance = experiment.balance if kind == "classification" else None  # of labels, which neurons do not have
    return {"data": data, "split": split, "objectives": objectives, "balance": balance}


def _in_place_of(source: Source, one: Simulated) -> Source:
    """Around it whatever stands around the source."""
    if isinstance(source, CachedFeatures | Unlabelled):
        return replace(source, data=_in_place_of(source.data, one))
    if isinstance(source, ImageTree):
        return Unlabelled(data=one, test=source.test)
    return _pooled(one) if source.pools else one


def _pooled(one: Simulated) -> Pooled:
    """As many images, of two subjects."""
    sources: dict[str, Source] = {
        f"s{seed + 1}": replace(one, images=one.images // 2, seed=seed) for seed in (0, 1)
    }
    return Pooled(sources=sources)


def _of_simulated(objective: Objective, kind: Kind) -> Objective:
    """With a truth that simulated data of that kind have: beside activity, the object in the scene is a column."""
    if objective.of == PRETEXT:
        return objective
    return replace(objective, of=None if objective.loss.kind == kind else "category")


def trial(experiment: Any, log: Callable[[str], None]) -> Any:
    """`experiment` made small, on a simulated population: minutes on two cores, whatever it is.

    Images are at most 112 x 112; there are two epochs of few batches, or two folds. Weights that a hub would have to
    send and cannot are left out, and `log` is given a warning of each.
    Raises UserError for weights that are missing for another reason: a path without a file, an unknown hub id.
    """
    if isinstance(experiment, Folds):
        return replace(experiment, **_folds(experiment, log))
    if isinstance(experiment, Study):
        return experiment.of(trial(experiment.experiment, log)).fewer()
    small: Any = simulated(experiment)
    if isinstance(small, Ridge):
        encoders = tuple(_encoder(one, log) for one in small.encoders)
        return replace(small, encoders=encoders, split=replace(small.split, folds=2, fold=0), limit=None)
    return replace(small, **_experiment(small, log))


def _folds(config: Folds, log: Callable[[str], None]) -> dict[str, Any]:
    split = replace(config.split, folds=2, column=None)
    return {"experiment": replace(trial(config.experiment, log), split=split), "folds": 2}


def _experiment(small: Experiment, log: Callable[[str], None]) -> dict[str, Any]:
    data = small.data
    if isinstance(data, CachedFeatures):
        data = replace(data, encoders=tuple(_encoder(one, log) for one in data.encoders))
    return {
        "data": data,
        "images": _images(small.images),
        "model": small.model.with_parts(
            {name: _reachable(part, log) for name, part in small.model.parts.items()}
        ),
        "training": _training(small),
        "finetune": small.finetune.smoke(),  # all that starts later starts in the first epoch
        "limit": None,
    }


def _batch(experiment: Any) -> int:
    """Images in an update, enough for each device."""
    return math.lcm(_BATCH, jax.device_count() * getattr(experiment, "group", 1))


def _kind(experiment: Any) -> Kind:
    """What is simulated: activity, unless nothing but classes is predicted."""
    goals = experiment.goals.values() if isinstance(experiment, Experiment) else ()
    kinds = {one.loss.kind for one in goals if one.of != PRETEXT}  # which asks for images alone
    return "classification" if kinds == {"classification"} else "regression"


def _training(experiment: Experiment) -> Training:
    return replace(
        experiment.training,
        epochs=_EPOCHS,
        steps=None,
        batch_size=_batch(experiment),
        accumulate=1,
        early_stopping=None,
        early_stopping_metric=None,
        checkpoint_steps=None,
        keep_every=None,
    )


def _size(experiment: Any) -> tuple[int, int] | None:
    """(height, width) that the network sees; None where it takes images as they are."""
    encoders = getattr(experiment, "encoders", ()) or getattr(experiment.data, "encoders", ())
    images = encoders[0].images if encoders else experiment.images
    return _images(images).size


def _images(images: Images) -> Images:
    if images.size is None:
        return images
    height, width = (_SIDE if side > _LARGE else side for side in images.size)
    return replace(images, size=(height, width))


def _encoder(encoder: Any, log: Callable[[str], None]) -> Any:
    reached = replace(encoder, model=_reachable(encoder.model, log))
    return replace(reached, images=_images(encoder.images)) if isinstance(encoder, ImageEncoder) else reached


def _reachable(model: Any, log: Callable[[str], None]) -> Any:
    """`model`, without weights that the hub cannot send now."""
    source = getattr(model, "pretrained", None)
    if source is None:
        return model
    try:
        located(source)
    except Unreachable as error:
        log(f"warning: weights {source} cannot be reached ({error.reason}): random ones take their place")
        return replace(model, pretrained=None)
    return model
