"""Writing any source as a TensorFlow dataset in ArrayRecord shards, which `Tfds` and plain tensorflow_datasets read."""

import functools
import io
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from jaxlab.core.folders import made_whole
from jaxlab.core.terminal import stderr_console
from jaxlab.core.types import Samples, UserError
from jaxlab.data.images import Images, check_usable, first_readable, fitted
from jaxlab.data.levels import Levels, at_levels, settled
from jaxlab.data.prepare.manifest import is_damaged, write_manifest
from jaxlab.data.prepare.shards import write_shards
from jaxlab.data.readers.tfds_folder import SCHEMA
from jaxlab.data.readers.tfds_records import kind_of, library
from jaxlab.data.simd_resizing import check_simd
from jaxlab.data.source import Opened, duplicates, examples, fingerprint

_COMPRESSION = 1  # of PNG: a tenth larger than at level 6, and written four times as fast
_SHARED = 256  # encoded images kept, where samples share them


def prepare(opened: Opened, images: Images, out: Path, record: Mapping[str, Any]) -> None:
    """Write `opened` to the new folder `out`, every image resized as `images` says, once.

    Memory is bounded: records are decoded, encoded and serialised by as many threads as there are cores, a few
    ahead of the one that is written. The folder appears under its name once it is whole.
    record: what the data are and what wrote them; it goes into the manifest, beside the data's fingerprint.
    Raises UserError where `out` exists, the disk is too small, or images cannot be used (naming them all). A folder
    that was prepared and is damaged is made anew.
    """
    versions = {"tensorflow-datasets": library().__version__, "pillow": PIL.__version__}
    _check(opened, out)
    if images.resizing == "fast":
        check_simd()
    levels = images.levels or settled(opened, [images.levels], _say)
    opened = _shown(opened, levels)
    first = first_readable(opened.train, np.arange(len(opened.train)))
    form = _Form(opened, images, images.size or first.shape[:2], first.dtype)
    with made_whole(out) as partial:
        _write(form, partial, re.sub(r"[^a-z0-9]+", "_", out.name.lower()).strip("_") or "data")
        if opened.sample_submission is not None:
            shutil.copy(opened.sample_submission, partial / "sample_submission.csv")
        versions = {**record.get("versions", {}), **versions}
        made = {**record, "versions": versions, "fingerprint": fingerprint(opened)}
        write_manifest(partial, made if levels is None else {**made, "levels": levels})


def _shown(opened: Opened, levels: Levels | None) -> Opened:
    """With images of more than 8 bits at `levels`."""
    test = None if opened.test is None else at_levels(opened.test, levels)
    return replace(opened, train=at_levels(opened.train, levels), test=test)


def _say(line: str) -> None:
    stderr_console().print(line, highlight=False, markup=False, soft_wrap=True)


def _check(opened: Opened, out: Path) -> None:
    if os.path.lexists(out) and not is_damaged(out):
        raise UserError(f"{out} exists already; name a folder that does not, or remove it")
    if opened.train.masks:
        raise UserError(
            "a dataset has no place for masks: prepare the source that WithMasks wraps, and wrap the result"
        )
    names = opened.class_names
    problems = [name for name in names if name != name.strip() or not name or "\n" in name]
    if problems := [*problems, *duplicates(np.array(names, dtype=str)).tolist()]:
        raise UserError(
            f"TensorFlow datasets store class names one a line: expected distinct names without spaces around "
            f"them or line breaks, found {examples(map(repr, problems))}"
        )


@dataclass(frozen=True)
class _Form:
    """What one record holds. size (height, width) and dtype: of the images."""

    opened: Opened
    images: Images
    size: tuple[int, int]
    dtype: np.dtype

    @functools.cached_property
    def splits(self) -> dict[str, Samples]:
        test = self.opened.test
        return {"train": self.opened.train, **({} if test is None else {"test": test})}

    @property
    def _dtype(self) -> np.dtype:
        """Of the targets."""
        target = self.opened.train.target
        return np.dtype(np.float32) if target is None else target.dtype

    @functools.cached_property
    def features(self) -> Any:
        """The same for all splits, as tensorflow_datasets wants it."""
        kinds, samples = library().features, self.splits.values()
        found: dict[str, Any] = {"image": self._image(kinds), "id": kinds.Text()}
        if self.opened.train.target is not None:
            count = (len(self.opened.targets),)
            found["target"] = kinds.Tensor(shape=count, dtype=self._dtype, encoding="bytes")
        if self.opened.train.label is not None:
            found["label"] = kinds.ClassLabel(names=self.opened.class_names)
        if any(part.image_of is not None for part in samples):
            found["image_of"] = kinds.Scalar(np.int64)
        columns = {name: _column(kinds, values) for part in samples for name, values in part.columns.items()}
        if columns:
            found["columns"] = kinds.FeaturesDict(columns)
        return kinds.FeaturesDict(found)

    def _image(self, kinds: Any) -> Any:
        """PNG keeps uint8 as it is; floats are stored raw."""
        shape = (*self.size, self.images.channels)
        if self.dtype == np.uint8:
            return kinds.Image(shape=shape, encoding_format="png")
        return kinds.Tensor(shape=shape, dtype=np.float32, encoding="bytes")

    def encoder(self, samples: Samples) -> Callable[[int], bytes | str]:
        """position -> the serialised record, or what is wrong with its image."""

        def stored(position: int) -> Any:
            image = fitted(samples, position, self.images, self.size, self.dtype)
            return _png(image) if self.dtype == np.uint8 else image.astype(np.float32, copy=False)

        image_of = samples.image_of
        if image_of is not None:  # encoded once where neighbours share it
            _, first, number = np.unique(image_of, return_index=True, return_inverse=True)
            shared = functools.lru_cache(_SHARED)(stored)

        def encode(position: int) -> bytes | str:
            try:
                image = stored(position) if image_of is None else shared(int(first[number[position]]))
            except UserError as error:
                return str(error)
            return self.features.serialize_example({"image": image, **self._values(samples, position)})

        return encode

    def _values(self, samples: Samples, position: int) -> dict[str, Any]:
        """Everything but the image. Targets and classes that a split lacks are NaN and -1."""
        found: dict[str, Any] = {"id": str(samples.ids[position])}
        if "target" in self.features:
            blank = np.full(len(self.opened.targets), np.nan)
            found["target"] = (blank if samples.target is None else samples.target[position]).astype(
                self._dtype
            )
        if "label" in self.features:
            found["label"] = -1 if samples.label is None else int(samples.label[position])
        if "image_of" in self.features:
            found["image_of"] = position if samples.image_of is None else int(samples.image_of[position])
        if "columns" in self.features:
            found["columns"] = {
                name: _cell(feature, samples.columns.get(name), position)
                for name, feature in self.features["columns"].items()
            }
        return found

    def notes(self) -> dict[str, Any]:
        """What the records do not say."""
        opened = self.opened
        return {
            "schema": SCHEMA,
            "targets": None if opened.train.target is None else list(opened.targets),
            "ceiling": None if opened.ceiling is None else opened.ceiling.tolist(),
            "rois": {name: np.flatnonzero(mask).tolist() for name, mask in opened.rois.items()},
            "splits": {
                name: {"columns": list(samples.columns), "image_of": samples.image_of is not None}
                for name, samples in self.splits.items()
            },
            "sample_submission": opened.sample_submission and "sample_submission.csv",
        }


def _column(kinds: Any, values: np.ndarray) -> Any:
    shape = values.shape[1:]
    if values.dtype.kind not in "USO":
        return kinds.Tensor(shape=shape, dtype=values.dtype, encoding="bytes")
    return kinds.Tensor(shape=shape, dtype=np.object_) if shape else kinds.Text()


def _cell(feature: Any, values: np.ndarray | None, position: int) -> Any:
    """One value of a column; where the split has no such column, an empty text or zeros."""
    text = kind_of(feature) == "O"
    if values is None:
        values, position = np.zeros((1, *feature.shape), str if text else feature.np_dtype), 0
    if text:
        return values[position].astype(object) if feature.shape else str(values[position])
    return np.asarray(values[position])


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    pixels = image[..., 0] if image.shape[2] == 1 else image
    Image.fromarray(pixels).save(buffer, "png", compress_level=_COMPRESSION)
    return buffer.getvalue()


def _write(form: _Form, folder: Path, name: str) -> None:
    """The shards of every split, then dataset_info.json, features.json, metadata.json and the class names."""
    core = library().core
    infos, problems = [], []
    for split, samples in form.splits.items():
        template = core.ShardedFileTemplate(
            data_dir=folder, dataset_name=name, split=split, filetype_suffix="array_record"
        )
        lengths, size, unusable = write_shards(template, len(samples), form.encoder(samples))
        infos.append(
            core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=size, filename_template=template)
        )
        problems += unusable
    check_usable(problems, sum(map(len, form.splits.values())))
    info = core.DatasetInfo(
        builder=core.DatasetIdentity(
            name=name, version=core.Version("1.0.0"), data_dir=str(folder), module_name=__name__
        ),
        description="Written by `jaxlab data prepare`.",
        features=form.features,
        supervised_keys=("image", "target" if "target" in form.features else "label"),
        split_dict=core.SplitDict(infos),
        metadata=core.MetadataDict(form.notes()),
    )
    info.set_file_format("array_record")
    info.write_to_directory(folder)
