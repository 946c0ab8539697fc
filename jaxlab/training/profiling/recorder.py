"""Traces some steps of a training, once it has warmed up, and says where their time goes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import jax

from jaxlab.core.files import reason, write_json, writing
from jaxlab.core.scopes import stage
from jaxlab.core.types import UserError
from jaxlab.training.plan import Plan
from jaxlab.training.profiling.operations import kinds_in
from jaxlab.training.profiling.table import table
from jaxlab.training.profiling.timeline import Spent, spent_in

WARM = 3  # steps after one that compiled
SUMMARY = "summary.json"


class Recorder:
    """Told by the loop of each step; use it as a context manager. Records nothing by default.

    steps: to trace, in one epoch: fewer where it has fewer. folder: new files lie there. say: one or several lines.
    """

    def __init__(
        self,
        folder: Path | None = None,
        steps: int = 0,
        plan: Plan | None = None,
        say: Callable[[str], None] = print,
    ):
        self._folder, self._plan, self._say = folder, plan, say
        whole = 0 if plan is None else plan.steps_per_epoch
        self._steps = min(steps, whole)
        self._asked = steps > 0 and plan is not None
        self._warm = -1  # nothing has been compiled
        self._last: Any = None  # what the devices are at
        self._step = 0
        self._began: float | None = None
        self._until = 0

    def __enter__(self) -> Self:
        if self._asked and self._folder is not None:
            with writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._began is not None:
            self._end(self._step)
        elif self._asked:
            self._say(
                f"profile: none was made: it takes {WARM} steps after one that was compiled, and then {self._steps} in "
                "one epoch; fewer (--profile 2), or a run that is not done, has room for it"
            )

    def fed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The same batches; before one is waited for, tracing begins where it is time for that."""
        while True:
            if self._asked and self._began is None and self._is_time():
                self._begin()
            try:
                batch = next(batches)
            except StopIteration:
                return
            yield batch

    def stepped(self, step: int, compiled: bool, reported: Any) -> None:
        """Update `step` has been dispatched, after compiling or not; it gives `reported`."""
        if not self._asked:
            return
        self._step, self._last = step, reported
        self._warm = 0 if compiled else self._warm + (self._warm >= 0)
        if self._began is not None and step >= self._until:
            self._end(step)

    def _is_time(self) -> bool:
        assert self._plan is not None
        left = self._plan.steps_per_epoch - self._step % self._plan.steps_per_epoch
        return self._warm >= WARM and left >= self._steps and self._step + self._steps <= self._plan.steps

    def _begin(self) -> None:
        jax.block_until_ready(self._last)
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # calls of Python functions would slow down what is measured
        try:
            jax.profiler.start_trace(str(self._folder), profiler_options=options)
        except RuntimeError as error:  # another one is under way
            self._asked = False
            self._say(f"profile: none was made ({_first_line(error)})")
            return
        self._until = self._step + self._steps
        self._began = time.perf_counter()

    def _end(self, step: int) -> None:
        assert self._began is not None
        assert self._folder is not None
        began, steps = self._began, step - (self._until - self._steps)
        self._began, self._asked = None, False
        try:
            with stage("waiting for the devices"):
                jax.block_until_ready(self._last)
            seconds = time.perf_counter() - began
            jax.profiler.stop_trace()
            if not steps:
                raise ValueError("training ended before the first of its steps")
            self._tell(self._folder, steps, seconds)
        except OSError as error:
            self._say(f"profile: {self._folder} could not be written ({reason(error)})")
        except (RuntimeError, UserError, ValueError) as error:
            self._say(f"profile: what was traced could not be read ({_first_line(error)})")

    def _tell(self, folder: Path, steps: int, seconds: float) -> None:
        trace = max(folder.glob("plugins/profile/*/*.trace.json.gz"), key=lambda file: file.stat().st_mtime)
        spent = read(trace, steps, seconds)
        write_json(folder / SUMMARY, {"schema": 1, "trace": str(trace.relative_to(folder)), **asdict(spent)})
        self._say(
            f"{table(spent)}\nprofile: {trace}; https://ui.perfetto.dev opens it, and `tensorboard --logdir {folder}` "
            "(with xprof) what lies beside it"
        )


def read(trace: Path, steps: int, seconds: float) -> Spent:
    """Where the time went in a trace, beside which its *.xplane.pb lies."""
    programs = trace.with_name(trace.name.replace(".trace.json.gz", ".xplane.pb"))
    return spent_in(trace, kinds_in(programs), steps, seconds)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
