"""`jaxlab train` in a process that ends itself at a chosen moment, or has a clock that is wrong: for fault_campaign.py.

It notes what it has saved, so that whoever goes on can be held to it.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jax

_WRITES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")


def train(arguments: list[str], saves: Path, run: Path, moment: str = "", number: float = 0.0) -> None:
    """The command that `arguments` say. saves: a file that gets the step of each checkpoint as it is there.

    moment: "write": SIGKILL before change number `number` of the files in `run`; "save", "restore": so many seconds
    after one begins; "compile": before program number `number`; "clock": the clock is so many seconds wrong.
    """
    programs = os.environ.get("JAX_COMPILATION_CACHE_DIR") or f"{os.environ['JAXLAB_CACHE']}/xla"
    jax.config.update("jax_compilation_cache_dir", programs)
    jax.config.update(
        "jax_persistent_cache_min_compile_time_secs", 0.0
    )  # the next process runs the same programs
    _MOMENTS.get(moment, lambda *_: None)(run, number)
    _noting(saves)
    from jaxlab.cli.main import main

    main(arguments)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _end_after(seconds: float) -> None:
    timer = threading.Timer(seconds, _end)
    timer.daemon = True
    timer.start()


def _before_write(run: Path, number: float) -> None:
    left, inside = [int(number)], str(run)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        opened = (
            event == "open"
            and isinstance(given[2], int)
            and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if (opened or event in _WRITES) and str(given[0]).startswith(inside):
            left[0] -= 1
            if left[0] < 0:
                _end()

    sys.addaudithook(hook)


def _in_save(run: Path, number: float) -> None:
    from jaxlab.training import checkpoint

    write, left = checkpoint._write_folder, [int(number)]

    def writes(*given: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            _end_after((number % 1) * 0.1)
        write(*given)

    checkpoint._write_folder = writes


def _in_restore(run: Path, number: float) -> None:
    from jaxlab.training import checkpoint

    read = checkpoint.Saved.arrays

    def reads(*given: Any) -> Any:
        _end_after(number)
        return read(*given)

    checkpoint.Saved.arrays = reads


def _in_compile(run: Path, number: float) -> None:
    from jax._src import compiler

    compiles, left = compiler.compile_or_get_cached, [int(number)]

    def compile_it(*given: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            _end_after((number % 1) * 0.1)
        return compiles(*given, **more)

    compiler.compile_or_get_cached = compile_it


def _wrong_clock(run: Path, number: float) -> None:
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + number
    time.time_ns = lambda: now_ns() + int(number * 1e9)


_MOMENTS = {
    "write": _before_write,
    "save": _in_save,
    "restore": _in_restore,
    "compile": _in_compile,
    "clock": _wrong_clock,
}


def _noting(saves: Path) -> None:
    from jaxlab.training.checkpoint import Checkpoints

    write = Checkpoints._write

    def writes(self: Checkpoints, arrays: Any, meta: Any, then: Any) -> None:
        def told(saved: Any) -> None:
            number = os.open(saves, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(number, f"{saved.step}\n".encode())
            os.close(number)
            then(saved)

        write(self, arrays, meta, told)

    Checkpoints._write = writes
