"""Processes that tests kill, forked from a server that has imported jaxlab and started no device.

It is multiprocessing's fork server: JAX is imported once a worker, and a child begins as a new command does but for the
modules that are loaded already. What depends on how a process starts (which modules an import loads, JAX_* variables)
needs a process of its own.
"""

import gc
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from multiprocessing import connection
from types import TracebackType
from typing import Any, NamedTuple, Self

import unpainted

from jaxlab.core import plots

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "jaxlab.cli.main",
        "jaxlab.runs.api",
        "jaxlab.runs.network.train",
        "jaxlab.runs.registry.store",
        "orbax.checkpoint",
        "grain",
        "matplotlib.figure",
    ]
)
_LOOKING = (
    threading.Lock()
)  # how a process ended can be read once: of two threads the later would take it for 255


class Ended(NamedTuple):
    """As subprocess.CompletedProcess: of a process that a signal ended, returncode is minus its number."""

    returncode: int
    stdout: str
    stderr: str


class Process:
    """`function(*arguments)` in a process of its own; a context that leaves none behind.

    The function is found by its module's name, which the child imports: keep it in a module without pytest.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any, env: dict[str, str] | None = None):
        given = env or {}
        assert not any(name.startswith("JAX_") for name in given), "JAX read these when it was imported"
        pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(2)]
        ends = [end for _, end in pipes]
        self._process = _CONTEXT.Process(
            target=_begin, args=(ends, dict(os.environ) | given, function, arguments)
        )
        with _LOOKING:
            self._process.start()  # which looks at all the others, too
        for end in ends:
            end.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(end.fileno()), "r") for end, _ in pipes)
        for end, _ in pipes:
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.exitcode is None:
            self.kill()
        self.stdout.close()
        self.stderr.close()

    @property
    def exitcode(self) -> int | None:
        """Minus the number of the signal that ended it; None while it runs."""
        with _LOOKING:
            return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()
        connection.wait([self._process.sentinel])

    def wait(self, seconds: float = 300) -> int:
        """Its return code; a process that takes longer is killed, and TimeoutError says so."""
        connection.wait([self._process.sentinel], seconds)
        if (code := self.exitcode) is None:
            self.kill()
            raise TimeoutError(f"the process did not end within {seconds} s")
        return code

    def ended(self, seconds: float = 300) -> Ended:
        said: dict[str, str] = {}
        readers = [
            threading.Thread(target=lambda name=name: said.update({name: getattr(self, name).read()}))
            for name in ("stdout", "stderr")
        ]
        for reader in readers:
            reader.start()
        code = self.wait(seconds)
        for reader in readers:
            reader.join()
        return Ended(code, **said)


def run(function: Callable[..., Any], *arguments: Any, env: dict[str, str] | None = None) -> Ended:
    """What the function did in a process of its own."""
    with Process(function, *arguments, env=env) as process:
        return process.ended()


def _begin(
    ends: list[Any], environment: dict[str, str], function: Callable[..., Any], arguments: tuple
) -> None:
    for number, end in enumerate(ends, start=1):
        os.dup2(end.fileno(), number)
        end.close()
    gc.disable()  # it lives for seconds
    os.environ.clear()
    os.environ.update(environment)
    bridge = sys.modules.get("jax._src.xla_bridge")
    assert not (bridge and bridge._backends), "the server has started a device, whose threads a fork lacks"
    plots.save = unpainted.save
    function(*arguments)
