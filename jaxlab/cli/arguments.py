"""What commands take, checked while the command line is read: before a second has gone into importing JAX."""

import re
from pathlib import Path
from typing import Any

import click

from jaxlab.core.beside import trusting
from jaxlab.core.files import check_place
from jaxlab.core.types import UserError


def refuse_url(path: Any) -> None:
    """Raises SubmissionError where a path is a URL, which only that of a run may be."""
    from jaxlab.core.remote.store import url_of

    if url_of(path) is not None:
        from submit.files import urls  # and with it pandas

        urls.refuse_url(path)


class RunPath(click.ParamType):
    """A run directory, or of a URL its copy. Raises UserError where the path is none."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from jaxlab.core.remote.paths import fetched
        from jaxlab.training.rundir import RunDirectory

        path = fetched(value)
        RunDirectory(path).config()
        return path


class Here(click.Path):
    """A path on this machine. Raises SubmissionError for a URL, which only runs may be."""

    def __init__(self, **how: Any):
        super().__init__(path_type=Path, **how)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        refuse_url(value)
        return super().convert(value, param, ctx)


class Output(click.ParamType):
    """A file to write, by its suffix. Raises UserError for another one. folder: or a folder, which has none."""

    name = "file"

    def __init__(self, *suffixes: str, folder: bool = False):
        self.suffixes = suffixes
        self.folder = folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        refuse_url(value)
        path = Path(value)
        written = path.suffix.lower() in self.suffixes
        option = param.opts[0] if param else "file"
        check_place(path, option)
        if self.folder and not written and (path.is_dir() or not path.suffix):
            return path
        if not written:
            also = ", or a folder (that is there already, where its name has a point)" if self.folder else ""
            raise UserError(
                f"{option} {path}: expected a file that ends in {' or '.join(self.suffixes)}{also}"
            )
        if path.is_dir():
            raise UserError(f"{path}: expected a file, found a folder")
        return path


class CheckpointName(click.ParamType):
    """best, last or a step. Raises UserError for anything else."""

    name = "checkpoint"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in ("best", "last"):
            return value
        if str(value).isdecimal():
            return int(value)
        raise UserError(f"--checkpoint: expected best, last or a step, found {value!r}")


class Time(click.ParamType):
    """A time such as 8h30m, which runs from now on: imports take some of it. Raises UserError for anything else."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from jaxlab.training.budget import Budget

        return Budget.of(value)


stop_after = click.option(
    "--stop-after", "budget", type=Time(), metavar="TIME",
    help="Save and end before so long has passed, e.g. 8h30m; the same command goes on from there.",
)  # fmt: skip


auto_resume = click.option(
    "--auto-resume", "again", is_flag=True,
    help="Start again where a signal, want of memory or XLA ended it, until it is done; with --run.",
)  # fmt: skip


def run_directory(words: str) -> Any:
    """The option that names the directory of what is trained, which a command takes as `run`. words: its help."""
    return click.option("--run", type=click.Path(path_type=Path, file_okay=False), help=words)


def say(line: str) -> None:
    """On standard error: what is said beside a command's result."""
    click.echo(line, err=True)


def set_fields(words: str) -> Any:
    """The option that overrides fields, which a command takes as `settings`. words: its help."""
    return click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help=words)


ANY_FIELD = "Override a field, e.g. optimizer.lr=3e-4 or data.root=FOLDER."


def trust_config(command: Any) -> Any:
    """The option that lets a command run the config.py of a run."""

    def trust(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.with_resource(trusting(value))

    words = "Run the config.py of a run with parts of its own. It is a program: look into it first."
    return click.option(
        "--trust-config", is_flag=True, expose_value=False, is_eager=True, callback=trust, help=words
    )(command)


def registry_option(command: Any) -> Any:
    """The option that names another registry than the one beside the runs."""

    def name(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        from jaxlab.runs.registry.place import registry_at

        ctx.with_resource(registry_at(value))

    words = (
        "A database for several machines, postgresql+psycopg://...; off for none.  [default: $JAXLAB_REGISTRY, else a "
        "file beside the runs]"
    )
    return click.option(
        "--registry", metavar="URL", expose_value=False, is_eager=True, callback=name, help=words
    )(command)


class KeptCheckpoints(click.ParamType):
    """all or last:N. Raises UserError for anything else."""

    name = "checkpoints"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != "all" and re.fullmatch(r"last:[1-9][0-9]*", value) is None:
            raise UserError(f"--checkpoints: expected all or last:N, as last:5, found {value!r}")
        return value


def example(*commands: str, then: str = "") -> str:
    """What help ends with: lines to type, and then the next step."""
    lines = "".join(f"\n  jaxlab {command}" for command in commands)
    after = f"\n\n\b\nNext:\n  {then}" if then else ""
    return f"\b\nExample{'s' if len(commands) > 1 else ''}:{lines}{after}"


def prepare() -> None:
    """As `jaxlab.prepare`: a command has the process to itself."""
    from jaxlab.training.runtime import prepare

    prepare()
