"""The fault campaign, two hits of it: a run that is hit ends as one that nothing disturbed; and what it would find."""

import itertools
import json
import os
import random
import shutil
import sys
from pathlib import Path

import processes
import pytest
import tiny_config
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from fault_campaign import stories, table
from fault_disks import DISKS, FILES, flip
from fault_kinds import ALONE, CHAINED
from fault_scene import Scene, Story

from jaxlab.cli.main import main
from jaxlab.training.checkpoint import saved

pytestmark = pytest.mark.slow


@pytest.fixture
def story(trained, arrays_npz, tmp_path):
    command, cache = ["train", str(tiny_config.__file__)], Path(os.environ["JAXLAB_CACHE"])
    scene = Scene(tmp_path, command, arrays_npz, cache, trained, tmp_path / "none", seconds=5.0)
    (tmp_path / "story").mkdir()
    return Story(scene, tmp_path / "story/run", random.Random(2), "a kill and a flipped bit")


class Here:
    """The command in this process, where the programs of other tests are compiled already."""

    def __init__(self, story):
        self._arguments = [*story.scene.command, "--run", story.run, "--set", f"data.root={story.scene.data}"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ended(self, seconds):
        done = CliRunner().invoke(main, [str(one) for one in self._arguments])
        return processes.Ended(done.exit_code, done.stdout, done.stderr)


def test_killed_in_a_save_and_a_bit_flipped_in_the_last_one(story):
    """12 steps, checkpoints at 3, 4, 6, 8, 9 and 12: the third is not there, and of the second a bit is another."""
    story.look()
    story.rng.uniform = lambda *_: 2.01
    CHAINED["SIGKILL in a save"](story)
    assert [one.step for one in saved(story.run / "checkpoints")] == [3, 4]
    data = max((story.run / "checkpoints/4/state").rglob("*"), key=lambda file: file.stat().st_size)
    flip(data, random.Random(0))
    story.damaged.add(4)
    story.start = lambda: Here(story)
    story.finish()
    assert story.findings == []
    assert "checkpoint 4 is damaged" in story.log[-1]
    assert "going on from step 3" in story.log[-1]


# The kind: what a fault that is not mended would leave.
LEFT = {
    "no whole checkpoint 12": lambda run: shutil.rmtree(run / "checkpoints/12"),
    "no record of": lambda run: (run / "metrics.jsonl").write_text(
        "".join((run / "metrics.jsonl").read_text().splitlines(keepends=True)[:-1])
    ),
    "run.json differs": lambda run: (run / "run.json").write_text(
        json.dumps(json.loads((run / "run.json").read_text()) | {"weights": {"a": "b"}})
    ),
    "checkpoint 9": lambda run: (run / "checkpoints/9/meta.json").write_text("{}"),
}


@pytest.mark.parametrize("words", LEFT)
def test_what_differs_is_found(story, words):
    shutil.copytree(story.scene.whole, story.run)
    LEFT[words](story.run)
    story.compare()
    assert [one.what for one in story.findings] == ["differs"]
    assert words in story.findings[0].detail
    done = {"hits": {"SIGTERM": 3}, "findings": [], "skipped": {"a full disk": "no mount"}, "seconds": 60}
    assert "| SIGTERM | 3 | 0 | 0 | 0 | 0 | 0 |" in table(done)


def test_work_that_is_lost_is_found(story):
    story.before = {3, 6}
    story._check_nothing_lost("run: going on from step 6")
    assert not story.findings
    story._check_nothing_lost("run: going on from step 3")
    assert [one.what for one in story.findings] == ["lost"]


def test_every_kind_has_its_turn():
    decks = {"chain": CHAINED, "alone": ALONE, "file": FILES, "disk": DISKS}
    met = {kind for _, kinds in itertools.islice(stories(decks, 0), 100) for kind in kinds}
    assert met == {kind for deck in decks.values() for kind in deck}
