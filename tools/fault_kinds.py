"""What befalls a run: each kind is a function of a story, which starts the command and hits it.

`CHAINED` ones leave a run that others may hit next; after each of `ALONE` it is let go on to its end.
"""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable

import numpy as np
from fault_scene import KILLED, Missed, Story, pause, send
from processes import Process

from jaxlab.core.types import AGAIN
from jaxlab.training.checkpoint import saved

Hit = Callable[[Story], None]


def _signalled(number: int, codes: tuple[int, ...]) -> Hit:
    """Sent at any moment of a process's life."""

    def hit(story: Story) -> None:
        with story.start() as process:
            pause(story)
            send(process, number)
            end = story.ended(process, codes)
        if end.returncode == 0:
            raise Missed
        if end.returncode == AGAIN:
            made = [int(step) for step in re.findall(r"stopped at step (\d+)", end.stderr)]
            if not made or made[-1] not in {one.step for one in saved(story.run / "checkpoints")}:
                story.found("lost", f"code 75, and no checkpoint of its last step: {end.stderr[-300:]}")

    return hit


def _at(moment: str, draw: Callable[[Story], float]) -> Hit:
    """Killed by itself, at a moment that time alone would seldom meet."""

    def hit(story: Story) -> None:
        with story.start(moment, draw(story)) as process:
            end = story.ended(process, (0, KILLED))
        if end.returncode == 0:
            raise Missed

    return hit


def _stopped(story: Story) -> None:
    with story.start() as process:
        pause(story)
        send(process, signal.SIGSTOP)
        time.sleep(story.rng.uniform(0.1, 1.5))
        send(process, signal.SIGCONT)
        story.ended(process, (0,))


def _two_at_once(story: Story) -> None:
    with story.start() as one:
        pause(story)
        with story.start() as other:
            ends = [story.ended(process, (0, 1), "is in use: process") for process in (one, other)]
    if sorted(end.returncode for end in ends) != [0, 1]:
        raise Missed  # one after the other


def _lock_removed(story: Story) -> None:
    words = "is in use: process|was removed while it was in use|could not be written|was removed meanwhile"
    with story.start() as one:
        _at_work(story, one)
        (story.run / "lock").unlink(missing_ok=True)
        with story.start() as other:
            for process in (one, other):
                story.ended(process, (0, 1), words)


def _at_work(story: Story, process: Process) -> None:
    """Wait for a moment in which it trains. Raises Missed where there is none."""
    lock, ends = story.run / "lock", time.monotonic() + story.scene.bound
    number = f'"pid": {process._process.pid},'
    while time.monotonic() < ends and process.exitcode is None:
        if lock.exists() and number in lock.read_text("utf-8"):
            time.sleep(story.rng.uniform(0.0, story.scene.seconds / 2))
            break
        time.sleep(0.005)
    if process.exitcode is not None:
        raise Missed


def _moved(story: Story) -> None:
    """Between two starts: it is the same run elsewhere."""
    place = story.run.with_name("elsewhere")
    if not story.run.exists():
        raise Missed
    story.run.rename(place)
    story.run = place
    _at_any_moment(story)


def _moved_meanwhile(story: Story) -> None:
    """It ends with a word, and leaves nothing at the place where the run was."""
    with story.start() as process:
        _at_work(story, process)
        place = story.run.with_name("meanwhile")
        story.run.rename(place)
        story.ended(process, (0, 1))
    if (story.run / "checkpoints").exists():
        story.found(
            "differs", f"trained on where the run was: {sorted(one.name for one in story.run.iterdir())}"
        )
    shutil.rmtree(story.run, ignore_errors=True)
    story.run = place


def _wrong_clock(story: Story) -> None:
    """A day behind, what is on disk a day ahead; killed, too."""
    ahead = time.time() + 86400
    for file in story.run.rglob("*"):
        os.utime(file, (ahead, ahead))
    with story.start("clock", -86400.0) as process:
        pause(story)
        send(process, signal.SIGKILL)
        story.ended(process, (KILLED,))


def _image_changed(story: Story) -> None:
    """Refused until the image is as it was."""
    if not story.run.exists():
        story.from_half()
    data = story.run.parent / "changed.npz"
    with np.load(story.scene.data) as arrays:
        changed = {name: array.copy() for name, array in arrays.items()}
    row = story.rng.randrange(len(changed["images"]))
    changed["images"].reshape(len(changed["images"]), -1)[row, story.rng.randrange(16)] ^= 1
    np.savez(data, **changed)
    with story.start(data=data) as process:
        story.ended(process, (1,), "data")


_at_any_moment = _signalled(signal.SIGKILL, (0, KILLED))

CHAINED: dict[str, Hit] = {
    "SIGKILL at any moment": _at_any_moment,
    "SIGKILL between two writes": _at("write", lambda story: story.rng.randrange(120)),
    "SIGKILL in a save": _at("save", lambda story: story.rng.uniform(0.0, 3.0)),
    "SIGKILL in a compile": _at("compile", lambda story: story.rng.uniform(0.0, 12.0)),
    "SIGKILL in a restore": _at("restore", lambda story: story.rng.uniform(0.0, 0.1)),
    "SIGABRT": _signalled(signal.SIGABRT, (0, -signal.SIGABRT)),
    "SIGTERM": _signalled(signal.SIGTERM, (0, AGAIN, -signal.SIGTERM)),
    "SIGHUP": _signalled(signal.SIGHUP, (0, AGAIN, -signal.SIGHUP)),
    "SIGINT": _signalled(signal.SIGINT, (0, AGAIN, 130, -signal.SIGINT)),
    "a clock set back": _wrong_clock,
    "a moved run": _moved,
}
ALONE: dict[str, Hit] = {
    "SIGSTOP and SIGCONT": _stopped,
    "two processes at once": _two_at_once,
    "a removed lock": _lock_removed,
    "moved while it trains": _moved_meanwhile,
    "a changed image": _image_changed,
}
