"""Features in place of images, as a source of data."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import Opened, Results, Source
from jaxlab.encode.encoder import Encoder
from jaxlab.weights.read import without_download


@dataclass(frozen=True, kw_only=True)
class CachedFeatures(Source):
    """What `encoders` make of the samples of `data`, computed once and kept on disk ($JAXLAB_CACHE/features).

    Goes with `model=Features()`; a readout names the layers as the encoders do. In training the whole set lies on the
    devices. Augmentation is not possible: the images are seen once, as they are.
    data: whose images they are. encoders: the frozen networks, one or several.
    """

    data: Source
    encoders: tuple[Encoder, ...]

    def check(self) -> None:
        if not self.encoders:
            raise UserError("CachedFeatures.encoders: expected one or more, found none")
        if isinstance(self.data, CachedFeatures):
            raise UserError("CachedFeatures.data: expected a source of images or texts, found CachedFeatures")

    @property
    def missing_targets(self) -> bool:
        return self.data.missing_targets

    @property
    def pools(self) -> bool:
        return self.data.pools

    @property
    def submits(self) -> str:
        return self.data.submits

    def of_subjects(self) -> Mapping[str, Source]:
        return {
            name: dataclasses.replace(self, data=source) for name, source in self.data.of_subjects().items()
        }

    def results(self, split: str) -> Results | None:
        return self.data.results(split)

    def open(self) -> Opened:
        return self.data.open()

    def open_on_disk(self) -> Opened:
        return self.data.open_on_disk()

    def open_test(self) -> tuple[Samples | None, Path | None]:
        return self.data.open_test()

    def smoke(self) -> Self:
        """The same without weights that would have to be downloaded."""
        encoders: list[Any] = list(self.encoders)
        changed = (dataclasses.replace(e, model=without_download(e.model)) for e in encoders)
        return dataclasses.replace(self, encoders=tuple(changed))
