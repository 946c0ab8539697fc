"""Progress in a terminal (a bar, then a table) or, elsewhere, plain lines; and the session that it is shown in."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from jaxlab.core.progress import Bar
from jaxlab.core.terminal import stderr_console
from jaxlab.training.agreement import agreement_text
from jaxlab.training.budget import Budget
from jaxlab.training.hosts import Group, current
from submit.late import Late

if TYPE_CHECKING:
    from submit.metrics import table
else:
    table = Late("submit.metrics.table")


# Said before the first epoch's line. Each line fits 80 columns.
LEGEND = (
    "each epoch: training / validation, * where it is the best so far. Training is of\n"
    "the network as it learns, with augmentation and dropout; `jaxlab evaluate` is of\n"
    "what it has learned"
)


class Display(Protocol):
    """Where progress is shown."""

    def step(self, step: int, epoch: int, loss: float) -> None: ...
    def epoch(
        self, epoch: int, train: dict[str, float], validation: dict[str, float], best: bool
    ) -> None: ...
    def doing(self, what: str) -> None: ...
    def note(self, text: str) -> None: ...


class Judge(Protocol):
    """Says at an epoch's end why a run is not worth going on with, if so. ended: what it said."""

    ended: str | None

    def __call__(self, epoch: int, validation: dict[str, float]) -> str | None: ...


class Session:
    """What a command brings to each run that it trains: where it is told of, and the time that it has.

    title: said before each of a run's epochs. began: the budget's time at which the run came up.
    judge: may end a run before its time. profile: steps of which a profiler's trace is made; of several runs in the
    first. hosts: the processes that train together, of which one speaks.
    """

    def __init__(
        self,
        console: Console | None = None,
        budget: Budget | None = None,
        title: str = "",
        judge: Judge | None = None,
        profile: int = 0,
    ):
        self.hosts: Group = current()
        self.console = (console or stderr_console()) if self.hosts.writes else Console(quiet=True)
        self.budget = budget or Budget()
        self.title = title
        self.judge = judge
        self._profile = [profile]
        self.began = self.budget.used
        self._said: set[str] = set()

    def log(self, text: str) -> None:
        """A plain line, as it is: no markup in paths, no breaks in a log."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def once(self, text: str) -> None:
        """A line that runs of the same data would all say: of the first alone."""
        if text not in self._said:
            self._said.add(text)
            self.log(text)

    def to_profile(self) -> int:
        """Steps to trace, of whom asks first; of several processes in the one that writes."""
        found, self._profile[0] = self._profile[0], 0
        return found if self.hosts.writes else 0

    def allows(self, parts: Iterable[str]) -> bool:
        """As `Budget.allows`, of all processes that train together."""
        if self.hosts.any("time", not self.budget.allows(parts)):
            self.budget.stopped = True
        return not self.budget.stopped

    @property
    def stopped(self) -> bool:
        """Whether the run that was trained last was left before its end: for want of time, or by the judge."""
        return self.budget.stopped or (self.judge is not None and self.judge.ended is not None)

    def within(self, title: str, judged: bool = True) -> "Session":
        """The same for one run of several; of several in several, the titles of both.

        judged: whether the judge is asked of this one.
        """
        titles = ", ".join(filter(None, (self.title, title)))
        inside = Session(self.console, self.budget, titles, self.judge if judged else None)
        inside._said, inside._profile = self._said, self._profile
        return inside


class ImagesPerSecond(ProgressColumn):
    """images/s, of progress counted in batches."""

    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size = batch_size

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed * self.batch_size:6.0f} images/s" if task.speed else "")


class TerminalDisplay:
    """Shows steps and epochs of a run of `steps` steps; use it as a context manager.

    Lines for each epoch go to `console`; the bar is drawn only where that is a terminal.
    title: said before each epoch, of a run that is one of several.
    """

    def __init__(self, console: Console, steps: int, first: int, batch_size: int, title: str = ""):
        self.console = console
        self._before = f"{title}  " if title else ""
        self.batch_size = batch_size
        self._bar = Bar(
            TextColumn(f"{self._before}epoch {{task.fields[epoch]}}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[doing]}"),
            ImagesPerSecond(batch_size),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=steps, completed=first, epoch=1, doing="compiling")
        self._first: tuple[float, int] | None = None  # when the epoch's first loss was read, and its step
        self._last = (0.0, first)
        self._epochs: list[tuple[int, dict[str, float], dict[str, float], bool]] = []

    def __enter__(self) -> "TerminalDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, step: int, epoch: int, loss: float) -> None:
        self._last = (time.perf_counter(), step)
        self._first = self._first or self._last
        self._bar.update(self._task, completed=step, epoch=epoch, doing=f"loss {loss:.4f}")

    def doing(self, what: str) -> None:
        self._bar.update(self._task, doing=what)

    def epoch(self, epoch: int, train: dict[str, float], validation: dict[str, float], best: bool) -> None:
        name = table.headline_of(validation or train)
        shown = {
            score: f"{train[score]:.4f} / {f'{validation[score]:.4f}' if validation else '-'}"
            for score in ("loss", name)
        }
        line = f"{self._before}epoch {epoch:3d}  loss {shown['loss']}  {name} {shown[name]}{' *' if best else '  '}"
        rate = self._rate()
        line += rate if len(line) + len(rate) <= max(80, self.console.width) else ""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        if said := agreement_text(train):
            self.note(f"{' ' * len(self._before)}{' ' * 11}{said}")
        self._epochs.append((epoch, train, validation, best))
        self._first = None

    def _rate(self) -> str:
        """Of this epoch's steps alone: neither compiling nor validation counts."""
        if self._first is None or self._last[1] == self._first[1]:
            return ""
        seconds, steps = self._last[0] - self._first[0], self._last[1] - self._first[1]
        return f" {steps * self.batch_size / seconds:5.0f} images/s"

    def note(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def table(self) -> None:
        """Every score of the best epoch shown, training beside validation."""
        if not self._epochs:
            return
        epoch, train, validation, best = next((e for e in reversed(self._epochs) if e[3]), self._epochs[-1])
        which = "the best" if best else "the last; an earlier one was better"
        title = f"epoch {epoch}, {which if validation else 'validated elsewhere'}"
        table = Table("score", "train, as it learns", "validation", title=title, title_justify="left")
        for name, value in validation.items():
            shown = f"{train[name]:.4g}" if name in train else ""
            table.add_row(Text(name.replace("_", " ")), shown, f"{value:.4g}")
        for name in (name for name in train if name not in validation):  # the gradients' agreement
            table.add_row(Text(name.replace("_", " ")), f"{train[name]:.4g}", "")
        self.console.print(table)
