"""The command line. Exit code 0 when all is well, 1 for a fault found or a mistake made."""

import contextlib
import errno
import os
import sys
from typing import Any

import click

from submit.cli.calibrate import calibrate
from submit.cli.ensemble import ensemble
from submit.cli.explain import explain
from submit.cli.formats import check, vqa, write
from submit.cli.scores import compare, probe, rosetta, score
from submit.cli.terminal import take_any_text, visible
from submit.errors import SubmissionError


class _Group(click.Group):
    """Prints our own errors, the system's, and click's about arguments, without a traceback, and exits with 1."""

    def main(self, *args: Any, **more: Any) -> Any:
        take_any_text()
        try:
            return super().main(*args, **more)
        except OSError as error:
            if error.errno in (None, errno.EPIPE):  # click ends quietly for a closed pipe
                raise
            with contextlib.suppress(OSError, ValueError):  # or Python would try to print once more
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            click.echo(f"Error: {error.filename or 'standard output'}: {error.strerror}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> object:
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
            return result
        except SubmissionError as error:
            raise click.ClickException(visible(str(error))) from error
        except click.UsageError as error:
            error.show()
            raise click.exceptions.Exit(1) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Score, check and combine predictions. Samples are matched by id and targets by name, never by position."""


for command in (score, rosetta, compare, probe, check, explain, ensemble, calibrate, write, vqa):
    main.add_command(command)
