"""Whether weights would load into a config's network: what fits, what does not, and the words that mend it."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from jaxlab.core.config import Component
from jaxlab.core.types import UserError
from jaxlab.encode import CachedFeatures
from jaxlab.experiment.recipe import resolve
from jaxlab.experiment.study import innermost
from jaxlab.experiment.trial import simulated, unnamed
from jaxlab.report.alike import Shapes, alike
from jaxlab.report.located import Located, locate
from jaxlab.report.orbax import tree_of
from jaxlab.report.recognised import recognised
from jaxlab.report.weight_files import arrays_of, is_msgpack
from jaxlab.runs.network.weights import shapes_of_part, weights_of_part
from jaxlab.training.ancestor import is_run
from jaxlab.training.checkpoint import saved
from jaxlab.weights.match import Misfit
from jaxlab.weights.read import find

_CONVERT = (
    "`pretrained` takes .safetensors, files of torch.save and runs of jaxlab's: write these arrays as .safetensors "
    "(safetensors.numpy.save_file), named and laid out as in PyTorch, kernels as (out, in, h, w)"
)
_ANOTHER = (
    "give the weights of this very network, or change its fields (--set {part}.FIELD=VALUE) until its arrays are those "
    "of the file; without weights it starts from random ones (--set {part}.pretrained=none)"
)


@dataclass(frozen=True)
class Fit:
    """part: the field of the config, as `--set` has it. model: its type. loads: whether the weights would.

    fitting, wanted: arrays of the network that the weights fill, and all that it has; None where nothing was compared.
    problems: {kind: names, with details}. skipped: {reason: how many of the file's arrays are left out}.
    why: the error that training would begin with. mend: what to type or to give.
    """

    part: str
    model: str
    loads: bool
    fitting: int | None = None
    wanted: int | None = None
    problems: Mapping[str, list[str]] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    why: str | None = None
    mend: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """A network of the config that may start from weights.

    load: as training does; the record of what it took. shapes: of its arrays, where they are known without weights.
    """

    part: str
    model: Any
    load: Callable[[str], Mapping[str, Any]]
    shapes: Shapes = field(default_factory=dict)


def fits(path: Path, experiment: Component) -> list[Fit]:
    """Of each network of a config that may start from weights. Nothing is trained.

    path: a run or a checkpoint in it, a weight file, a folder of one, a hub id; `#part` behind it as for `pretrained`.
    Where the config names no data, simulated ones stand in for them. Raises UserError where there is nothing to read,
    and for a config without such networks.
    """
    foreign = _foreign(path)
    source = str(path) if foreign else _source(path)
    places = list(_places(experiment, source))
    if not places:
        raise UserError(
            "--for: expected a config with a network that may start from weights (a field `pretrained`), found none"
        )
    if foreign:
        theirs = _shapes(foreign)
        return [_converted(place, theirs) for place in places]
    return [_fit(place, source) for place in places]


def _foreign(path: Path) -> Located | None:
    """What another tool wrote in a form that `pretrained` does not take: msgpack, or Orbax."""
    trees = ("_METADATA", "*/_METADATA")
    if is_msgpack(path) or (path.is_dir() and any(any(path.glob(name)) for name in trees)):
        found = locate(path)
        return found if found.file or found.orbax else None
    return None


def _source(path: Path) -> str:
    """As `pretrained` has it: a checkpoint within a run is RUN#STEP. Raises UserError where there is none."""
    if is_run(str(path)):
        return str(path)
    if path.is_dir() and (path.name.isdigit() or saved(path)):
        place = locate(path)
        if place.run is None:
            raise UserError(
                f"--for: {path}: expected a checkpoint within its run, which says what network it is of"
            )
        return f"{place.run.path}#{place.checkpoints[-1].step}"
    find(str(path))
    return str(path)


def _places(experiment: Any, source: str) -> Iterator[_Place]:
    inner = innermost(experiment)
    data = getattr(inner, "data", None)
    if isinstance(data, CachedFeatures):
        yield from _encoders(data.encoders, "data.encoders")
    elif hasattr(inner, "encoders"):
        yield from _encoders(inner.encoders, "encoders")
    else:
        yield from _parts(inner, source)


def _parts(experiment: Any, source: str) -> Iterator[_Place]:
    """Those of the model of an experiment on images."""
    parts = dict(experiment.model.parts)
    named = [name for name, part in parts.items() if hasattr(part, "pretrained")]
    parts |= {name: replace(parts[name], pretrained=source) for name in named}
    asked = replace(experiment, model=experiment.model.with_parts(parts))
    asked = simulated(asked) if unnamed(asked) is not None else asked
    recipe = resolve(asked, asked.data.open())

    def load(name: str, source: str) -> Mapping[str, Any]:
        return weights_of_part(recipe, name, source)[2]

    for name in named:
        params, stats = shapes_of_part(recipe, name)
        yield _Place(
            part=f"model.{name}" if name else "model",
            model=parts[name],
            load=partial(load, name),
            shapes={path: tuple(leaf.shape) for path, leaf in (params | stats).items()},
        )


def _encoders(encoders: Iterable[Any], where: str) -> Iterator[_Place]:
    def load(encoder: Any, source: str) -> Mapping[str, Any]:
        made = replace(encoder, model=replace(encoder.model, pretrained=source)).load()
        return made.frozen.weights or {}

    for number, one in enumerate(encoders):
        if hasattr(one.model, "pretrained"):
            yield _Place(f"{where}.{number}.model", one.model, partial(load, one))


def _fit(place: _Place, source: str) -> Fit:
    made = partial(Fit, part=place.part, model=type(place.model).__name__)
    try:
        record = place.load(source)
    except Misfit as error:
        known = [] if is_run(source) else recognised(source, place.model)
        return made(
            loads=False, fitting=error.fitting, wanted=error.wanted, problems=error.problems, why=str(error),
            mend=tuple(line for line in (error.hint, *known) if line) or (_ANOTHER.format(part=place.part),),
        )  # fmt: skip
    except UserError as error:
        return made(loads=False, why=str(error))
    return made(
        loads=True, fitting=record["used"], wanted=record["used"], skipped=record["skipped"],
        notes=tuple(line for line in (record["stem"], *record["notes"]) if line),
        mend=(f"--set {place.part}.pretrained={shlex.quote(source)}",),
    )  # fmt: skip


def _shapes(place: Located) -> dict[str, tuple[int, ...]]:
    """Of another tool's arrays, by name."""
    if place.file is not None:
        return {
            f"{field}.{path}": leaf.shape
            for field, named in arrays_of(place.file).items()
            for path, leaf in named.items()
        }
    return {
        f"{field}.{path}": tuple(leaf["shape"])
        for field, named in tree_of(place.orbax).items()
        for path, leaf in named.items()
    }


def _converted(place: _Place, theirs: Shapes) -> Fit:
    """Of what has to be converted first, names and shapes beside those of the network."""
    found = alike(theirs, place.shapes) if place.shapes else None
    return Fit(
        part=place.part,
        model=type(place.model).__name__,
        loads=False,
        fitting=found.fitting if found else None,
        wanted=len(place.shapes) if found else None,
        problems=found.problems if found else {},
        why="msgpack and Orbax trees of other tools are shown, but not loaded as weights",
        mend=(_CONVERT,),
    )
