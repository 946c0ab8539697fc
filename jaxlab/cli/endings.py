"""How a command ends: what it says is heard or given up, and a mistake or a refusing system is one message."""

import contextlib
import errno
import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import click

from jaxlab.core.files import reason
from jaxlab.core.machine import refusal_of_jax
from jaxlab.core.types import FileWarning, UserError
from jaxlab.core.visible import from_here, visible


def message_of(error: Exception) -> str | None:
    """What to say of a user's mistake, or of what the operating system refuses; None of what is our fault."""
    loaded = sys.modules.get("submit.errors")  # pandas comes along: it is not imported for this alone
    if isinstance(error, (UserError, loaded.SubmissionError) if loaded else UserError):
        return str(from_here(visible(str(error))))
    if _is_of_a_backend(error):
        return f"JAX does not start: {refusal_of_jax(error)}; `jaxlab doctor` says what there is"
    if not isinstance(error, OSError) or error.errno in (
        None,
        errno.EPIPE,
    ):  # click ends quietly for a closed pipe
        return None
    where = error.filename2 or error.filename
    if where is None and _is_stdout(error):
        return f"standard output could not be written ({reason(error)})"
    return f"{os.fsdecode(where) if isinstance(where, str | bytes | os.PathLike) else 'the system'}: {reason(error)}"


def flush() -> None:
    """Raises OSError where what was printed cannot be written."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _is_stdout(error: OSError) -> bool:
    """Whether it came as something was printed; that is given up, or Python would try, and complain, once more."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if (
        frame.f_globals.get("__name__", "").partition(".")[0] not in ("click", "rich")
        and frame.f_code is not _FLUSH
    ):
        return False
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    return True


_FLUSH = flush.__code__
_BACKENDS = "jax._src.xla_bridge"  # what starts them


def _is_of_a_backend(error: Exception) -> bool:
    """Whether JAX has none of the devices that JAX_PLATFORMS asks for: it raises the second kind without words."""
    places = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, RuntimeError | AssertionError) and places[-1:] == [_BACKENDS]


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Standard streams that any command may use, and warnings about files as lines of ours.

    matplotlib, which keeps its fonts elsewhere where a home cannot be written, says so in two long lines: not here.

    Of a stream that is closed, its number is taken: the next file opened would get it, and all that is printed. What
    the terminal's encoding lacks, such as a file's name, is printed by its number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if isinstance(sys.stdout, io.TextIOWrapper):
        with contextlib.suppress(OSError):  # a pipe in the place of a file
            sys.stdout.reconfigure(errors="backslashreplace")
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *rest: Any, **more: Any) -> None:
        if issubclass(category, FileWarning):
            click.echo(f"warning: {visible(str(message))}", err=True)
        else:
            before(message, category, *rest, **more)

    fonts = logging.getLogger("matplotlib")
    level = fonts.level
    warnings.showwarning = show
    fonts.setLevel(logging.ERROR)
    try:
        yield
    finally:
        warnings.showwarning = before
        fonts.setLevel(level)
