"""Modules under the names that they had in jaxlab 0.1, which config files and runs of then import."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
from collections.abc import Iterable
from types import ModuleType

MOVED = {
    "jaxlab.config": "jaxlab.core.config",
    "jaxlab.types": "jaxlab.core.types",
    "jaxlab.tree": "jaxlab.core.tree",
    "jaxlab.rng": "jaxlab.core.rng",
    "jaxlab.norm": "jaxlab.nn.norm",
    "jaxlab.folds": "jaxlab.experiment.folds",
    **{f"jaxlab.models.{name}": f"jaxlab.nn.{name}" for name in ("attention", "convolution", "layers", "positions")},
    **{f"jaxlab.data.{name}": f"jaxlab.data.device.{name}" for name in ("augment", "channels", "mix")},
    "jaxlab.data.files": "jaxlab.data.readers.image_files",
    "jaxlab.data.quickstart": "jaxlab.data.sources.kaggle_or_simulated",
    **{
        f"jaxlab.data.{name}": f"jaxlab.data.sources.{name}"
        for name in (
            "algonauts", "arrays", "easyvqa", "folders", "masks", "mnist", "nx414", "sensorium", "simulated", "table",
            "tfds", "vqa",
        )
    },
}  # fmt: skip


class Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module of MOVED where it lies now: both names are one module."""

    def find_spec(
        self, name: str, path: Iterable[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name in MOVED else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(MOVED[spec.name])
        spec.loader_state = module.__spec__  # which the import machinery is about to replace
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It ran when it was imported under its own name."""
        if module.__spec__ is not None and module.__spec__.name in MOVED:
            module.__spec__ = module.__spec__.loader_state
