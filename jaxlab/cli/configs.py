"""`jaxlab configs ...`, and the configs that other commands take: files, or the names of those that ship."""

import difflib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from jaxlab.cli.arguments import Here, example
from jaxlab.core.types import UserError


class ConfigPath(click.ParamType):
    """A config file, or a config that ships with jaxlab, as `jaxlab configs list` names it: quickstart, quickstart.py.

    A file of that name comes first. Whether there is either, `loaded` finds out, after all other arguments.
    """

    name = "config"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        ours = str(path.parent) in (".", "configs") and path.suffix in ("", ".py")
        if path.is_file() or not ours:
            return path
        return {one.stem: one for one in shipped()}.get(path.stem, path)


def loaded(config: Path, settings: Iterable[str]) -> Any:
    """The `experiment` of a config file, with settings. Raises UserError, with the nearest files, where it is none."""
    from jaxlab.core.config import load_file

    if not config.is_file():
        raise UserError(
            f"config {config}: no such file, nor a config that ships with jaxlab; {_meant(config)}"
        )
    return load_file(config).overridden(settings)


def _meant(path: Path) -> str:
    """What was perhaps meant: a file beside it, a shipped config."""
    if path.is_dir():
        return "it is a folder"
    beside = {one.stem: str(one) for one in path.parent.glob("*.py")}
    named = {**{one.stem: one.stem for one in shipped()}, **beside}
    near = difflib.get_close_matches(path.stem, named)
    return (
        f"nearest: {', '.join(named[one] for one in near)}" if near else "`jaxlab configs list` names those"
    )


def shown(config: Path) -> str:
    """As a user types it: of one that ships, its name."""
    return config.stem if config in shipped() else str(config)


def shipped() -> list[Path]:
    """In a wheel they lie inside the package, in a checkout beside it."""
    package = Path(__file__).parents[1]
    folder = package / "configs"
    return sorted((folder if folder.is_dir() else package.parent / "configs").glob("*.py"))


@click.group(epilog=example("configs list", "configs copy quickstart", then="jaxlab train quickstart"))
def configs() -> None:
    """The configs that ship with jaxlab."""


@configs.command("list", epilog=example("configs list", then="jaxlab configs copy quickstart mine.py"))
def list_configs() -> None:
    """Name each config with the first line of its description."""
    table = Table("config", "what it is", box=None)
    for path in shipped():
        table.add_row(path.name, path.read_text(encoding="utf-8").lstrip('"').split("\n", 1)[0].strip('"'))
    Console().print(table)


@configs.command(
    "copy",
    epilog=example("configs copy quickstart mine.py", then="jaxlab train mine.py --set data.root=FOLDER"),
)
@click.argument("name")
@click.argument("to", type=Here(), default=Path())
def copy_config(name: str, to: Path) -> None:
    """Copy config NAME to a file or folder (default: here)."""
    found = {path.stem: path for path in shipped()}
    if Path(name).stem not in found:
        raise UserError(f"no config {name!r} ships with jaxlab; there are {', '.join(found)}")
    source = found[Path(name).stem]
    target = to / source.name if to.is_dir() else to
    if target.exists():
        raise UserError(f"{target} exists already")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    click.echo(target)
