"""The training loop. Of one step, in this order:

1. the batch of step k, a pure function of (seed, k), already on the devices;
2. the compiled step of its phase; its loss is read two steps later, so that the device never waits for the host;
3. at an epoch's end: training scores, validation scores, best / patience / plateau; where another process validates,
   training scores alone;
4. where one is due, or the time is over, a checkpoint, after every loss up to it has been seen to be finite.

It knows no config: everything comes as an argument.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from jaxlab.core.scopes import stage
from jaxlab.core.types import UserError
from jaxlab.metrics import SumsByObjective
from jaxlab.training import elsewhere
from jaxlab.training.arrays import not_finite
from jaxlab.training.budget import Budget, duration_text
from jaxlab.training.checkpoint import Checkpoints, Saved
from jaxlab.training.display import Display
from jaxlab.training.hosts.group import Agreement, Group
from jaxlab.training.hosts.unwritten import Unwritten
from jaxlab.training.interrupt import Interrupt
from jaxlab.training.journal import Journal
from jaxlab.training.memory import used_memory
from jaxlab.training.monitor import Monitor
from jaxlab.training.plan import Plan, Progress, undefined
from jaxlab.training.profiling.recorder import Recorder
from jaxlab.training.state import TrainState, Variables

Scores = Mapping[str, float]
LAG = 2  # steps between a step's dispatch and the reading of its loss


@dataclass(frozen=True)
class Phase:
    """The steps after `first` updates: (state, batch) -> state, reported. note: said as they begin, after the first.

    measure: variables -> the same with their own batch-norm statistics, of which averaged parameters have none yet.
    compare: (state, batch) -> how the gradients of several objectives agree, as `agreement` names it.
    """

    first: int
    train_step: Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]
    note: str = ""
    measure: Callable[[Variables], Variables] | None = None
    compare: Callable[[TrainState, Any], dict[str, float]] | None = None


class Diverged(UserError):
    """A loss, a gradient or a parameter became infinite or NaN."""


@dataclass
class Fit:
    """One run of the loop, from `state` to the plan's last step or an early stop.

    phases: in order; the first begins at 0. batches: from a first step, the batches on the devices.
    scores: sums -> scores. evaluate: Variables -> validation scores. no_sums: empty sums on the devices.
    batch_ids: step -> its ids.
    budget: the time in which it has to end, with a checkpoint.
    told: (checkpoint, its validation scores, if it has been validated), once it is on disk, by the thread that writes.
    judge: (epoch, validation scores) -> why not to go on, if so; asked at the end of each epoch but the last.
    monitor: notices what is amiss. recorder: traces some steps.
    agree: whether to stop, as all processes that train together decide.
    """

    plan: Plan
    phases: Sequence[Phase]
    batches: Callable[[int], Iterator[Any]]
    scores: Callable[[SumsByObjective], dict[str, float]]
    evaluate: Callable[[Variables], dict[str, float]]
    no_sums: Callable[[], SumsByObjective]
    batch_ids: Callable[[int], list[str]]
    journal: Journal | Unwritten
    checkpoints: Checkpoints | Unwritten
    display: Display
    progress: Progress
    budget: Budget = field(default_factory=Budget)
    told: Callable[[Saved, Scores | None], None] = lambda checkpoint, scores: None
    judge: Callable[[int, dict[str, float]], str | None] | None = None
    monitor: Monitor = field(default_factory=Monitor)
    recorder: Recorder = field(default_factory=Recorder)
    agree: Agreement = field(default_factory=lambda: Agreement(Group()))

    def __post_init__(self) -> None:
        self.interrupted = False
        self._validated: tuple[int, Scores] | None = None  # the last one, and its step
        self._given_up: str | None = None  # what the judge said
        self._warned: set[str] = set()  # scores that were undefined
        self._compiled: set[int] = set()  # phases, by their first step
        self._unread: deque[tuple[int, dict[str, jax.Array]]] = deque()
        self._weights: dict[str, float] = {}  # of the last update that was read, those that change

    def run(self, state: TrainState) -> TrainState:
        """Train on. Raises Diverged where a loss, gradient or parameter is not finite; no checkpoint holds such."""
        step = int(state.step)
        self._began = self.budget.used
        try:
            with Interrupt() as interrupt, self.monitor, self.recorder:
                done = self._is_over(step) or self._stops(step, lambda: False, now=True)
                for batch in () if done else self.recorder.fed(self.monitor.fed(self.batches(step))):
                    state = self._step(state, batch, step)
                    step += 1
                    if self.plan.saves(step):
                        state = self._measured(state, step)
                    if self.plan.ends_epoch(step):
                        with self.budget.timed("validation"):
                            state = self._end_epoch(state, step, batch)
                    asked = self._stops(step, lambda: interrupt.asked)
                    if self.plan.saves(step) or asked:
                        with self.budget.timed("checkpoint"):
                            self._save(state, step)
                    if asked or self._is_over(step):
                        break
        finally:
            try:
                self.journal.close()
            finally:
                self.checkpoints.close()
        self._say_why(step)
        return state

    def _stops(self, step: int, asked: Callable[[], bool], now: bool = False) -> bool:
        """Whether a signal or the time ends the run here: `asked` of this process, as all of them agree."""
        self.interrupted, late = self.agree(
            asked, lambda: not self._is_over(step) and self._out_of_time(step), now
        )
        self.budget.stopped |= late
        return self.interrupted or late

    def _is_over(self, step: int) -> bool:
        """Whether no step follows."""
        ended = self._given_up is not None or self.plan.gives_up(self.progress)
        return step == self.plan.steps or ended

    def _phase(self, step: int) -> Phase:
        return next(phase for phase in reversed(self.phases) if phase.first <= step)

    def _step(self, state: TrainState, batch: Any, step: int) -> TrainState:
        phase = self._phase(step)
        if phase.first == step > 0:
            self.display.note(f"epoch {self.plan.epoch(step + 1)}: {phase.note}")
        if step == self.plan.average_from:
            self.display.note(f"epoch {self.plan.epoch(step + 1)}: parameters are averaged from here")
        compiles = phase.first not in self._compiled
        if compiles:
            self.display.doing("compiling")
        idle = bool(self._unread) and self._unread[-1][1]["loss"].is_ready()  # type: ignore[attr-defined]
        where = (step + 1, self.plan.epoch(step + 1), phase.first)
        with (
            self.budget.timed("compile" if compiles else "step"),
            self.monitor.step(*where, compiles=compiles, idle=idle),
        ):
            with stage("dispatch"):
                state, reported = phase.train_step(state, batch)
            self._unread.append((step + 1, reported))
            with stage("waiting for the devices"):
                self._read(keep=LAG)
        self._compiled.add(phase.first)
        self.recorder.stepped(step + 1, compiles, reported)
        return state

    def _measured(self, state: TrainState, step: int) -> TrainState:
        """With the averaged parameters' batch-norm statistics. Training needs none: it goes on as without."""
        measure = self._phase(step - 1).measure
        if measure is None or not state.stats or not self.plan.averages(step):
            return state
        self.display.doing("measuring statistics")
        with self.budget.timed("measuring"):
            return replace(state, stats=measure(state.variables).stats)

    def _out_of_time(self, step: int) -> bool:
        """Whether too little time is left for update `step` + 1, what comes with it, and a checkpoint.

        Until a validation has been timed, one is taken to last as long as the loop has run: it compiles less than the
        steps of an epoch do, and mostly has less to compute.
        """
        parts = ["step"] * (LAG + 1)  # those under way end first
        parts += ["checkpoint"] * 2  # one may still be under way, too
        more = 0.0
        if self._phase(step).first not in self._compiled:
            parts.append("compile")
        if self.plan.ends_epoch(step + 1):
            parts.append("validation")
            more = 0.0 if "validation" in self.budget.longest else self.budget.used - self._began
        if self.plan.averages(step + 1) and self.plan.saves(step + 1):
            parts += (
                ["measuring"] if "measuring" in self.budget.longest else ["step"] * self.plan.steps_per_epoch
            )
        return not self.budget.allows(parts, more)

    def _read(self, keep: int = 0) -> None:
        while len(self._unread) > keep:
            step, reported = self._unread.popleft()
            values = {name: float(_local(value)) for name, value in reported.items()}
            epoch = self.plan.epoch(step)
            self._weights = {name: value for name, value in values.items() if name.endswith("/weight")}
            self.journal.write(step, epoch, "step", values)
            if not np.isfinite(values["loss"]) or np.isnan(values["gradient_norm"]):
                self.journal.flush()
                found = f"the loss is {values['loss']}, the gradient's norm {values['gradient_norm']}"
                raise Diverged(self._not_finite(step, found))
            self.monitor.gradient(step, epoch, values["gradient_norm"])
            self.display.step(step, epoch, values["loss"])

    def _not_finite(self, step: int, found: str) -> str:
        ids = self.batch_ids(step - 1)
        shown = ", ".join(ids[:16]) + (f" and {len(ids) - 16} more" if len(ids) > 16 else "")
        return (
            f"{found} at step {step} (epoch {self.plan.epoch(step)}), on the samples {shown}. The last "
            "checkpoint from before it is kept. A lower learning rate, warm-up or clip_norm may help; or look at "
            "those samples"
        )

    def _end_epoch(self, state: TrainState, step: int, batch: Any) -> TrainState:
        self._read()
        self.monitor.end_epoch()
        epoch = self.plan.epoch(step)
        self.display.doing("validating")
        train = self.scores(state.sums) | self._weights
        compare = self._phase(step - 1).compare
        if compare is not None:
            train |= compare(state, batch)
        validation = {} if self.plan.elsewhere else self.evaluate(state.variables)
        best = bool(validation) and self._is_best(validation, step, epoch)
        self.journal.write(step, epoch, "train", train)
        if validation:
            self.journal.write(step, epoch, "validation", validation)
            self._validated = (step, validation)
        self.journal.flush()
        self.display.epoch(epoch, train, validation, best)
        if validation:
            self._warn_undefined(validation)
        if validation and self.judge is not None and not self._is_over(step):
            self._given_up = self.judge(epoch, validation)
        return self._lowered(replace(state, sums=self.no_sums()), epoch)

    def _is_best(self, validation: dict[str, float], step: int, epoch: int) -> bool:
        """Takes in an epoch's validation; whether it is the best so far."""
        if missing := [name for name in self.plan.watched if name not in validation]:
            raise UserError(f"metric {missing[0]!r} is not among the validation's: {', '.join(validation)}")
        watching = (self.plan.stop_metric, self.plan.plateau_metric)
        return self.progress.update(self.plan.metric, validation, step, epoch, *watching)

    def _warn_undefined(self, validation: dict[str, float]) -> None:
        """Once of each score that something depends on, that it chooses nothing."""
        for name in self.plan.watched:
            if name in self._warned or not undefined(name, validation):
                continue
            self._warned.add(name)
            best = "of such epochs the best is the one of the lowest validation loss, and "
            self.display.note(
                f"warning: {name} is undefined on the validation samples (a single one, or targets or predictions that "
                f"are constant there), so it chooses nothing: {best if name == self.plan.metric else ''}early stopping "
                "and plateaus do not count them"
            )

    def _lowered(self, state: TrainState, epoch: int) -> TrainState:
        if self.plan.plateau is None or self.progress.plateau <= self.plan.plateau[1]:
            return state
        self.progress.plateau = 0
        self.display.note(
            f"epoch {epoch}: plateau, the learning rate is multiplied by {self.plan.plateau[0]}"
        )
        return replace(state, rate_scale=state.rate_scale * self.plan.plateau[0])

    def _say_why(self, step: int) -> None:
        """Why the run ends before its last step, where it does; and of a signal that came with the last one."""
        if self.interrupted and self._is_over(step):
            self.display.note(
                f"stopped at step {step}, after which training ends; the same command does what is left to do"
            )
        if step == self.plan.steps:
            return
        if self._given_up is not None:
            self.display.note(
                f"given up at step {step} of {self.plan.steps}: {self._given_up}; training goes on from there where "
                "the same config is trained in the same directory"
            )
        elif self.plan.gives_up(self.progress):
            watched = self.plan.stop_metric or self.plan.metric
            never = self.plan.average_from is not None and not self.plan.averages(step)
            before = ", before parameters were averaged" if never else ""
            self.display.note(f"early stop: {self.progress.stale} epochs without a better {watched}{before}")
        else:
            after = f" after {duration_text(self.budget.used)}" if self.budget.stopped else ""
            self.display.note(
                f"stopped{after} at step {step} of {self.plan.steps}; the same command goes on from there"
            )

    def _save(self, state: TrainState, step: int) -> None:
        self._read()
        self.journal.flush()
        arrays = state.to_arrays()
        if broken := not_finite(arrays):
            raise Diverged(self._not_finite(step, f"{', '.join(broken)} became infinite or NaN"))
        where = {"step": step, "steps": self.plan.steps, "epoch": self.plan.epoch(step)}
        awaits = {elsewhere.AWAITS: self.plan.metric} if self.plan.elsewhere else {}
        scores = self._validated[1] if self._validated and self._validated[0] == step else None
        meta = {**where, "progress": self.progress.to_json(), "memory": used_memory(), **awaits}
        self.checkpoints.save(arrays, meta, lambda checkpoint: self.told(checkpoint, scores))
        if self.budget.limited and "checkpoint" not in self.budget.longest:
            self.checkpoints.wait()  # so that its whole time is known


def _local(value: jax.Array) -> np.ndarray:
    return np.asarray(value.addressable_data(0))
