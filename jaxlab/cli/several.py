"""A command as one of several processes that train together: its options, and how it ends with the others."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from jaxlab.cli.arguments import say
from jaxlab.cli.endings import flush, message_of
from jaxlab.core.types import AGAIN, Interrupted


def coordinator_options(command: Any) -> Any:
    """The options that say which of several processes this is."""
    for option in (
        click.option("--process", type=int, metavar="I", help="Of several, which this is, from 0 up."),
        click.option("--processes", type=int, metavar="N", help="How many are started to train as one."),
        click.option(
            "--coordinator", metavar="HOST:PORT",
            help="Train as one with other processes: where process 0 runs; or auto, on Slurm, TPU pods and the like.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def together(coordinator: str | None, processes: int | None, process: int | None) -> Iterator[None]:
    """Several processes while the block runs, which end together; alone where no coordinator is named."""
    from jaxlab.training import hosts

    if hosts.join(coordinator, processes, process).count == 1:
        yield
        return
    try:
        yield
        flush()
    except hosts.Abandoned as gone:
        say(f"error: {gone}")
        hosts.leave_at_once(gone.code)
    except Interrupted:
        hosts.leave()
        raise
    except KeyboardInterrupt:
        hosts.failed("it was interrupted", AGAIN)
    except Exception as error:
        message = message_of(error)
        say(f"error: {message}" if message is not None else traceback.format_exc().rstrip())
        hosts.failed(message or repr(error))
    else:
        hosts.leave()
