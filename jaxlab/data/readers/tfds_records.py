"""Records of a TensorFlow dataset, read at random and from many threads or processes, without TensorFlow."""

import functools
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.types import StoredLevels, UserError
from jaxlab.data.images import shown
from jaxlab.data.prepare.manifest import verify
from jaxlab.data.readers.decoding import decode_image, stored_levels

_BATCH = 64  # records held while targets are read: a few tens of MB
_CHARACTERS = 2**24  # of an array of unicode, 64 MB


def library() -> Any:
    """tensorflow_datasets. Raises UserError where it is not installed."""
    try:
        import tensorflow_datasets  # an extra
        from array_record.python import array_record_data_source  # noqa: F401  # has no wheel for some systems
    except ImportError as error:
        raise UserError(
            f"TensorFlow datasets need tensorflow-datasets and array-record, of which one is missing ({error}); "
            "pip install 'jaxlab[tfds]' (TensorFlow itself is not needed)"
        ) from error
    return tensorflow_datasets


@dataclass(frozen=True)
class Records:
    """One split of a dataset. It can be pickled; files are opened where it is used.

    about: the dataset and split, for messages. source: position -> the record's bytes.
    features: the feature of each path, `outer/inner` where features are nested. image: the path of the images.
    prepared: the folder, where it has a manifest to verify.
    """

    about: str
    source: Any
    features: Mapping[str, Any]
    image: str
    prepared: Path | None = None

    def __len__(self) -> int:
        return len(self.source)

    def values(self, paths: Sequence[str]) -> dict[str, np.ndarray]:
        """{path: (n, ...)} of every record, text as unicode or objects; the images are not decoded."""
        found: dict[str, np.ndarray] = {}
        if not paths:
            return found
        part = self._part(paths)
        starts = range(0, len(self), _BATCH)
        for start in shown(starts, len(starts), "reading records"):
            rows = range(start, min(start + _BATCH, len(self)))
            records = self._parsed(part, rows)
            for path in paths:
                values = _array([record[path] for record in records], self.features[path])
                if path not in found:
                    found[path] = np.empty((len(self), *values.shape[1:]), values.dtype)
                found[path][start : start + len(rows)] = values
        return {path: _texts(values) if values.dtype == object else values for path, values in found.items()}

    def read(self, position: int) -> np.ndarray:
        """(h, w, c) uint8 or float32. Raises UserError that names the record."""
        stored, feature = self._stored(position), self.features[self.image]
        name = f"{self.about}, record {position}"
        if isinstance(stored, bytes) and feature.np_dtype != np.float32:
            return decode_image(io.BytesIO(stored), name)
        image = feature.decode_example_np(stored) if isinstance(stored, bytes) else stored
        image = image[..., None] if image.ndim == 2 else image
        if image.dtype == np.uint8:
            return image
        image = image.astype(np.float32)
        if not np.isfinite(image).all():
            raise UserError(f"{name}: {int((~np.isfinite(image)).sum())} values are not finite")
        return image

    @property
    def may_be_deep(self) -> bool:
        """Whether images are encoded and of more than 8 bits, as their feature says."""
        feature = self.features[self.image]
        return is_encoded(feature) and feature.np_dtype not in (np.uint8, np.float32)

    def deep(self, position: int) -> StoredLevels | None:
        """As `Samples.deep`."""
        return stored_levels(io.BytesIO(self._stored(position)), f"{self.about}, record {position}")

    def checksum(self, position: int) -> bytes:
        """SHA-256 of the stored image; the shards of a prepared dataset are verified first."""
        if self.prepared is not None:
            verify(self.prepared)
        stored = self._stored(position)
        return hashlib.sha256(stored if isinstance(stored, bytes) else stored.tobytes()).digest()

    def _stored(self, position: int) -> Any:
        """The encoded image's bytes, or the array where the feature is a tensor."""
        (record,) = self._parsed(self._image_part, [int(position)])
        return record[self.image]

    @functools.cached_property
    def _image_part(self) -> Any:
        return self._part([self.image])

    def _part(self, paths: Sequence[str]) -> Any:
        """The features at `paths` alone: what is not asked for is not parsed."""
        return library().features.FeaturesDict({path: self.features[path] for path in paths})

    def _parsed(self, part: Any, rows: Sequence[int]) -> list[dict[str, Any]]:
        skip = {self.image: library().decode.SkipDecoding()} if is_encoded(self.features[self.image]) else {}
        decoders = {path: skip[path] for path in part if path in skip}
        try:
            return [part.deserialize_example_np(self.source[row], decoders=decoders) for row in rows]
        except Exception as error:  # of array_record, protobuf or tensorflow_datasets, by what is wrong
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"{self.about}: records {rows[0]} to {rows[-1]} cannot be read ({reason}); "
                "a shard is missing or damaged: copy or prepare the dataset again"
            ) from error


def is_encoded(feature: Any) -> bool:
    """Whether images are stored as the bytes of a file."""
    return isinstance(feature, library().features.Image)


def is_image(feature: Any) -> bool:
    """Whether `feature` holds one image: an Image, or a Tensor (h, w) or (h, w, c) of uint8 or floats."""
    if is_encoded(feature):
        return True
    pixels = is_numeric(feature) and (kind_of(feature) == "f" or feature.np_dtype == np.uint8)
    return pixels and len(feature.shape) in (2, 3)


def is_text(feature: Any) -> bool:
    """Whether `feature` is a text, or a tensor of texts."""
    return isinstance(feature, library().features.Tensor) and kind_of(feature) in "OUS"


def is_numeric(feature: Any) -> bool:
    """Whether `feature` holds numbers, equally many in each record; classes are no numbers."""
    features = library().features
    plain = isinstance(feature, features.Tensor) and not isinstance(feature, features.ClassLabel)
    return plain and not is_text(feature) and None not in feature.shape


def kind_of(feature: Any) -> str:
    """numpy's letter for the kind of its values: `f` for floats, `O` for texts, ..."""
    return np.dtype(feature.np_dtype).kind


def flat_features(features: Any) -> dict[str, Any]:
    """{path: feature} of a FeaturesDict, nested ones as `outer/inner`."""
    found: dict[str, Any] = {}
    for name, feature in features.items():
        if isinstance(feature, library().features.FeaturesDict):
            inner = flat_features(feature)
            found |= {f"{name}/{path}": part for path, part in inner.items()}
        else:
            found[name] = feature
    return found


def listed(features: Mapping[str, Any]) -> str:
    """`image (Image), label (ClassLabel), ...`, for messages."""
    return ", ".join(f"{path} ({type(feature).__name__})" for path, feature in features.items())


def _array(values: list[Any], feature: Any) -> np.ndarray:
    return np.array(values, dtype=object if is_text(feature) else None)


def _texts(values: np.ndarray) -> np.ndarray:
    """As unicode, where every text takes the room of the longest; where that would be much, as objects."""
    known = {value: value.decode() if isinstance(value, bytes) else str(value) for value in set(values.flat)}
    texts = [known[value] for value in values.flat]
    large = max(map(len, known.values()), default=0) * len(texts) > _CHARACTERS
    return np.array(texts, dtype=object if large else str).reshape(values.shape)
