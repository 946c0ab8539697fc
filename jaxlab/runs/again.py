"""A command that is started again whenever it was ended before its time, until it is done: `--auto-resume`.

What ends a training before its time, and is nothing that would come again: a signal that it saved for (exit code 75),
or one that it could not answer: SIGKILL where memory ran out, SIGABRT where XLA gave up. An error (1, 2) is the end.
This process computes nothing and imports no JAX, so that it is not what is short of memory.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from jaxlab.core.types import AGAIN, INTERRUPTED

ATTEMPTS = 3  # in a row without a new checkpoint, after which it is given up
PAUSES = (1.0, 10.0, 60.0)  # seconds before the next start, by attempts in a row without a new checkpoint
_STEP = re.compile(r"\d+")
_DIES_WITH_US = 1  # PR_SET_PDEATHSIG


def keep_going(
    command: Callable[[], Sequence[str]],
    run: Path,
    say: Callable[[str], None],
    pauses: Sequence[float] = PAUSES,
) -> int:
    """Run `command()`, again where it was ended before its time; the exit code of the last.

    command: is asked before each start. run: its run directory, where new checkpoints are looked for, those of runs
    within it too. say: is told of each start but the first.
    SIGTERM, SIGINT and SIGHUP go to the command, which saves; then 75 is returned, as without this.
    """
    known, in_vain = checkpoints(run), 0
    with _Signals() as signals:
        while True:
            code = signals.run(command())
            if code not in (AGAIN, INTERRUPTED) and code >= 0:
                return code
            if signals.asked or code == INTERRUPTED:
                return AGAIN
            new = checkpoints(run) - known
            known, in_vain = known | new, 0 if new else in_vain + 1
            why = f"auto-resume: {run} was ended by {_named(code)}, with {len(new) or 'no'} new checkpoints"
            if in_vain == ATTEMPTS:
                say(f"{why}: given up, after {ATTEMPTS} attempts without one{_ADVICE.get(-code, '')}")
                return code if code > 0 else 128 - code
            pause = pauses[min(in_vain, len(pauses) - 1)]
            say(f"{why}; it goes on in {pause:.0f} s")
            if signals.asked_within(pause):
                return AGAIN


def jaxlab_here() -> list[str]:
    """The beginning of a command line of jaxlab's, for this Python.

    Of who has called `jaxlab`, it takes no module from the folder at hand, as `python -m` would: there may be a
    signal.py.
    """
    with_folder = Path(sys.argv[0]).name == "__main__.py" and not sys.flags.safe_path
    return [sys.executable, *([] if with_folder else ["-P"]), "-m", "jaxlab"]


def checkpoints(run: Path) -> set[str]:
    """Those in a run directory, and in the runs of a study."""
    found = run.glob("**/checkpoints/*/manifest.json")
    return {file.parent.relative_to(run).as_posix() for file in found if _STEP.fullmatch(file.parent.name)}


class _Signals:
    """While they are passed on to the process that runs."""

    def __init__(self) -> None:
        self.asked = False
        self._process: subprocess.Popen[bytes] | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "_Signals":
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # no SIGHUP on Windows
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # under nohup
                self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def run(self, command: Sequence[str]) -> int:
        """To its end. A process group of its own: of Ctrl-C it hears from us alone, once."""
        mine = {"process_group": 0, "preexec_fn": ending_with_us()} if os.name == "posix" else {}
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **mine)  # type: ignore[call-overload]
        if self.asked:  # before there was a process to tell
            self._process.send_signal(signal.SIGTERM)
        return int(self._process.wait())

    def asked_within(self, seconds: float) -> bool:
        ends = time.monotonic() + seconds
        while not self.asked and (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        return self.asked


def ending_with_us() -> Callable[[], object] | None:
    """What asks, in the child, for SIGTERM where this process is killed: it saves then."""
    if sys.platform != "linux":
        return None
    ask = ctypes.CDLL(None).prctl  # looked up here: a child that is not a program yet should load nothing
    return lambda: ask(_DIES_WITH_US, int(signal.SIGTERM))


def _named(code: int) -> str:
    if code == AGAIN:
        return "a signal, for which it saved"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


_ADVICE: dict[int, str] = {
    signal.SIGKILL: ". Mostly memory has run out: a smaller training.batch_size, images.memory_budget_gb; or more "
    "checkpoints, training.checkpoint_steps",
    signal.SIGABRT: ". What XLA said above says why",
}
