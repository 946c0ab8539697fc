"""Why checkpoints are kept by `Checkpoints` and not by Orbax's CheckpointManager: what we promise, asked of both.

The manager's failures are expected, strictly: the day it passes one, this says so. A preservation policy, a temporary
path and removals of our own, and deleting before saving again, would mend all but the flipped bit, for which the
manifest is there; but with as much code as `Checkpoints` has, and by an option that is deprecated and that Orbax's
next interface (v1) does not have.
"""

import asyncio
import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest
from orbax.checkpoint.checkpoint_managers import preservation_policy as policies

from jaxlab.core.types import UserError
from jaxlab.training.checkpoint import Checkpoints, saved
from jaxlab.training.plan import Progress


def arrays(step: int) -> dict:
    kernel = np.random.default_rng(step).normal(size=(32, 32)).astype(np.float32)
    return {"params": {"a.kernel": kernel}}


class Ours:
    """Our writer, told each validation's score."""

    def __init__(self, folder: Path):
        self.folder, self.writer, self.progress = folder, Checkpoints(folder), Progress()

    def save(self, step: int, score: float = 0.0) -> None:
        self.progress.update("pearson", {"pearson": score}, step, 1)
        self.writer.save(arrays(step), {"step": step, "epoch": 1, "progress": self.progress.to_json()})
        self.writer.wait()

    def close(self) -> None:
        self.writer.close()

    @staticmethod
    def read(folder: Path) -> dict:
        checkpoint = saved(folder)[-1]
        if fault := checkpoint.fault():
            raise UserError(fault)
        return checkpoint.arrays()


class Managed:
    """Orbax's manager, with the policies that come nearest: the last two and the best."""

    def __init__(self, folder: Path, **options):
        def score(metrics):
            return metrics["pearson"]

        policy = policies.AnyPreservationPolicy(
            [policies.LatestN(2), policies.BestN(get_metric_fn=score, n=1)]
        )
        kept = ocp.CheckpointManagerOptions(preservation_policy=policy, best_fn=score, **options)
        self.manager = ocp.CheckpointManager(folder, options=kept)

    def save(self, step: int, score: float = 0.0) -> None:
        state = ocp.args.Composite(state=ocp.args.PyTreeSave(arrays(step)))
        self.manager.save(step, force=True, args=state, metrics={"pearson": score})
        self.manager.wait_until_finished()

    def close(self) -> None:
        self.manager.close()

    @staticmethod
    def read(folder: Path) -> dict:
        newest = max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda p: int(p.name))
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            return checkpointer.restore(newest / "state")


def fails(why: str):
    return pytest.mark.xfail(strict=True, raises=AssertionError, reason=f"Orbax: {why}")


def both(why: str):
    kinds = [Ours, pytest.param(Managed, marks=fails(why))]
    return pytest.mark.parametrize("kind", kinds, ids=["ours", "orbax"])


def written(kind, folder: Path, *steps: int, scores=None) -> None:
    writer = kind(folder)
    for step, score in zip(steps, scores or [0.0] * len(steps), strict=True):
        writer.save(step, score)
    writer.close()


def on_disk(folder: Path) -> set[int]:
    return {int(path.name) for path in folder.iterdir() if path.name.isdigit()}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def flip_a_bit(state: Path) -> None:
    file = max((path for path in state.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


@both("a flipped bit is restored as if nothing were")
def test_a_flipped_bit_does_not_come_back_as_parameters(kind, tmp_path):
    written(kind, tmp_path, 3)
    flip_a_bit(tmp_path / "3" / "state")
    try:
        kernel = kind.read(tmp_path)["params"]["a.kernel"]
    except (UserError, ValueError, OSError):
        return
    np.testing.assert_array_equal(kernel, arrays(3)["params"]["a.kernel"])


@both("LatestN counts the damaged one of a later step, and what the run went on from is removed")
def test_going_on_from_before_a_damaged_one_keeps_what_it_went_on_from(kind, tmp_path):
    written(kind, tmp_path, 3, 6, 9, scores=[0.5, 0.1, 0.2])
    written(kind, tmp_path, 7, scores=[0.3])  # 9 turned out to be damaged
    assert on_disk(tmp_path) >= {6, 7}


@both("a step that is there, damaged or not, is refused")
def test_a_damaged_one_is_written_anew(kind, tmp_path):
    written(kind, tmp_path, 3)
    flip_a_bit(tmp_path / "3" / "state")
    try:
        written(kind, tmp_path, 3)
    except ValueError as error:
        raise AssertionError from error
    np.testing.assert_array_equal(kind.read(tmp_path)["params"]["a.kernel"], arrays(3)["params"]["a.kernel"])


@pytest.mark.parametrize("scores", [(0.5, 0.5, 0.2, 0.1), (0.5, np.nan, 0.2, 0.1)], ids=["equal", "NaN"])
@both("BestN keeps the later of equals, and sorts NaN as it comes")
def test_the_best_is_the_first_of_equals_and_never_nan(kind, scores, tmp_path):
    written(kind, tmp_path, 1, 2, 3, 4, scores=scores)
    assert on_disk(tmp_path) == {1, 3, 4}


@both("files are removed one by one under the checkpoint's name")
def test_a_kill_in_mid_removal_leaves_nothing_that_looks_like_a_checkpoint(kind, tmp_path, monkeypatch):
    written(kind, tmp_path, 3, scores=[0.0])
    written(kind, tmp_path, 6, scores=[0.5])
    whole, unlink, removed = files(tmp_path / "3"), os.unlink, []

    def stop_at_the_second(path, *, dir_fd=None):
        if dir_fd is not None:  # as shutil.rmtree calls it
            removed.append(path)
            if len(removed) > 1:
                raise OSError("killed")
        unlink(path, dir_fd=dir_fd)

    writer = kind(tmp_path)
    monkeypatch.setattr(os, "unlink", stop_at_the_second)
    with contextlib.suppress(OSError):
        writer.save(9, 0.6)
    monkeypatch.undo()
    writer.close()
    assert len(removed) > 1
    assert not (tmp_path / "3").exists() or files(tmp_path / "3") == whole


def sums(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files(folder)}


@fails("after what a temporary path's own `finalize` can write, its metadata change and a file is added")
def test_a_manifest_written_before_the_name_is_true_of_every_file(tmp_path):
    class Sealed(ocp.path.atomicity.AtomicRenameTemporaryPath):
        async def finalize(self):
            if self.get_final().name == "3":  # not its items
                text = json.dumps(sums(Path(self.get())))
                await asyncio.to_thread((tmp_path / "manifest.json").write_text, text)
            await super().finalize()

    writer = Managed(tmp_path, temporary_path_class=Sealed)
    writer.save(3)
    writer.close()
    assert json.loads((tmp_path / "manifest.json").read_text()) == sums(tmp_path / "3")
