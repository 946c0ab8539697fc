"""A config file is a program: whose may be run, and the modules beside it, which it imports as a script would."""

import ast
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from jaxlab.core.files import source_text

KEPT = "modules"  # the folder beside a run's config.py that has them
_OURS = {"jaxlab", "submit"}  # which lie beside a config in a clone, and are no part of it


_TRUST: ContextVar[bool] = ContextVar("trust", default=False)


@contextmanager
def trusting(trust: bool) -> Iterator[None]:
    """While the config.py of a run may be run, where its config.json names a part that only that defines."""
    token = _TRUST.set(trust or trusted())
    try:
        yield
    finally:
        _TRUST.reset(token)


def trusted() -> bool:
    """Whether it may."""
    return _TRUST.get()


class ConfigText(str):
    """The text of a config file, and with it {path from its folder: text} of the modules beside it."""

    modules: dict[str, str]

    def __new__(cls, text: str, modules: dict[str, str]) -> "ConfigText":
        made = super().__new__(cls, text)
        made.modules = modules
        return made


def config_text(file: Path) -> ConfigText:
    """A config file with the modules beside it that it imports, or that those import."""
    text = source_text(file)
    found: dict[str, str] = {}
    _collect(text, file, found)
    return ConfigText(text, found)


@contextmanager
def importable(file: Path) -> Iterator[None]:
    """While modules beside `file`, or kept beside it, can be imported before others of their names; later, after them.

    Those of the config before are forgotten first: they may have the same names.
    """
    places = [str(place) for place in _places(file)]
    for name in [name for name, place in _BESIDE.items() if place not in places]:
        sys.modules.pop(name, None)
        del _BESIDE[name]
    path = [place for place in sys.path if place not in _LAST]
    before, sys.path[:] = set(sys.modules), [*places, *path]
    importlib.invalidate_caches()  # a module may be younger than the last look into its folder
    try:
        yield
    finally:
        _LAST[:] = [place for place in places if place not in path]
        sys.path[:] = [*path, *_LAST]  # for what is imported later, within functions
        for name in set(sys.modules) - before:
            origin = getattr(sys.modules[name], "__file__", None) or ""
            if inside := [place for place in places if origin.startswith(f"{place}/")]:
                _BESIDE[name] = inside[-1]


_BESIDE: dict[str, str] = {}  # of modules that a config brought along: the folder of each
_LAST: list[str] = []  # of these folders, those that Python would not look into by itself


def _places(file: Path) -> list[Path]:
    folder = file.resolve().parent
    return [folder, folder / KEPT] if (folder / KEPT).is_dir() else [folder]


def _collect(text: str, file: Path, found: dict[str, str]) -> None:
    try:
        names = _imported(text)
    except (SyntaxError, ValueError):  # which Python says better
        return
    for name in names:
        if name in _OURS:
            continue
        for place in _places(file):
            package = place / name
            files = (
                [place / f"{name}.py"] if not (package / "__init__.py").is_file() else package.rglob("*.py")
            )
            for one in files:
                path = one.relative_to(place).as_posix()
                if one.is_file() and path not in found and one.resolve() != file.resolve():
                    found[path] = source_text(one)
                    _collect(found[path], place / "config.py", found)


def _imported(text: str) -> list[str]:
    """The outermost names of all modules that a source imports."""
    names: dict[str, None] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(dict.fromkeys(alias.name.partition(".")[0] for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names[node.module.partition(".")[0]] = None
    return list(names)
