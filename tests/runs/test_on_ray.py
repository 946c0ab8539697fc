"""Workers that Ray starts: how many with what share, how each runs, and what becomes of those that end.

`Here` stands for Ray where that is about the command's part alone; tools/ray_check.py has a real one.
"""

import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from rich.console import Console

from jaxlab.cli.main import main
from jaxlab.cli.workers import for_workers
from jaxlab.core.types import Interrupted, UserError
from jaxlab.runs.search import on_ray
from jaxlab.runs.search.on_ray import Ended, Task, run_on_ray, shares, work
from jaxlab.training.display import Session

pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")


def machine(cpus: float, gpus: float = 0, alive: bool = True) -> dict:
    resources = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
    return {"Alive": alive, "Resources": resources, "NodeManagerHostname": f"host{cpus:g}"}


class Here:
    """Ray's words for workers whose outcomes are listed in advance; None is one that never ends."""

    def __init__(self, *outcomes):
        self.outcomes, self._nodes = outcomes, [machine(8), machine(8)]
        self.started, self.cancelled, self.shares, self.shut = [], [], [], False
        self.exceptions = SimpleNamespace(RayError=RuntimeError)

    def init(self, **options):
        pass

    def nodes(self):
        return self._nodes

    def remote(self, function):
        assert function is work
        return self

    def options(self, **share):
        self.shares.append(share)

        def remote(task):
            self.started.append(task)
            return len(self.started) - 1

        return SimpleNamespace(remote=remote)

    def wait(self, refs, timeout, num_returns=1):
        ended = [one for one in refs if one in self.cancelled or self.outcomes[one] is not None]
        return ended[:1], ended[1:]

    def get(self, one):
        if isinstance(self.outcomes[one], Exception):
            raise self.outcomes[one]
        return self.outcomes[one]

    def cancel(self, one, force):
        assert not force  # they save
        self.cancelled.append(one)

    def shutdown(self):
        self.shut = True


@pytest.fixture
def on(monkeypatch, tmp_path):
    """What running on a `Here` says and gives."""

    def on(ray, **given):
        monkeypatch.setattr(on_ray, "_ray", lambda: ray)
        with (tmp_path / "said").open("w") as file:
            try:
                done = run_on_ray(
                    ["sweep", "x"], given.get("workers"), given.get("seconds"), Session(Console(file=file))
                )
            finally:
                file.flush()
                assert ray.shut
                on.said = (tmp_path / "said").read_text()
        return done

    return on


DONE = Ended(0, "a", "")


@pytest.mark.parametrize(
    ("nodes", "workers", "expected"),
    [
        ([machine(8), machine(4)], None, (2, 4.0, 0.0)),  # one a machine; the smallest has room for it
        ([machine(8), machine(64, alive=False)], None, (1, 8.0, 0.0)),
        ([machine(2), machine(16, 4)], None, (4, 4.0, 1.0)),  # one a GPU, where the GPUs are
        ([machine(16, 2)], 4, (4, 4.0, 0.5)),
        ([machine(8), machine(8)], 3, (3, 4.0, 0.0)),  # two on one of them
        ([machine(2)], 8, (8, 0.25, 0.0)),
    ],
)
def test_each_worker_has_its_share(nodes, workers, expected):
    number, share = shares(nodes, workers)
    assert (number, share["CPU"], share["GPU"]) == expected


def test_a_cluster_that_computes_nothing_is_refused():
    with pytest.raises(UserError, match="--on ray: the cluster has no machine with a CPU"):
        shares([machine(0), machine(8, alive=False)], None)


def test_workers_are_given_the_command_without_what_is_ours():
    theirs = ["sweep", "c.py", "--over", "a=1,2", "--trials", "3", "--storage", "u"]
    given = [
        *theirs[:2],
        "--on",
        "ray",
        *theirs[2:4],
        "--workers=4",
        "--run",
        "r",
        *theirs[4:],
        "--stop-after",
        "2h",
    ]
    assert for_workers(given) == theirs


def test_a_workers_command_has_the_time_that_is_left():
    command = Task(("sweep", "x"), "/", time.time() + 90.5).command()
    assert command[:5] == [sys.executable, "-m", "jaxlab", "sweep", "x"]
    assert command[5:] == ["--stop-after", "90s", "--auto-resume"]
    assert Task(("sweep", "x"), "/", None).command()[5:] == ["--auto-resume"]
    assert Task(("sweep",), "/", None, ("-P", "-m", "jaxlab")).command()[1:] == [
        "-P", "-m", "jaxlab", "sweep", "--auto-resume",
    ]  # fmt: skip


def test_one_that_saved_is_started_again_elsewhere(on):
    ray = Here(DONE, Ended(75, "b", ""), DONE)
    assert on(ray, workers=2)
    assert len(ray.started) == 3
    assert "a worker on b was asked to end, and saved; another goes on" in on.said
    assert ray.shares == [
        {"num_cpus": 8.0, "num_gpus": 0.0, "scheduling_strategy": "SPREAD", "max_retries": 100}
    ]


def test_one_that_never_gets_anywhere_is_given_up(on):
    ray = Here(*[Ended(75, "b", "")] * 4, DONE)
    with pytest.raises(UserError, match="1 worker on Ray ended by an error: b: exit code 75"):
        on(ray, workers=1)
    assert len(ray.started) == 4


def test_an_error_of_one_is_said_and_of_all_is_the_end(on):
    assert not on(Here(DONE, Ended(1, "b", "x.csv: no such file")))
    assert "a worker ended by an error, on b: x.csv: no such file" in on.said
    with pytest.raises(UserError, match=r"2 workers on Ray ended by an error: b: x\.csv"):
        on(Here(*[Ended(1, "b", "x.csv: no such file")] * 2))


def test_machines_without_jaxlab_are_named_as_such(on):
    error = RuntimeError("somewhere")
    error.cause = ModuleNotFoundError("No module named 'jaxlab'")
    with pytest.raises(
        UserError, match=r"No module named 'jaxlab'; the machines of the cluster need the same jaxlab"
    ):
        on(Here(error, error))


def test_an_error_without_words_has_a_name(on):
    error = RuntimeError("somewhere")
    error.cause = MemoryError()
    with pytest.raises(UserError, match="1 worker on Ray ended by an error: the cluster: MemoryError"):
        on(Here(error), workers=1)


def test_asked_to_end_they_are_asked_to_save(on):
    ray = Here(DONE, None, None)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(Interrupted):
        on(ray, workers=3)
    assert ray.cancelled == [1, 2]
    assert "the workers are asked to save and end; the same command goes on" in on.said


def test_a_worker_runs_and_says_why_it_ended(tmp_path, monkeypatch, capfd):
    code = "import sys; print('trial 0'); print('error: no such data', file=sys.stderr); sys.exit(1)"
    monkeypatch.setattr(Task, "command", lambda task: [sys.executable, "-S", "-c", code])
    found = work(Task((), str(tmp_path), None))
    assert (found.code, found.error) == (1, "no such data")
    assert capfd.readouterr().out == "trial 0\nerror: no such data\n"


def test_a_worker_that_is_cancelled_saves_first(tmp_path, monkeypatch):
    code = "import pathlib, signal, sys, time; signal.signal(15, lambda *_: sys.exit(75)); "
    code += "pathlib.Path('ready').touch(); time.sleep(60)"
    monkeypatch.setattr(Task, "command", lambda task: [sys.executable, "-S", "-c", code])

    def cancel():
        while not (tmp_path / "ready").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=cancel).start()
    assert work(Task((), str(tmp_path), None)).code == 75


def test_a_folder_that_a_machine_lacks_is_said(tmp_path):
    found = work(Task((), str(tmp_path / "gone"), None))
    assert found.code == 1
    assert f"{tmp_path / 'gone'} is not on this machine" in found.error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "2"], "--workers: expected --on ray with it"),
        (["--on", "ray", "--smoke"], "--on ray: expected no --smoke with it"),
        (["--on", "ray", "--auto-resume", "--run", "x"], "--on ray: expected no --auto-resume with it"),
        (
            ["--on", "ray", "--run", "s3://b/x"],
            "on a disk that all workers see, found s3://b/x: a run in a bucket",
        ),
    ],
)
def test_options_that_contradict_one_another_are_refused(options, message):
    found = CliRunner().invoke(
        main, ["sweep", "shallow_cnn", "--over", "optimizer.lr=log(1e-4,1e-2)", *options]
    )
    assert found.exit_code == 1
    assert message in found.output


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r'pip install "jaxlab\[ray\]"'):
        run_on_ray(["sweep"], None, None, Session())
