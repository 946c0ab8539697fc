"""A search's workers on the machines of a Ray cluster: each is the same command, which Ray starts and starts again.

Ray decides where, with which processors, and what to do where a machine goes; the study decides who trains what, as
for workers of any other origin. Ray keeps nothing of it.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from jaxlab.core.types import AGAIN, Interrupted, UserError
from jaxlab.core.words import counted
from jaxlab.runs.again import ATTEMPTS, ending_with_us, jaxlab_here
from jaxlab.training.display import Session
from jaxlab.training.interrupt import Interrupt

_LAST_LINES = 20  # of a worker's output that are looked at for why it ended
_ERROR = "error: "  # what a command's last line begins with
_MACHINES = 100  # that may go under a worker
_PATIENCE = 120.0  # seconds that workers have to save once they are asked to end


@dataclass(frozen=True)
class Task:
    """What a worker runs. arguments: of jaxlab. folder: where. ends: the time, in seconds since 1970, of its budget.

    options: of its machine's Python, before these.
    """

    arguments: tuple[str, ...]
    folder: str
    ends: float | None
    options: tuple[str, ...] = ("-m", "jaxlab")

    def command(self) -> list[str]:
        limit = [] if self.ends is None else ["--stop-after", f"{max(1, int(self.ends - time.time()))}s"]
        return [sys.executable, *self.options, *self.arguments, *limit, "--auto-resume"]


@dataclass(frozen=True)
class Ended:
    """How a worker ended: its exit code, its machine, and what it said was wrong."""

    code: int
    host: str
    error: str


def work(task: Task) -> Ended:
    """Run a worker to its end, on the machine that Ray chose; where Ray cancels this, it saves first."""
    host = socket.gethostname()
    if not Path(task.folder).is_dir():
        why = f"{task.folder} is not on this machine: the folder that the command was given in has to be"
        return Ended(1, host, why)
    process = subprocess.Popen(
        task.command(), cwd=task.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", process_group=0, preexec_fn=ending_with_us(),
    )  # fmt: skip
    last: deque[str] = deque(maxlen=_LAST_LINES)
    relay = threading.Thread(target=_relay, args=(process, last), daemon=True)
    relay.start()
    with Interrupt() as interrupt:  # by SIGTERM a machine goes; SIGINT is how Ray cancels
        asked = False
        while process.poll() is None:
            if interrupt.asked and not asked:
                process.terminate()
                asked = True
            time.sleep(0.2)
    relay.join(5)
    said = [line.removeprefix(_ERROR) for line in last if line.startswith(_ERROR)]
    return Ended(process.returncode, host, said[-1] if said else "")


def _relay(process: "subprocess.Popen[str]", last: deque[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        last.append(line.rstrip())
        print(line, end="", flush=True)  # Ray shows it in the terminal of the command


def run_on_ray(
    arguments: Sequence[str], workers: int | None, seconds: float | None, session: Session
) -> bool:
    """Have Ray run so many workers of the command `arguments` until they end; whether all of them came to their end.

    workers: default one for each GPU of the cluster, or for each machine where there are none. seconds: that they have.
    The cluster is the one of RAY_ADDRESS or that runs on this machine; where there is none, this machine is one.
    Raises UserError where Ray is not installed or cannot be reached, and where all workers end by an error;
    Interrupted, once they have saved, where SIGINT, SIGTERM or SIGHUP came.
    """
    ray = _ray()
    ends = None if seconds is None else time.time() + seconds
    _, *options = jaxlab_here()
    task = Task((*arguments,), str(Path.cwd()), ends, (*options,))
    with _cluster(ray), Interrupt() as interrupt:
        number, share = shares(ray.nodes(), workers)
        session.log(f"Ray: {counted(number, 'worker')} with {share_text(share)} each, on {_machines(ray)}")
        run = ray.remote(work).options(
            num_cpus=share["CPU"], num_gpus=share["GPU"], scheduling_strategy="SPREAD", max_retries=_MACHINES
        )
        return _Workers(ray, lambda: run.remote(task), number, session).until_done(interrupt)


class _Workers:
    """Those that Ray runs. start: begins another one, and gives what Ray knows it by."""

    def __init__(self, ray: Any, start: Any, number: int, session: Session):
        self._ray, self._start, self._session = ray, start, session
        self._number = number
        self._running = {start(): 0 for _ in range(number)}  # {worker: how often it was started again}
        self._errors: list[str] = []

    def until_done(self, interrupt: Interrupt) -> bool:
        while self._running and not interrupt.asked:
            done, _ = self._ray.wait(list(self._running), timeout=0.5)
            for one in done:
                self._ended(one, self._running.pop(one))
        if interrupt.asked:
            self._end()
        if len(self._errors) == self._number:
            raise UserError(f"{counted(self._number, 'worker')} on Ray ended by an error: {self._errors[0]}")
        return not self._errors

    def _ended(self, one: Any, again: int) -> None:
        found = self._outcome(one)
        if found.code == AGAIN and again < ATTEMPTS:
            self._session.log(f"Ray: a worker on {found.host} was asked to end, and saved; another goes on")
            self._running[self._start()] = again + 1
        elif found.code:
            why = found.error or f"exit code {found.code}"
            self._errors.append(f"{found.host}: {why}")
            self._session.log(f"Ray: a worker ended by an error, on {found.host}: {why}")

    def _outcome(self, one: Any) -> Ended:
        try:
            found: Ended = self._ray.get(one)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            lacks = isinstance(cause, ImportError)
            advice = "; the machines of the cluster need the same jaxlab in the same Python" if lacks else ""
            return Ended(1, "the cluster", f"{_lines(cause)[-1]}{advice}")
        return found

    def _end(self) -> NoReturn:
        """Ask them to save, and wait until they have."""
        self._session.log("Ray: the workers are asked to save and end; the same command goes on")
        for one in self._running:
            self._ray.cancel(one, force=False)
        self._ray.wait(list(self._running), num_returns=len(self._running), timeout=_PATIENCE)
        raise Interrupted


def shares(nodes: Sequence[dict[str, Any]], workers: int | None) -> tuple[int, dict[str, float]]:
    """How many workers there are on a cluster's machines, and how many CPUs and GPUs each of them takes.

    nodes: as `ray.nodes()` has them. As many workers as asked for find room at once where the machines are alike.
    Raises UserError where no machine computes.
    """
    machines = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU")]
    if not machines:
        raise UserError("--on ray: the cluster has no machine with a CPU to work on")
    gpus = int(sum(machine.get("GPU", 0) for machine in machines))
    number = workers or gpus or len(machines)
    with_one = [machine for machine in machines if machine.get("GPU")] or machines
    each = -(-number // len(with_one))  # on a machine
    return number, {
        "CPU": _whole(min(machine["CPU"] for machine in with_one) / each),
        "GPU": _whole(gpus / number),
    }


def _whole(share: float) -> float:
    """Ray takes parts of one processor, but of more than one none."""
    return float(int(share)) if share >= 1 else int(share * 100) / 100


def share_text(share: dict[str, float]) -> str:
    cpus = f"{share['CPU']:g} CPU{'s' if share['CPU'] > 1 else ''}"
    return f"{share['GPU']:g} GPU{'s' if share['GPU'] > 1 else ''} and {cpus}" if share["GPU"] else cpus


def _machines(ray: Any) -> str:
    names = sorted({node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]})
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _lines(error: BaseException) -> list[str]:
    """What an error says, which may be nothing but its name; Ray's say the whole story."""
    return str(error).strip().splitlines() or [type(error).__name__]


def _ray() -> Any:
    os.environ.setdefault(
        "RAY_DEDUP_LOGS", "0"
    )  # to Ray, trials of equal words and other numbers are one line
    if not sys.stderr.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    try:
        import ray
    except ImportError:
        raise UserError('--on ray: Ray is not installed: pip install "jaxlab[ray]"') from None
    return ray


@contextlib.contextmanager
def _cluster(ray: Any) -> Iterator[None]:
    """Connected to one. Raises UserError where there is none."""
    try:
        ray.init(log_to_driver=True, include_dashboard=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        where = os.environ.get("RAY_ADDRESS")
        at = f"at RAY_ADDRESS={where}" if where else "on this machine"
        raise UserError(f"--on ray: no cluster can be used {at} ({_lines(error)[0]})") from error
    try:
        yield
    finally:
        ray.shutdown()
