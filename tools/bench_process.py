"""Fresh processes to measure in, so that device counts, threads and peak memory are each measurement's own.

Only the standard library: PyTorch's side runs under an interpreter that has nothing of jaxlab's.
"""

import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parent


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The CPU's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


class Worker:
    """A process that prints a JSON line once it is ready and one for each request; use it as a context manager.

    script: in this folder; it gets `case` as JSON for its only argument and calls `serve`.
    """

    def __init__(self, script: str, case: dict[str, Any], python: str = sys.executable, **env: str):
        self._process = subprocess.Popen(
            [python, str(TOOLS / script), json.dumps(case)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **env},
        )  # fmt: skip
        self.ready = self._answer()

    def ask(self, name: str, count: int) -> dict[str, float]:
        """{"seconds", "cpu_seconds", "peak_gb"} of running the action `name` so many times, the last of the process."""
        assert self._process.stdin is not None
        print(json.dumps([name, count]), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return _last_json(self._process.stdout.readline(), self._process.args)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def serve(ready: dict[str, Any], actions: dict[str, Callable[[int], None]]) -> None:
    """The other end of a Worker: `actions[name](count)` returns when all of its work is done."""
    answers = sys.stdout
    print(json.dumps(ready), file=answers, flush=True)
    for line in sys.stdin:
        name, count = json.loads(line)
        forget_peak()
        took = timed(lambda name=name, count=count: actions[name](count))
        print(json.dumps({**took, "peak_gb": peak_memory_gb()}), file=answers, flush=True)


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """{"seconds", "cpu_seconds"} of `work`, the latter over all threads."""
    cpu, start = time.process_time(), time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}


def once(script: str, case: dict[str, Any], python: str = sys.executable, **env: str) -> dict[str, Any]:
    """What `script` prints last, as JSON, when run with `case` in a process of its own."""
    command = [python, str(TOOLS / script), json.dumps(case)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **env}, check=False)
    return _last_json(done.stdout.strip().rpartition("\n")[2], command)


def _last_json(line: str, command: Any) -> dict[str, Any]:
    if not line.startswith("{"):
        raise SystemExit(f"{command}: expected a line of JSON, found {line!r}; its error stands above")
    return json.loads(line)


def forget_peak() -> None:
    """From now on `peak_memory_gb` is of what follows, where the system can do so (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_memory_gb() -> float:
    """The most memory that this process has held so far, or since `forget_peak`.

    On Linux from VmHWM: ru_maxrss there also counts what the parent held before it became this program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
