"""Where faults are met: one small experiment, a run of it that nothing disturbed, and runs that are held to that."""

import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import faulty
import processes

from jaxlab.core.types import AGAIN, UserError
from jaxlab.training import journal
from jaxlab.training.checkpoint import Saved, newest_good, saved
from jaxlab.training.rundir import RunDirectory

COUNTED = ("lost", "differs", "hangs", "tracebacks", "stuck")
_STARTING = threading.Lock()  # of processes, by several threads


class Missed(Exception):
    """The process was done before it was hit."""


@dataclass(frozen=True)
class Finding:
    """What is not as it should be. what: one of `COUNTED`."""

    kind: str
    what: str
    detail: str


@dataclass
class Scene:
    """command: that trains, but for its run and its data. cache: of images and compiled programs.

    whole: a run that nothing disturbed. half: one that was killed in its middle, with what lies beside it. seconds:
    that a process takes from its start to its end.
    """

    folder: Path
    command: list[str]
    data: Path
    cache: Path
    whole: Path
    half: Path
    seconds: float

    @property
    def bound(self) -> float:
        """Seconds after which a process hangs."""
        return max(120.0, 40 * self.seconds)


@dataclass
class Story:
    """One run and what befalls it. run: its directory, alone in one of its own, where its registry lies."""

    scene: Scene
    run: Path
    rng: random.Random
    kind: str = ""
    cache: Path | None = None  # in place of the scene's
    findings: list[Finding] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)  # steps of checkpoints that a fault was put into
    records_damaged: bool = False
    before: set[int] = field(
        default_factory=set
    )  # steps saved before the process that is looked at, not damaged since

    def __post_init__(self) -> None:
        self.saves = self.run.parent / "saves"  # the steps that were saved, a line each

    def found(self, what: str, detail: str) -> None:
        """Once of each sort in a story."""
        if (self.kind, what) in {(one.kind, one.what) for one in self.findings}:
            return
        self.findings.append(Finding(self.kind, what, detail))

    def from_half(self) -> None:
        """With what the run in the middle has."""
        shutil.copytree(self.scene.half, self.run)
        for name in ("saves", "registry.sqlite"):
            shutil.copy(self.scene.half.parent / name, self.run.parent)

    def start(self, moment: str = "", number: float = 0.0, data: Path | None = None) -> processes.Process:
        """The command in a process of its own. data: another file of images."""
        env = {"JAXLAB_CACHE": str(self.cache or self.scene.cache)}
        command = [
            *self.scene.command,
            "--run",
            str(self.run),
            "--set",
            f"data.root={data or self.scene.data}",
        ]
        with _STARTING:
            return processes.Process(faulty.train, command, self.saves, self.run, moment, number, env=env)

    def ended(self, process: processes.Process, codes: tuple[int, ...], words: str = "") -> processes.Ended:
        """What the process said, which must end with one of these codes; where that is 1, with a word of ours."""
        try:
            end = process.ended(self.scene.bound)
        except TimeoutError:
            self.found("hangs", f"no end within {self.scene.bound:.0f} s")
            raise
        self.log.append(f"[{self.kind}] code {end.returncode}\n{end.stderr}")
        if self.kind == "SIGINT" and end.returncode == 1 and not end.stderr:
            raise Missed  # before the command began: the answer is multiprocessing's
        if "Traceback (most recent call last)" in end.stderr:
            self.found("tracebacks", end.stderr[-1500:])
        elif end.returncode not in codes:
            self.found("stuck", f"code {end.returncode}, expected one of {codes}: {end.stderr[-600:]}")
        elif end.returncode == 1 and not (
            re.search(r"^error: ", end.stderr, re.M) and re.search(words, end.stderr)
        ):
            self.found("stuck", f"code 1 without {words!r}: {end.stderr[-600:]}")
        self._check_nothing_lost(end.stderr)
        return end

    def _check_nothing_lost(self, said: str) -> None:
        """Whoever goes on does so from the last checkpoint that was saved and is whole."""
        if (told := re.search(r"going on from step (\d+)", said)) is None:
            return
        if int(told[1]) < (last := max(self.before, default=0)):
            self.found("lost", f"went on from step {told[1]}, though step {last} was saved")

    def look(self) -> None:
        """Remember what is saved, as a process is about to start."""
        whole = {one.step for one in saved(self.run / "checkpoints") if one.fault() is None}
        try:
            noted = {int(line) for line in self.saves.read_text("utf-8").split()}
        except FileNotFoundError:
            noted = set()
        newest = max(noted, default=0)
        self.before = whole | ({newest} if newest not in self.damaged else set())

    def finish(self) -> None:
        """Let the same command go on until the run is done, and hold it to the undisturbed one."""
        for _ in range(3):
            self.look()
            with self.start() as process:
                end = self.ended(process, (0, AGAIN))
            if end.returncode == 0:
                break
        else:
            self.found("stuck", "not done after three starts")
            return
        self.compare()

    def compare(self) -> None:
        """Checkpoints bit by bit, and the records."""
        try:
            self._compare_checkpoints()
        except (UserError, OSError) as error:
            self.found("differs", f"{type(error).__name__}: {error}")
        mine, whole = (_records(run) for run in (self.run, self.scene.whole))
        for place in whole.keys() - mine.keys() if not self.records_damaged else ():
            self.found("differs", f"no record of {place}")
        for place in mine.keys() & whole.keys():
            if mine[place] != whole[place]:
                self.found("differs", f"record of {place}: {mine[place]}, expected {whole[place]}")
        names = ("config.json", "run.json")
        for name in names:
            mine_, whole_ = (_about(run / name) for run in (self.run, self.scene.whole))
            if mine_ != whole_:
                self.found("differs", f"{name} differs")

    def _compare_checkpoints(self) -> None:
        theirs = {one.step: one for one in saved(self.scene.whole / "checkpoints")}
        mine = {one.step: one for one in saved(self.run / "checkpoints")}
        last = max(theirs)
        if last not in mine or newest_good(self.run / "checkpoints", lambda _: None) != mine[last]:
            self.found("differs", f"no whole checkpoint {last}, only {sorted(mine)}")
            return
        for step in (mine.keys() & theirs.keys()) - self.damaged:
            if mine[step].fault() is not None:
                self.found("differs", f"checkpoint {step}: {mine[step].fault()}")
            elif mine[step].meta()["digest"] != theirs[step].meta()["digest"]:
                self.found("differs", f"parameters of checkpoint {step}")
        if mine[last].meta()["progress"] != theirs[last].meta()["progress"]:
            self.found("differs", f"progress {mine[last].meta()['progress']}")
        if (leaf := _differing(mine[last], theirs[last])) is not None:
            self.found("differs", f"{leaf} of checkpoint {last}")


def _differing(one: Saved, other: Saved) -> str | None:
    found, expected = one.arrays(), other.arrays()
    for name, leaves in expected.items():
        for path, leaf in leaves.items():
            if not np.array_equal(found[name][path], leaf):
                return f"{name}.{path}"
    return None


def _records(run: Path) -> dict[tuple[str, int], dict]:
    return {(one["split"], one["step"]): one for one in journal.read(run / "metrics.jsonl")}


def _about(file: Path) -> object:
    """What the file says of the experiment and its data."""
    rundir = RunDirectory(file.parent)
    if file.name == "config.json":
        return rundir.config()
    return {
        name: value
        for name, value in rundir.info().items()
        if name in ("task", "data", "weights", "finetune")
    }


def pause(story: Story) -> None:
    """For a moment of a process's life."""
    time.sleep(story.rng.uniform(0.0, story.scene.seconds))


def send(process: processes.Process, number: int) -> None:
    """Raises Missed where the process is done."""
    if process.exitcode is not None:
        raise Missed
    os.kill(process._process.pid, number)


KILLED = -signal.SIGKILL
