"""The time of a command: what is read, what is foreseen, and where a loop stops, by a clock that the test winds."""

import io
from dataclasses import replace

import jax.numpy as jnp
import pytest
from rich.console import Console

from jaxlab.core.types import UserError
from jaxlab.metrics import RegressionSums
from jaxlab.training import journal
from jaxlab.training.budget import Budget, duration_text, parsed
from jaxlab.training.checkpoint import Checkpoints, saved
from jaxlab.training.display import TerminalDisplay
from jaxlab.training.loop import Fit, Phase
from jaxlab.training.plan import Plan, Progress
from jaxlab.training.state import TrainState

TEXTS = {"8h30m": 30600, "45m": 2700, "90s": 90, "1h": 3600, "1h1s": 3601, " 2m5s ": 125}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("text", "seconds"), TEXTS.items())
def test_times_are_read(text, seconds):
    assert parsed(text) == seconds
    assert parsed(duration_text(seconds)) == seconds


@pytest.mark.parametrize("text", ["", " ", "8h30", "90", "30m8h", "1.5h", "8 hours", "-1h", "1h1h"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UserError, match="stop-after: expected a time such as 8h30m, 45m or 90s, found"):
        parsed(text)


@pytest.mark.parametrize("asked", ["0s", 0, -3.0, float("nan")])
def test_no_time_at_all_is_refused(asked):
    with pytest.raises(UserError, match="stop-after: expected more than 0 seconds"):
        Budget.of(asked)


def test_what_has_been_timed_is_foreseen():
    clock = Clock()
    budget = Budget(100, clock)  # of which 6 s are spare
    for seconds in (20, 10):
        with budget.timed("validation"):
            clock.now += seconds
    assert budget.longest == {"validation": 20}
    assert budget.allows(["validation", "validation", "never seen"], more=24)  # 30 + 40 + 24 + 6
    assert not budget.allows(["validation", "validation"], more=24.1)
    assert budget.stopped
    assert not budget.allows([]), "what has been stopped does not start again"


def test_without_a_limit_everything_is_allowed():
    budget = Budget.of(None)
    budget.took("step", since=budget.used - 1e12)
    assert budget.allows(["step"] * 3)
    assert not budget.limited


def fitted(folder, seconds, phases=(0,), budget=None, **costs):
    """Where a loop of 40 steps, 10 an epoch, stops: its step, the time it had then used, and what it said."""
    clock = Clock()
    spent = {"step": 1.0, "compile": 0.0, "validation": 0.0, **costs}
    budget = budget or Budget(seconds, clock)
    clock = budget._clock
    begun: set[int] = set()

    def step_of(first):
        def step(state, batch):
            clock.now += spent["step"] + (0 if first in begun else spent["compile"])
            begun.add(first)
            reported = dict.fromkeys(("loss", "gradient_norm"), jnp.ones(()))
            return replace(state, step=state.step + 1), reported

        return step

    def evaluate(variables):
        clock.now += spent["validation"]
        return {"loss": 0.5, "pearson": 0.1}

    folder.mkdir(exist_ok=True)
    state = TrainState(
        step=jnp.zeros((), jnp.int32), params={"w": jnp.zeros(2)}, stats={}, constants={}, opt_state=(), ema=None,
        rate_scale=jnp.ones(()), sums={"activity": RegressionSums.start(1)},
    )  # fmt: skip
    out = io.StringIO()
    loop = Fit(
        plan=Plan(steps=40, steps_per_epoch=10, metric="pearson"),
        phases=[Phase(first, step_of(first)) for first in phases],
        batches=lambda first: iter(range(first, 10**6)),
        evaluate=evaluate,
        no_sums=lambda: {"activity": RegressionSums.start(1)},
        scores=lambda sums: sums["activity"].compute(),
        batch_ids=lambda k: [],
        journal=journal.Journal(folder, 0),
        checkpoints=Checkpoints(folder / "checkpoints"),
        display=TerminalDisplay(Console(file=out, width=200), 40, 0, 8),
        progress=Progress(),
        budget=budget,
    )
    state = loop.run(state)
    assert not loop.interrupted
    return int(state.step), budget, out.getvalue()


def test_a_loop_stops_in_mid_epoch_with_a_checkpoint_and_says_so(tmp_path):
    step, budget, said = fitted(tmp_path, 30)
    assert step == 22  # 22 s, three steps more and 5.3 s spare would be 30.3
    assert budget.stopped
    assert saved(tmp_path / "checkpoints")[-1].step == 22
    assert "stopped after 22s at step 22 of 40; the same command goes on from there" in said


def test_what_an_epochs_end_costs_is_left_room_for(tmp_path):
    """Before the second epoch's last step: 39 s are used, 3 + 20 s needed, 5.65 s spare."""
    step, budget, _ = fitted(tmp_path, 65, validation=20.0)
    assert (step, budget.used) == (19, 39.0)
    assert fitted(tmp_path / "longer", 68, validation=20.0)[0] == 20


def test_a_validation_that_was_never_timed_is_taken_for_the_loop_so_far(tmp_path):
    """At step 9: 9 s are used and as many taken for the validation, 3 s needed for steps, 5.26 s spare."""
    assert fitted(tmp_path / "short", 26, validation=9.0)[0] == 9
    assert fitted(tmp_path / "longer", 27, validation=9.0)[0] == 10


def test_a_later_phase_has_to_be_compiled_again(tmp_path):
    step, budget, _ = fitted(tmp_path, 55, phases=(0, 5), compile=22.0)
    assert (step, budget.used) == (5, 27.0)  # 27 + 23 + 3 + 5.55 are more than 55
    assert fitted(tmp_path / "one", 55, compile=22.0)[0] > 5


def test_no_step_is_begun_where_there_is_no_time_for_one(tmp_path):
    step, _, said = fitted(tmp_path, 5)
    assert step == 0
    assert "stopped after 0s at step 0" in said
    assert not saved(tmp_path / "checkpoints")


def test_a_second_loop_knows_what_the_first_took(tmp_path):
    """As from fold to fold: 23 s of compiling do not fit into what is left."""
    budget = Budget(100, Clock())
    assert fitted(tmp_path / "first", None, budget=budget, compile=22.0)[0] == 40
    step, _, said = fitted(tmp_path / "second", None, budget=budget, compile=22.0)
    assert step in range(1, 40)
    assert "stopped after 1m" in said


def test_a_run_that_ends_in_time_is_not_stopped(tmp_path):
    step, budget, said = fitted(tmp_path, 60)
    assert step == 40
    assert not budget.stopped
    assert "stopped" not in said
