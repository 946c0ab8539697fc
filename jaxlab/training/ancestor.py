"""A run of jaxlab's as pretrained weights: the backbone of one of its checkpoints, compared with who takes it.

`RUN` is the best checkpoint, `RUN#last` and `RUN#40` are others. What evaluation uses of it is taken: averaged
parameters where the run keeps them. Nothing of the run is executed: of its config the model's JSON is read alone.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxlab.core import tree
from jaxlab.core.config import Component, from_json, to_json
from jaxlab.core.remote.store import url_of
from jaxlab.core.tree import Flat
from jaxlab.core.types import UserError
from jaxlab.data.device.augment import Normalize
from jaxlab.data.images import Images
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.chosen import Which, chosen, parameters_of
from jaxlab.training.rundir import RunDirectory
from jaxlab.weights.load import adapted_stem, load_pretrained, widened_stem
from jaxlab.weights.match import Misfit
from jaxlab.weights.read import find, split_part

LAYOUT = "a run of jaxlab's"
_BACKBONE = "backbone."
_PARTS: dict[str, type[Any]] = {"images": Images, "normalize": Normalize}


class _Taken(NamedTuple):
    """arrays: by the backbone's paths. left: how many leaves of it the model has no use for, its classifier's."""

    arrays: Flat
    left: int


def is_run(source: str) -> bool:
    """Whether `source` is a run directory, or one with the checkpoint behind a `#`."""
    rundir = _directory(source)
    return rundir.exists() and (rundir.path / "run.json").is_file()


def located(source: str) -> Path:
    """The run directory or weight file that `source` names; as `weights.read.find`, whose errors it raises."""
    return _directory(source).path if is_run(source) else find(source)


def load_weights(
    config: Component, source: str, params: Flat, stats: Flat, further: int = 0
) -> tuple[Flat, Flat, dict[str, Any]]:
    """As `load_pretrained`, of a run as well.

    Raises UserError, which lists all that differs between the run's network and this one and what mends it.
    """
    if url_of(source) is not None:
        find(source)  # which refuses it, whatever the model takes
    if not is_run(source):
        return load_pretrained(config, source, params, stats, further)
    rundir = _directory(source)
    experiment, info = _experiment(rundir), rundir.info()
    checkpoint = _checkpoint(source)
    field = parameters_of(checkpoint)
    about = f"weights {source} do not fit {type(config).__name__}"
    settled = info["task"].get("settled")
    settles = _compared(config, experiment["model"], settled if isinstance(settled, dict) else {}, about)
    stored = checkpoint.arrays((field, *(("stats",) if checkpoint.meta()["leaves"].get("stats") else ())))
    found = {**stored[field], **stored.get("stats", {})}
    taken = _taken(found, params | stats)
    changed = _adapted(taken.arrays, params, further, _colours(info["task"]))
    _check_leaves(taken.arrays, params | stats, about, _channels_hint(experiment, further))
    made = {path: taken.arrays[path].astype(leaf.dtype) for path, leaf in (params | stats).items()}
    skipped = {
        "its readout": sum(not path.startswith(_BACKBONE) for path in found),
        "its classifier": taken.left,
    }
    record = {
        "source": source,
        "sha256": tree.digest(made),
        "used": len(made),
        "skipped": {name: count for name, count in skipped.items() if count},
        "stem": "; ".join(changed.values()) or None,
        "widened": next((path for path, done in changed.items() if "further" in done), None),
        "preprocessing": _preprocessing(info["task"], about),
        "settles": settles,
        **_origin(rundir, checkpoint, field),
    }
    return {path: made[path] for path in params}, {path: made[path] for path in stats}, record


def _origin(rundir: RunDirectory, checkpoint: Saved, field: str) -> dict[str, Any]:
    """Of the record of weights, what says which run and checkpoint they are of. field: of its parameters."""
    info, meta = rundir.info(), checkpoint.meta()
    return {
        "file": str(checkpoint.path.relative_to(rundir.path)),
        "revision": None,
        "layout": LAYOUT,
        "notes": [_said(checkpoint, field, info)],
        "run": {
            "name": rundir.path.resolve().name,
            "step": meta["step"],
            "digest": meta["digest"],
            "parameters": field,
            "data": info["data"]["fingerprint"],
            "weights": _lineage(info.get("weights")),
        },
    }


def digest_now(source: str) -> str | None:
    """The digest of the parameters of the run's checkpoint that would be taken now; None of what is no run."""
    return _checkpoint(source).meta()["digest"] if is_run(source) else None


def levels_of(source: str) -> Any:
    """`images.levels` of a run; None of what is no run, and of one that names none."""
    if not is_run(source):
        return None
    images = _directory(source).info().get("task", {}).get("images", {})
    levels = images.get("levels") if isinstance(images, dict) else None
    return tuple(levels) if isinstance(levels, list) else levels


def _directory(source: str) -> RunDirectory:
    return RunDirectory(Path(split_part(source)[0]).expanduser())


def _checkpoint(source: str) -> Saved:
    """Raises UserError for a part that is no checkpoint, and where there is none."""
    folder, part = _directory(source).checkpoints, split_part(source)[1]
    if not saved(folder):
        raise UserError(f"weights {source}: this run has no checkpoint yet; train it first")
    if part not in ("", "best", "last") and not part.isdecimal():
        raise UserError(
            f"weights {source}: expected best, last or a checkpoint's step behind the #, found {part!r}"
        )
    which: Which = int(part) if part.isdecimal() else part or "best"  # type: ignore[assignment]
    return chosen(folder, which)


def _experiment(rundir: RunDirectory) -> Mapping[str, Any]:
    """The JSON of a run of one network. Raises UserError, with the runs to take instead, for others."""
    config = rundir.config()
    model = config.get("model")
    if config["type"] == "Experiment" and isinstance(model, dict) and model.get("type") != "Features":
        return config
    inside = sorted(path.parent.name for path in rundir.path.glob("*/config.json"))
    if inside:
        shown = f"it has {', '.join(inside[:8])}{' and more' if len(inside) > 8 else ''}"
        mend = f"name one of its runs, as {rundir.path / inside[0]}; {shown}"
    else:
        mend = "give its encoder's own weights, which its config.json names, or the run of an experiment on images"
    what = config["type"] if config["type"] != "Experiment" else "network on cached features"
    raise UserError(
        f"weights {rundir.path}: expected the run of one network that sees images, found a {what}: {mend}"
    )


def _compared(model: Any, theirs: Any, settled: Mapping[str, Any], about: str) -> dict[str, Any]:
    """What the run's network settles of `model`. theirs: the JSON of its model. settled: as its task has them.

    Raises UserError that names every field that makes another network.
    """
    name = type(model).__name__
    if theirs.get("type") != name:
        raise UserError(f"{about}: its network is a {theirs.get('type')!r:.60}; expected model={name}(...)")
    try:
        other = from_json(theirs)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{about}: the model in its config.json is not one of this version ({error})"
        ) from None
    mine, found, settles = to_json(model), to_json(other), {}
    problems = []
    for one in fields(model):
        here, there = getattr(model, one.name), settled.get(one.name) or getattr(other, one.name)
        if hasattr(model, f"usual_{one.name}"):
            if here is None:
                settles[one.name] = there or getattr(other, f"usual_{one.name}")
        elif one.name in model.of_training or (
            one.name == "classes" and here == 0
        ):  # a classifier is left out
            continue
        elif mine.get(one.name) != found.get(one.name):
            problems.append(f"model.{one.name} is {here!r:.60}, the run's {there!r:.60}")
    if problems:
        raise UserError(
            f"{about}: {'; '.join(problems)}. Give the model the run's (--set FIELD=VALUE), or train anew"
        )
    return settles


def _taken(found: Flat, wanted: Flat) -> _Taken:
    """The backbone's arrays that the model has; a classifier that the model lacks is left out."""
    inside = {
        path.removeprefix(_BACKBONE): leaf for path, leaf in found.items() if path.startswith(_BACKBONE)
    }
    arrays = {path: leaf for path, leaf in inside.items() if path in wanted}
    return _Taken(arrays, len(inside) - len(arrays))


def _colours(task: Mapping[str, Any]) -> int | None:
    """How many channels of colour the run's images have."""
    found = task.get("images", {}).get("channels")
    return found if isinstance(found, int) else None


def _adapted(arrays: Flat, params: Flat, further: int, colours: int | None) -> dict[str, str]:
    """Makes the one kernel (h, w, in, out) that differs in its input channels alone fit; {its path: what was done}.

    As a file's first kernel is: to other colours by timm's rule, further channels begin at 0. Changes `arrays`. Nothing
    of a run whose network saw further channels itself.
    """
    differing = [path for path, leaf in arrays.items() if path in params and leaf.shape != params[path].shape]
    if len(differing) != 1:
        return {}
    (path,) = differing
    kernel, wanted = arrays[path], params[path].shape
    same = kernel.ndim == len(wanted) == 4 and (*kernel.shape[:2], kernel.shape[3]) == (
        *wanted[:2],
        wanted[3],
    )
    if not same or kernel.shape[2] != colours or wanted[2] <= further:
        return {}
    turned = {path: kernel.transpose(3, 2, 0, 1)}
    done = (adapted_stem(turned, path, wanted[2] - further), widened_stem(turned, path, further))
    arrays[path] = turned[path].transpose(2, 3, 1, 0)
    return {path: "; ".join(filter(None, done))}


def _check_leaves(arrays: Flat, wanted: Flat, about: str, hint: str) -> None:
    """Raises Misfit for leaves that are missing, of another shape, or not finite."""
    problems: dict[str, list[str]] = {}
    if missing := [path for path in wanted if path not in arrays]:
        problems["missing from the run"] = missing
    for path, leaf in arrays.items():
        if leaf.shape != wanted[path].shape:
            detail = f"{path} ({leaf.shape}, the model's {wanted[path].shape})"
            problems.setdefault("of another shape", []).append(detail)
        elif not np.isfinite(leaf).all():
            problems.setdefault("with values that are no numbers", []).append(path)
    if problems:
        fitting = len(wanted) - sum(map(len, problems.values()))
        raise Misfit(about, problems, fitting=fitting, wanted=len(wanted), hint=hint)


def _channels_hint(experiment: Mapping[str, Any], further: int) -> str:
    """In words to type what the run's network saw."""
    images = experiment.get("images") or {}
    channels = [one.get("type") for one in experiment.get("channels") or () if isinstance(one, dict)]
    beside = f"channels=({', '.join(map(str, channels))})" if channels else "no further channels"
    return (
        f"The run saw images.channels={images.get('channels')} and {beside}, where this network sees {further} further "
        "ones: see the same (--set images.channels), or take a run that did"
    )


def _preprocessing(task: Mapping[str, Any], about: str) -> dict[str, Any]:
    """How the run's images were prepared, as `weights.preprocessing` has it."""
    images, normalize = (_part(task[name], kind, about) for name, kind in _PARTS.items())
    found = {
        "mean": list(normalize.mean),
        "std": list(normalize.std),
        "interpolation": images.filter or "area",
        "crop_fraction": images.crop_fraction,
        "crop_from": images.crop_from,
        "size": list(images.size) if images.size else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _part(data: Any, kind: type[Any], about: str) -> Any:
    """Raises UserError for what is another component, or none."""
    try:
        found = from_json(data)
    except (UserError, TypeError, ValueError, AttributeError, RecursionError):
        found = None
    if not isinstance(found, kind):
        raise UserError(f"{about}: its run.json has no {kind.__name__} of this version in its task")
    return found


def _said(checkpoint: Saved, field: str, info: Mapping[str, Any]) -> str:
    size = info["task"]["images"].get("size") or ()
    average = ", its averaged parameters" if field == "ema" else ""
    seen = f"; it saw images of {' x '.join(map(str, size))}" if size else ""
    return f"the backbone of its checkpoint {checkpoint.step}{average}{seen}"


def _lineage(weights: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Of the run's own pretrained weights: where they came from, and so on."""
    if not weights:
        return None
    return {name: weights[name] for name in ("source", "sha256", "run") if weights.get(name) is not None}
