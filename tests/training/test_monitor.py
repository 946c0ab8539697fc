"""What is amiss while a run trains, told from a clock that the tests turn and from gradients that they make up."""

import statistics
import time
from dataclasses import replace

import numpy as np
import pytest
from test_loop import PLAN, Losses, fitted, records

from jaxlab.training import notices
from jaxlab.training.journal import Journal
from jaxlab.training.monitor import Monitor, RunningMedian
from jaxlab.training.notices import Notice, Notices


class Told:
    """A monitor with a clock of its own, what it said, and what it kept."""

    def __init__(self):
        self.time, self.said, self.kept = 0.0, [], []
        keep = Notices(self.said.append, self.kept.append)
        self.monitor = Monitor(keep, lambda: self.time, beats=False)
        self.number = 0

    def batches(self, waits):
        for seconds in waits:
            self.time += seconds
            yield "batch"

    def train(self, steps, wait=0.0, step=0.2, idle=True, epochs=1, phase=0, meanwhile=lambda: None):
        for _ in range(epochs):
            for _ in self.monitor.fed(self.batches([wait] * steps)):
                self.number += 1
                with self.monitor.step(self.number, 1 + self.number // steps, phase, False, idle):
                    self.time += step
                    meanwhile()
            self.monitor.end_epoch()
        return [one.kind for one in self.kept]


@pytest.fixture
def told():
    return Told()


def test_a_step_that_does_not_end_is_told_of_while_it_lasts(told):
    def hang():
        since = told.time - 1
        for seconds in (1, 27, 3, 1, 10):  # a look each second, as it were
            told.time += seconds
            since = told.monitor.look(since)

    assert told.train(30) == []
    assert told.train(1, step=0, meanwhile=hang) == ["stall"]
    (notice,) = told.kept
    assert notice.step == 31
    assert notice.value == pytest.approx(31), "seconds, at the first look beyond 30"
    assert "no step for 31 s" in told.said[0]
    assert "it waits for the devices" in told.said[0]
    assert told.train(60) == ["stall"], "its time is none of the epoch's"


def test_who_trains_in_steps_of_seconds_may_wait_for_longer(told):
    def hang():
        told.time += 99
        told.monitor.look(told.time - 1)
        told.time += 2
        told.monitor.look(told.time - 1)

    told.train(30, step=10)
    assert told.train(1, step=0, meanwhile=hang) == ["stall"]
    assert "no step for 101 s, 10 times what one takes: it waits" in told.said[0]


def test_a_batch_that_does_not_come_and_a_process_that_slept_are_told_apart(told):
    told.train(30)

    def slow():
        told.time += 40
        told.monitor.look(told.time - 1)
        yield "batch"
        told.time += 500
        told.monitor.look(told.time - 500)
        told.monitor.look(told.time - 1)
        yield "batch"

    assert list(told.monitor.fed(slow())) == ["batch"] * 2
    assert [one.kind for one in told.kept] == ["stall", "suspended"]
    assert "it waits for data" in told.said[0]
    assert "the process did not run for 500 s" in told.said[1]


def test_before_steps_have_shown_what_is_usual_nothing_stalls(told):
    def hang():
        told.time += 1000
        told.monitor.look(told.time - 1)

    assert told.train(1, meanwhile=hang) == []


@pytest.mark.parametrize(
    ("wait", "idle", "kinds"),
    [(0.06, True, []), (0.08, True, ["starved"]), (0.08, False, [])],
    ids=["a quarter of the time", "more", "more, while the devices are busy"],
)
def test_devices_that_wait_for_data_are_told_of(told, wait, idle, kinds):
    assert told.train(100, wait=wait, step=0.2, idle=idle) == kinds
    if kinds:
        assert told.kept[0].value == pytest.approx(0.08 / 0.28)
        assert "wait for data 29% of the time" in told.said[0]


def test_epochs_too_short_to_judge_are_judged_together(told):
    assert told.train(10, wait=0.11, step=0.11, epochs=4) == []
    assert told.train(10, wait=0.11, step=0.11, epochs=1) == ["starved"]


def test_epochs_that_take_longer_than_earlier_ones_are_told_of_once_they_go_on(told):
    assert told.train(100, step=0.2, epochs=3) == []
    assert told.train(100, step=0.31) == [], "one alone"
    assert told.train(100, step=0.2) == []
    assert told.train(100, step=0.31, epochs=5) == ["slower"], "once"
    assert told.kept[0].value == pytest.approx(0.31 / 0.2)
    assert "a step takes 0.31 s, and took 0.2 s in earlier epochs" in told.said[0]


def test_where_more_trains_than_before_steps_may_take_longer(told):
    told.train(100, step=0.2, epochs=3)
    assert told.train(100, step=0.6, epochs=3, phase=300) == []


def test_a_gradient_far_above_its_median_is_told_of(told):
    norms = np.random.default_rng(0).lognormal(0, 0.3, 200)
    for step, norm in enumerate(norms, 1):
        told.monitor.gradient(step, 1, float(norm))
    assert told.kept == []
    usual = statistics.median(norms[-101:])
    told.monitor.gradient(201, 2, 19.9 * usual)
    assert told.kept == []
    usual = statistics.median([*norms[-100:], 19.9 * usual])
    told.monitor.gradient(202, 2, 21 * usual)
    told.monitor.gradient(203, 2, float("inf"))
    assert [(one.step, one.kind) for one in told.kept] == [(202, "gradient"), (203, "gradient")]
    assert told.kept[0].value == pytest.approx(21)
    assert len(told.said) == 1, "said once while it lasts"
    assert f"21 times what is usual ({usual:.3g}): optimizer.clip_norm" in told.said[0]


def test_the_running_median_is_numpys():
    values = np.random.default_rng(1).integers(0, 50, 300).astype(float)
    running = RunningMedian(101)
    for k, value in enumerate(values):
        running.add(value)
        expected = np.sort(values[max(0, k - 100) : k + 1])[min(k + 1, 101) // 2]
        assert running.median == (expected if k >= 19 else None)


def test_notices_are_kept_beside_the_records_and_cut_with_them(tmp_path):
    journal = Journal(tmp_path, 0)
    found = [Notice(step, 1, "gradient", 30.0, f"at {step}") for step in (3, 9, 9)]
    for one in (*found, Notice(9, 1, "collapsed", 0.0, "one class", "label")):
        journal.notice(one)
    journal.close()
    with (tmp_path / notices.FILE).open("a") as file:
        file.write('{"step": 1}\n[]\n{"step": 3, "epo')
    kept = notices.read(tmp_path)
    assert kept[:3] == found
    assert [(one["kind"], one["step"], one["times"]) for one in notices.in_short(kept)] == [
        ("gradient", 9, 3),
        ("collapsed", 9, 1),
    ]
    Journal(tmp_path, 5).close()
    assert notices.read(tmp_path) == found[:1], "later steps are made again"
    Journal(tmp_path, 0).close()
    assert not (tmp_path / notices.FILE).exists()


def test_a_thousand_of_a_kind_are_one_line_in_the_terminal_and_a_hundred_in_the_file():
    said, kept = [], []
    told = Notices(said.append, kept.append)
    one = Notice(1, 1, "stall", 40.0, "no step")
    for step in range(1000):
        told.tell(replace(one, step=step))
    assert (len(said), len(kept)) == (1, 100)
    told.over("stall")
    told.tell(one)
    assert len(said) == 2


def test_the_loop_tells_of_gradients_and_a_thread_of_stalls(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxlab.training.monitor._TICK", 0.01)
    monkeypatch.setattr("jaxlab.training.monitor._STALL", (0.1, 1))
    steps, ends = Losses(norm={35: 300.0}), time.monotonic() + 20

    def slow(state, batch):
        while int(state.step) == 30 and not (tmp_path / notices.FILE).exists() and time.monotonic() < ends:
            time.sleep(0.01)
        return steps(state, batch)

    journal = Journal(tmp_path, 0)
    monitor = Monitor(Notices(keep=journal.notice))
    plan = replace(PLAN, steps=40, steps_per_epoch=40)
    fitted(tmp_path, plan=plan, step=slow, monitor=monitor)
    assert [(one.kind, one.step) for one in notices.read(tmp_path)] == [("stall", 31), ("gradient", 35)]
    assert len(records(tmp_path, "step")) == 40
