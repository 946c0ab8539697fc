"""Modules that can be imported under a second name: `from submit.kaggle import write` is of submit.formats.kaggle."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
from collections.abc import Iterable, Mapping
from types import ModuleType


class Aliases(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module of `homes`, second name to first, where it lies: both names are one module."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        self.homes = homes

    def find_spec(
        self, name: str, path: Iterable[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name in self.homes else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.homes[spec.name])
        spec.loader_state = module.__spec__  # which the import machinery is about to replace
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It ran when it was imported under its own name."""
        if module.__spec__ is not None and module.__spec__.name in self.homes:
            module.__spec__ = module.__spec__.loader_state
