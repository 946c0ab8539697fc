"""Finding a TensorFlow dataset: by name, prepared where it is not there yet, or in the folder of a prepared one."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlab.core.files import read_json
from jaxlab.core.types import UserError
from jaxlab.data.prepare.manifest import read_manifest
from jaxlab.data.readers.tfds_records import Records, flat_features, library
from jaxlab.data.source import TO_TRY, examples

SCHEMA = 1
METADATA = "metadata.json"
_INFO = "dataset_info.json"
_RANDOM_ACCESS = {"array_record", "parquet"}


@dataclass(frozen=True)
class Dataset:
    """A dataset that can be read at random.

    about: its name or folder, for messages. builder: of tensorflow_datasets. features: as `flat_features`.
    notes: what `jaxlab data prepare` knew of it; {} where another program wrote it.
    """

    about: str
    builder: Any
    features: Mapping[str, Any]
    notes: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        return Path(self.builder.data_dir)

    def records(self, split: str, image: str) -> Records:
        """Raises UserError where there is no such split, naming those that there are."""
        raw = library().decode.DeserializeMethod.RAW_BYTES
        try:
            source = self.builder.as_data_source(split, deserialize_method=raw)
        except Exception as error:  # ValueError, KeyError or another, by what is wrong with the name
            known = {name: info.num_examples for name, info in self.builder.info.splits.items()}
            shown = ", ".join(f"{name} ({count:,})" for name, count in known.items())
            raise UserError(
                f"{self.about}: no split {split!r}; its splits: {shown} ({_first(error)})"
            ) from error
        prepared = self.folder if self.notes else None
        return Records(f"{self.about}, {split}", source, self.features, image, prepared)


def dataset_in(folder: Path) -> Dataset:
    """The prepared dataset in `folder`. Raises UserError where there is none, naming those in folders below."""
    tfds = library()
    if not (folder / _INFO).is_file():
        below = [
            str(path.parent)
            for path in sorted(folder.glob(f"*/{_INFO}")) + sorted(folder.glob(f"*/*/{_INFO}"))
        ]
        raise UserError(
            f"data.root: {folder} holds no prepared TensorFlow dataset (it has no {_INFO}); "
            + (f"those below it: {examples(below)}" if below else "`jaxlab data prepare` writes one")
            + f"; {TO_TRY}"
        )
    notes = _notes(folder)  # before the library reads files that may be damaged
    try:
        builder = tfds.builder_from_directory(str(folder))
    except Exception as error:  # of protobuf or the library, by what is wrong
        raise UserError(f"{folder}: cannot be read as a TensorFlow dataset ({_first(error)})") from error
    return _checked(str(folder), builder, notes)


def dataset_named(name: str, data_dir: str | None) -> Dataset:
    """The dataset `name` in `data_dir`, downloaded and prepared where it is not there yet and that works here."""
    tfds = library()
    where = data_dir or tfds.core.constants.DATA_DIR
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise UserError(_unknown(name, where)) from None
    except Exception as error:  # of the builder, by what is wrong with version or config
        raise UserError(f"data.name={name!r}: {_first(error)}") from error
    if not builder.is_prepared():
        _prepare(builder, name, where)
    return _checked(name, builder, _notes(Path(builder.data_dir)))


def _prepare(builder: Any, name: str, where: str) -> None:
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # a download, or a builder that wants TensorFlow
        raise UserError(
            f"{name} is not prepared in {where}, and tensorflow_datasets cannot do it here ({_first(error)}). "
            f"Where TensorFlow is installed: tfds build {name} --file_format=array_record --data_dir={where}"
        ) from error


def _checked(about: str, builder: Any, notes: Mapping[str, Any]) -> Dataset:
    formats = sorted(kind.value for kind in builder.info.available_file_formats())
    if not _RANDOM_ACCESS & set(formats):
        found = ", ".join(formats) or "files of an unknown format"
        raise UserError(
            f"{about}: is stored as {found}, which cannot be read at random. Where TensorFlow is installed: "
            f"tfds convert_format --dataset_version_dir={builder.data_dir} --out_file_format=array_record "
            "--out_dir=FOLDER"
        )
    return Dataset(about, builder, flat_features(builder.info.features), notes)


def _notes(folder: Path) -> dict[str, Any]:
    """What `jaxlab data prepare` wrote of the data, once the manifest agrees; {} for another program's dataset."""
    if read_manifest(folder) is None:
        return {}
    notes = read_json(folder / METADATA)
    if notes.get("schema") != SCHEMA:
        raise UserError(f"{folder / METADATA}: expected schema {SCHEMA}, found {notes.get('schema')}")
    return notes


def _unknown(name: str, where: str) -> str:
    """The message for a name that no dataset has."""
    root = Path(where).expanduser()
    found = [*root.glob(f"*/*/{_INFO}"), *root.glob(f"*/*/*/{_INFO}")]
    folders = sorted({path.relative_to(root).parts[0] for path in found})
    near = difflib.get_close_matches(
        name, [*folders, *library().list_builders(with_community_datasets=False)], n=3
    )
    there = f"prepared in {where}: {examples(folders) or 'none'}"
    return f"data.name: no dataset {name!r}; {f'nearest: {examples(near)}; ' if near else ''}{there}"


def _first(error: Exception) -> str:
    """The first line of its message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
