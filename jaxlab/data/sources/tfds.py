"""TensorFlow Datasets as a source: which features are images, targets, classes and ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.config import LATER, Location
from jaxlab.core.precision import narrowed
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.image_files import existing_folder
from jaxlab.data.readers.tfds_folder import Dataset, dataset_in, dataset_named
from jaxlab.data.readers.tfds_records import is_image, is_numeric, is_text, kind_of, library, listed
from jaxlab.data.source import LEAVE_OUT, TO_TRY, Opened, Source, bad_ids, examples, not_numbers

COLUMNS = "columns/"  # the features that `jaxlab data prepare` nests columns in


@dataclass(frozen=True, kw_only=True)
class Tfds(Source):
    """A dataset of TensorFlow Datasets in ArrayRecord or Parquet files. TensorFlow is not needed.

    name: such as `cifar10` or `my_set/config:1.0.0`. It is downloaded and prepared where it is not there yet.
    data_dir: the folder of all datasets; default that of tensorflow_datasets, ~/tensorflow_datasets.
    root: instead of a name, the folder of one prepared dataset, where its dataset_info.json lies.
    train, test: splits, also in parts such as `train[:80%]`; the test split is `test`, where there is one.
    image: the feature with the images. Nested features are named `outer/inner`.
    target: features of numbers, side by side. label: the feature with the class.
        Default: what `jaxlab data prepare` wrote, else the dataset's own supervised keys.
    ids: the feature with ids; default: `id` where there is one, else numbers by position.
    columns: other features, such as a subject, that a split asks for; default: those that were prepared.
    missing_targets: NaN is a number that is not known, and is left out of loss and scores.
    """

    name: str | None = None
    data_dir: Location | None = None
    root: Location | None = None
    train: str = "train"
    test: str | None = None
    image: str = "image"
    target: tuple[str, ...] = ()
    label: str | None = None
    ids: str | None = None
    columns: tuple[str, ...] = ()
    missing_targets: bool = field(default=False, metadata=LATER)

    @property
    def extras(self) -> tuple[str, ...]:
        return ("tfds",)

    def check(self) -> None:
        if self.name is not None and self.root is not None:
            raise UserError(f"Tfds: expected a name or a root, found both: {self.name!r}, {self.root!r}")

    def open(self) -> Opened:
        dataset = self._dataset()
        fields = _fields_of(self, dataset)
        train = _samples(dataset, self.train, fields, labelled=True, gaps=self.missing_targets)
        test = self._test(dataset, fields)
        classes = tuple(dataset.features[fields.label].names) if fields.label else ()
        notes = dataset.notes if fields.target else {}
        names = _target_names(dataset, fields)
        ceiling = notes.get("ceiling")
        return Opened(
            train=train,
            test=test,
            kind="regression" if fields.target else "classification",
            targets=names or classes,
            sample_submission=_sample_submission(dataset),
            ceiling=None if ceiling is None else np.array(ceiling),
            classes=classes if names else (),
            rois={roi: _mask(members, len(names)) for roi, members in notes.get("rois", {}).items()},
        )

    def open_test(self) -> tuple[Samples | None, Path | None]:
        """As `open`, but the labelled records are not read."""
        dataset = self._dataset()
        return self._test(dataset, _fields_of(self, dataset)), _sample_submission(dataset)

    def _dataset(self) -> Dataset:
        if self.name is not None:
            return dataset_named(self.name, self.data_dir)
        if self.root is None:
            raise UserError(
                "neither data.root nor data.name is set: name the folder of a prepared dataset "
                f"(--set data.root=FOLDER) or a dataset (--set data.name=NAME); {TO_TRY}"
            )
        return dataset_in(existing_folder(self.root))

    def _test(self, dataset: Dataset, fields: "_Fields") -> Samples | None:
        if self.test is None and "test" not in dataset.builder.info.splits:
            return None
        return _samples(dataset, self.test or "test", fields, labelled=False)


@dataclass(frozen=True)
class _Fields:
    """The path of each feature that is used. columns: name -> path."""

    image: str
    ids: str | None
    target: tuple[str, ...]
    label: str | None
    columns: Mapping[str, str]


def _fields_of(config: Tfds, dataset: Dataset) -> _Fields:
    """Raises UserError naming every feature that is not there or not of the kind that is needed."""
    features = dataset.features
    target, label = config.target, config.label
    if not target and label is None:
        target, label = _supervised(dataset)
    ids = config.ids or ("id" if "id" in features and _can_be_id(features["id"]) else None)
    prepared = [path for path in features if dataset.notes and path.startswith(COLUMNS)]
    columns = {path.removeprefix(COLUMNS): path for path in config.columns or prepared}
    problems = [
        *_unfit(dataset, "image", [config.image], is_image, "an image, or a tensor (h, w[, c]) of uint8 or floats"),
        *_unfit(dataset, "target", target, is_numeric, "numbers, equally many in each record"),
        *_unfit(dataset, "label", [label] if label else [], _is_class, "a ClassLabel"),
        *_unfit(dataset, "ids", [ids] if ids else [], _can_be_id, "a text or a whole number"),
        *_unfit(dataset, "columns", columns.values(), _can_be_column, "texts, classes or numbers"),
    ]  # fmt: skip
    if problems:
        raise UserError(f"{dataset.about}: {'; '.join(problems)}. Its features: {listed(features)}")
    return _Fields(config.image, ids, target, label, columns)


def _supervised(dataset: Dataset) -> tuple[tuple[str, ...], str | None]:
    """Targets and label as the dataset itself says."""
    features = dataset.features
    if dataset.notes:
        return tuple({"target"} & features.keys()), "label" if "label" in features else None
    keys = dataset.builder.info.supervised_keys
    output = keys[1] if keys is not None else None
    if not isinstance(output, str) or output not in features:
        raise UserError(
            f"{dataset.about}: the dataset does not say what is to be predicted; set data.target or data.label "
            f"to one of its features: {listed(features)}"
        )
    return ((), output) if _is_class(features[output]) else ((output,), None)


def _unfit(dataset: Dataset, field: str, paths: Any, fits: Any, expected: str) -> list[str]:
    problems = []
    for path in paths:
        feature = dataset.features.get(path)
        if feature is None:
            problems.append(f"data.{field}: no feature {path!r}")
        elif not fits(feature):
            problems.append(f"data.{field}: expected {expected}, found {path!r}, which is {feature}")
    return problems


def _is_class(feature: Any) -> bool:
    return isinstance(feature, library().features.ClassLabel)


def _can_be_id(feature: Any) -> bool:
    return _can_be_column(feature) and feature.shape == () and kind_of(feature) not in "fc"


def _can_be_column(feature: Any) -> bool:
    return is_text(feature) or is_numeric(feature) or _is_class(feature)


def _samples(dataset: Dataset, split: str, fields: _Fields, labelled: bool, gaps: bool = False) -> Samples:
    """One split. labelled: every record must have its targets or class; else they are given where all have."""
    records = dataset.records(split, fields.image)
    known = dataset.notes.get("splits", {}).get(split.split("[")[0], {})
    columns = {
        name: path for name, path in fields.columns.items() if name in known.get("columns", fields.columns)
    }
    image_of = ["image_of"] if known.get("image_of") else []
    single = [path for path in (fields.ids, fields.label) if path is not None]
    found = records.values(list(dict.fromkeys([*single, *fields.target, *columns.values(), *image_of])))
    ids = _ids(found.get(fields.ids or ""), split, len(records))
    target, label = _target(found, fields.target), _label(found, fields.label)
    missing = np.zeros(0, bool) if label is None else label < 0
    if dataset.notes and not missing.all():  # only some: of classes that are not among those to learn
        missing = np.zeros(0, bool)
    problems = bad_ids(ids)
    if labelled:
        problems += [*_without_class(ids, missing, fields), *_without_target(ids, target, gaps)]
    if problems:
        raise UserError(f"{records.about}: {'; '.join(problems)}")
    complete = target is None or not not_numbers(target, gaps).any()
    return Samples(
        ids=ids,
        read=records.read,
        checksum=records.checksum,
        deep=records.deep if records.may_be_deep else None,
        target=target if complete else None,
        label=None if missing.any() else label,
        columns={name: _column(dataset.features[path], found[path]) for name, path in columns.items()},
        image_of=found["image_of"] if image_of else None,
    )


def _ids(values: np.ndarray | None, split: str, count: int) -> np.ndarray:
    if values is None:
        return np.array([f"{split}-{position:06d}" for position in range(count)])
    return values.astype(str)


def _target(found: Mapping[str, np.ndarray], paths: Sequence[str]) -> np.ndarray | None:
    """(n, t) float32, or (`narrowed`) float64."""
    if not paths:
        return None
    parts = [found[path].reshape(len(found[path]), -1) for path in paths]
    return narrowed(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))


def _label(found: Mapping[str, np.ndarray], path: str | None) -> np.ndarray | None:
    return None if path is None else found[path].astype(np.int32)


def _without_class(ids: np.ndarray, missing: np.ndarray, fields: _Fields) -> list[str]:
    """missing: (n,) bool, or empty where classes are not asked for."""
    if not missing.any():
        return []
    return [f"{missing.sum()} records have no class in {fields.label!r} ({examples(ids[missing].tolist())})"]


def _without_target(ids: np.ndarray, target: np.ndarray | None, gaps: bool) -> list[str]:
    if target is None or not (wrong := not_numbers(target, gaps)).any():
        return []
    bad = ids[wrong.any(1)].tolist()
    return [f"{len(bad)} records have targets that are not finite ({examples(bad)}); {LEAVE_OUT}"]


def _column(feature: Any, values: np.ndarray) -> np.ndarray:
    """Classes by name, none (-1) as an empty one."""
    return np.array([*feature.names, ""])[values] if _is_class(feature) else values


def _target_names(dataset: Dataset, fields: _Fields) -> tuple[str, ...]:
    """As they were prepared; else a feature's path, numbered where it holds several."""
    if fields.target == ("target",) and dataset.notes:
        return tuple(dataset.notes["targets"])
    names: list[str] = []
    for path in fields.target:
        count = int(np.prod(dataset.features[path].shape))
        names += [path] if dataset.features[path].shape == () else [f"{path}{k:05d}" for k in range(count)]
    return tuple(names)


def _mask(members: Sequence[int], count: int) -> np.ndarray:
    """(count,) bool."""
    mask = np.zeros(count, bool)
    mask[list(members)] = True
    return mask


def _sample_submission(dataset: Dataset) -> Path | None:
    name = dataset.notes.get("sample_submission")
    return dataset.folder / name if name else None
