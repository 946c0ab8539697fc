"""Stalls, devices that wait for data, epochs that take longer and gradients that explode, noticed as they come.

All is taken from clocks on the host and from what steps report anyway: nothing is added to what is compiled.
"""

import contextlib
import math
import statistics
import threading
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Self

from jaxlab.core.scopes import stage
from jaxlab.core.types import UserError
from jaxlab.training.notices import Notice, Notices

_WINDOW = 101  # steps that tell what is usual
_FEWEST = 20  # before anything is
_STALL = (30.0, 10)  # seconds, and times the usual step: both, so that short steps may wait for a busy disk
_STARVED = 0.25  # of the time
_SLOWER = 1.5  # times the seconds that a step took in earlier epochs, in two epochs on end
_JUDGED = 10.0  # seconds of steps, without which their share or speed says nothing
_EXPLODES = 20  # times the usual norm: of 359 trainings that went well, two had steps beyond 10 times it
_TICK = 1.0
_WAITS = {
    "data": "it waits for data: a disk or a network that they lie on may be slow or gone",
    "step": "it waits for the devices: another program may have them, as nvidia-smi or top shows",
}


class Monitor:
    """Told by the loop what it does; use it as a context manager. notices: where what is amiss goes.

    clock: seconds from any start. beats: whether a thread looks on, without which nobody notices a stall.
    """

    def __init__(
        self,
        notices: Notices | None = None,
        clock: Callable[[], float] = time.monotonic,
        beats: bool = True,
    ):
        self.notices = notices or Notices()
        self._clock, self._beats = clock, beats
        self._now: tuple[str, float, int, int] | None = None  # waiting for what, since when, step, epoch
        self._stalled: tuple[str, float, int, int] | None = None  # the last that was told of
        self._took: deque[float] = deque(maxlen=_WINDOW)
        self._waited = 0.0  # for the batch of the step to come
        self.place = (0, 1)  # step, epoch
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._epoch = _Epoch()
        self._earlier: list[float] = []  # seconds a step, of the phase's epochs
        self._slow = 0  # epochs on end
        self._phase: int | None = None
        self._norms = RunningMedian(_WINDOW)

    def __enter__(self) -> Self:
        self._ended.clear()
        if self._beats:
            self._thread = threading.Thread(target=self._look, name="jaxlab-monitor", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    # -- what the loop says

    def fed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The same batches, of which each is waited for."""
        while True:
            began = self._begin("data")
            try:
                with stage("waiting for data"):
                    batch = next(batches)
            except StopIteration:
                return
            finally:
                self._now = None
            self._waited = self._clock() - began
            yield batch

    @contextlib.contextmanager
    def step(self, step: int, epoch: int, phase: int, compiles: bool, idle: bool) -> Iterator[None]:
        """The block makes update `step`. idle: whether the devices had nothing left to do before it."""
        self.place = (step, epoch)
        if phase != self._phase:
            self._phase = phase
            self._begin_phase()
        if compiles:
            yield
            return
        began = self._begin("step")
        yield
        self._now = None
        took = self._waited + self._clock() - began
        self._took.append(took)
        if took < self._limit():
            self._epoch.add(took, self._waited if idle else 0.0)

    def gradient(self, step: int, epoch: int, norm: float) -> None:
        """The length of an update's gradient."""
        usual = self._norms.median
        if usual and norm > _EXPLODES * usual:
            self._tell(
                "gradient",
                norm / usual,
                f"the gradient's norm is {norm:.3g} at step {step}, {norm / usual:,.0f} times what is usual "
                f"({usual:.3g}): optimizer.clip_norm holds such steps back, a lower optimizer.lr or warmup_epochs may "
                "keep them away",
                (step, epoch),
            )
        elif usual:
            self.notices.over("gradient")
        if math.isfinite(norm):
            self._norms.add(norm)

    def end_epoch(self) -> None:
        """All steps of one have been made."""
        found = self._epoch
        if found.seconds < _JUDGED:  # short epochs are judged together
            return
        self._epoch = _Epoch()
        if (share := found.waited / found.seconds) > _STARVED:
            self._tell(
                "starved",
                share,
                f"the devices wait for data {share:.0%} of the time: smaller images.size, images in memory "
                "(images.memory_budget_gb), a local disk for data and $JAXLAB_CACHE, or more free cores feed them "
                "faster",
            )
        each = found.seconds / found.steps
        usual = statistics.median(self._earlier) if self._earlier else math.inf
        self._slow = self._slow + 1 if each > _SLOWER * usual else 0
        if self._slow == 2:
            self._tell(
                "slower",
                each / usual,
                f"a step takes {each:.3g} s, and took {usual:.3g} s in earlier epochs: another program on the machine, "
                "or a device that is hot, slows it down, as top and nvidia-smi show",
            )
        if not self._slow:
            self.notices.over("slower")
            self._earlier.append(each)

    # -- the thread that looks on

    def look(self, since: float) -> float:
        """What is amiss now, after a look at `since`; when this was."""
        now, doing = self._clock(), self._now
        away = now - since
        if doing is None or doing == self._stalled:
            return now
        if away > _STALL[0]:
            self._stalled = doing
            self._tell(
                "suspended",
                away,
                f"the process did not run for {away:.0f} s: it was suspended, or the machine is far too busy",
            )
        elif (long := now - doing[1]) > (limit := self._limit()):
            self._stalled = doing
            usual = f", {long / (limit / _STALL[1]):,.0f} times what one takes" if limit > _STALL[0] else ""
            self._tell("stall", long, f"no step for {long:.0f} s{usual}: {_WAITS[doing[0]]}", doing[2:])
        return now

    def _look(self) -> None:
        since = self._clock()
        while not self._ended.wait(_TICK):
            with contextlib.suppress(
                UserError
            ):  # of a disk that refuses, which the loop finds out for itself
                since = self.look(since)

    def _limit(self) -> float:
        """Seconds, beyond which a step stalls."""
        took = list(self._took)
        return max(_STALL[0], _STALL[1] * statistics.median(took)) if len(took) >= _FEWEST else math.inf

    def _begin(self, what: str) -> float:
        began = self._clock()
        self._now = (what, began, *self.place)
        return began

    def _begin_phase(self) -> None:
        """Others train from here: steps take another time, gradients have another length."""
        self._took.clear()
        self._epoch, self._earlier, self._slow = _Epoch(), [], 0
        self._norms = RunningMedian(_WINDOW)

    def _tell(self, kind: str, value: float, text: str, place: tuple[int, int] | None = None) -> None:
        step, epoch = place or self.place
        self.notices.tell(Notice(step, epoch, kind, value, text))


class _Epoch:
    """Seconds of its steps, of which so many were waited for data."""

    def __init__(self) -> None:
        self.steps, self.seconds, self.waited = 0, 0.0, 0.0

    def add(self, seconds: float, waited: float) -> None:
        self.steps += 1
        self.seconds += seconds
        self.waited += waited


class RunningMedian:
    """Of the last `window` numbers; None of fewer than `_FEWEST`."""

    def __init__(self, window: int):
        self._last: deque[float] = deque()
        self._sorted: list[float] = []
        self._window = window

    def add(self, value: float) -> None:
        self._last.append(value)
        insort(self._sorted, value)
        if len(self._last) > self._window:
            del self._sorted[bisect_left(self._sorted, self._last.popleft())]

    @property
    def median(self) -> float | None:
        return self._sorted[len(self._sorted) // 2] if len(self._sorted) >= _FEWEST else None
