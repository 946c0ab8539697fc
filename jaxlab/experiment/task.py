"""What data make of an experiment: kept with a run, so that predicting needs no training data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from jaxlab.core.config import from_json, to_json
from jaxlab.core.types import UserError
from jaxlab.data.device.augment import Normalize
from jaxlab.data.images import Images
from jaxlab.models.base import Model
from jaxlab.objectives import Objective, Resolved, resolved
from jaxlab.weights import settled
from jaxlab.weights.preprocessing import prepared

_NEEDED = ("kind", "targets", "images", "image_dtype", "normalize")
_PARTS: dict[str, type[Any]] = {"images": Images, "normalize": Normalize}
_LATER: dict[str, Any] = {
    "masks": 0,
    "encoders": (),
    "settled": {},
    "missing": False,
    "answer_types": {},
    "language": {},
}  # which the first versions did not know


@dataclass(frozen=True)
class Task:
    """objectives: the primary one first. images: with the size, filter and crop that are used.

    image_dtype: of decoded images, "uint8" or "float32". normalize: as resolved. masks: how many channels of decoded
    images are masks.
    settled: fields of the model that the layout of its weights settles, where the experiment leaves them open.
    encoders: where the network reads cached features, the records of what made them; `images` and `normalize` are
    then unused, each encoder has its own.
    language: of a network that reads texts, how they became tokens, as `language_of` has it.
    """

    objectives: tuple[Resolved, ...]
    images: Images
    image_dtype: str
    normalize: Normalize
    masks: int = 0
    encoders: tuple[dict[str, Any], ...] = ()
    settled: Mapping[str, Any] = field(default_factory=dict)
    language: Mapping[str, Any] = field(default_factory=dict)

    @property
    def primary(self) -> Resolved:
        """The objective that picks the best checkpoint and is predicted."""
        return self.objectives[0]

    @property
    def targets(self) -> dict[str, tuple[str, ...]]:
        """{objective: names of its targets or classes}."""
        return {one.name: one.targets for one in self.objectives}

    @property
    def origins(self) -> dict[str, np.ndarray]:
        """{objective: its origin} of those that have one."""
        return {one.name: one.origin for one in self.objectives if one.origin is not None}

    @property
    def answer_types(self) -> dict[str, tuple[str, ...]]:
        """{objective: the types of answers that are scored alone} of those that are answers of several people."""
        return {one.name: one.answer_types for one in self.objectives if one.answer_types is not None}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(h, w, c) of decoded images."""
        height, width = self.images.size or (0, 0)
        return height, width, self.images.channels + self.masks

    def to_json(self) -> dict[str, Any]:
        """kind and targets are the primary objective's; those of all stand beside them where there are several.

        origins: of the objectives that have one. missing: where targets may be. answer_types: of the objectives that
        are answers of several people.
        """
        several: dict[str, Any] = {} if len(self.objectives) == 1 else {"objectives": _lists(self.targets)}
        if self.origins:
            several["origins"] = {name: origin.tolist() for name, origin in self.origins.items()}
        return {
            "kind": self.primary.kind,
            "targets": list(self.primary.targets),
            **several,
            "images": to_json(self.images),
            "image_dtype": self.image_dtype,
            "normalize": to_json(self.normalize),
            "masks": self.masks,
            "encoders": list(self.encoders),
            **({"settled": dict(self.settled)} if self.settled else {}),
            **({"language": dict(self.language)} if self.language else {}),
            **({"missing": True} if any(one.missing for one in self.objectives) else {}),
            **({"answer_types": kinds} if (kinds := _lists(self.answer_types)) else {}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], objectives: Mapping[str, Objective]) -> Self:
        """The inverse, for an experiment of these objectives."""
        data = {**_LATER, **data}
        if missing := sorted(set(_NEEDED) - data.keys()):
            raise UserError(
                f"run.json: task has no {', '.join(missing)}; another version of jaxlab made this run"
            )
        images, normalize = (_part(data, name, kind) for name, kind in _PARTS.items())
        if images.size is None and not data["encoders"]:
            raise UserError("run.json: task.images.size: expected height and width, found null")
        targets = data.get("objectives") or dict.fromkeys(objectives, data["targets"])
        if targets.keys() != objectives.keys():
            raise UserError(
                f"run.json: task has the objectives {', '.join(targets)}, config.json {', '.join(objectives)}"
            )
        return cls(
            objectives=resolved(
                objectives,
                {name: tuple(names) for name, names in targets.items()},
                origins_of(data),
                data["missing"],
                {name: tuple(kinds) for name, kinds in data["answer_types"].items()},
            ),
            images=images,
            image_dtype=data["image_dtype"],
            normalize=normalize,
            masks=data["masks"],
            encoders=tuple(data["encoders"]),
            settled=data["settled"],
            language=data["language"],
        )

    def completed(self, model: Model) -> Model:
        """The experiment's model, with what its weights settle and as many words as texts have."""
        parts: dict[str, Any] = dict(model.parts)
        image, *others = parts
        parts[image] = replace(parts[image], **self.settled)
        if self.language.get("words"):
            parts |= {
                name: replace(parts[name], vocabulary=len(self.language["words"]) + 1) for name in others
            }
        return model.with_parts(parts)

    def held_in(self, images: Images) -> Self:
        """With as much memory for decoded images as `images` says, which is no matter of what was learned."""
        return replace(self, images=replace(self.images, memory_budget_gb=images.memory_budget_gb))

    def above(self, origins: Mapping[str, np.ndarray]) -> Self:
        """With these origins, and no others."""
        objectives = tuple(replace(one, origin=origins.get(one.name)) for one in self.objectives)
        return replace(self, objectives=objectives)

    def same_as(self, other: "Task") -> bool:
        """Whether the two predict the same targets from inputs made alike."""
        return self.to_json() == other.to_json()

    def prepared_as(self, normalize: Normalize | None, weights: dict[str, Any] | None) -> Self:
        """Prepared as pretrained weights were: what the experiment leaves open of normalisation, filter and crop.

        normalize: the experiment's own. weights: the record that `load_pretrained` makes.
        """
        images, normalize = prepared(self.images, normalize, weights)
        return replace(self, normalize=normalize, images=images)

    def settled_by(self, model: Model, weights: dict[str, Any] | None) -> Self:
        """With the fields of what sees images in the experiment's `model` that its weights settle, as far as open."""
        model = next(iter(model.parts.values()))
        filled = settled(model, weights)
        own = {name: getattr(filled, name) for name in (weights or {}).get("settles") or {}}
        return replace(
            self, settled={name: value for name, value in own.items() if value != getattr(model, name)}
        )


def origins_of(task: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Those that the JSON of a task has."""
    return {name: np.array(values) for name, values in task.get("origins", {}).items()}


def _part(task: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    found = from_json(task[name])
    if not isinstance(found, kind):
        raise UserError(
            f"run.json: task.{name}: expected {kind.__name__}, found {task[name].get('type')!r:.60}"
        )
    return found


def _lists(targets: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {name: list(names) for name, names in targets.items()}
