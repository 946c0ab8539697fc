"""Retention, damage, kills and full disks, on a few small arrays."""

import errno
import json
from types import SimpleNamespace

import numpy as np
import pytest

from jaxlab.core import tree
from jaxlab.core.types import UserError
from jaxlab.training import checkpoint as module
from jaxlab.training.checkpoint import Checkpoints, newest_good, saved


def arrays(step: int) -> dict:
    kernel = np.full((2, 3), step, np.float32)
    return {
        "step": {"value": np.asarray(step, np.int32)},
        "params": {"a.kernel": kernel},
        "stats": {},
        "ema": {},
    }


def meta(step: int, best: int | None = None) -> dict:
    progress = {"best": None if best is None else {"step": best}, "stale": 0, "plateau": 0}
    return {"step": step, "epoch": 1, "progress": progress}


def save(folder, *steps: int, best: int | None = None, keep_every: int | None = None) -> None:
    writer = Checkpoints(folder, keep_every)
    for step in steps:
        writer.save(arrays(step), meta(step, best))
    writer.close()


def on_disk(folder) -> list[int]:
    return [checkpoint.step for checkpoint in saved(folder)]


def test_what_is_saved_comes_back(tmp_path):
    save(tmp_path, 7)
    (checkpoint,) = saved(tmp_path)
    assert checkpoint.fault() is None
    assert checkpoint.meta()["step"] == 7
    assert checkpoint.meta()["digest"] == tree.digest(arrays(7)["params"])
    assert checkpoint.meta()["leaves"]["params"] == {"a.kernel": [[2, 3], "float32"]}
    for restored in (checkpoint.arrays(), checkpoint.arrays(("params", "stats", "ema"))):
        np.testing.assert_array_equal(restored["params"]["a.kernel"], arrays(7)["params"]["a.kernel"])
        assert restored["params"]["a.kernel"].dtype == np.float32
        assert restored["stats"] == restored["ema"] == {}
    assert checkpoint.arrays()["step"]["value"] == 7


def test_last_the_one_before_best_and_every_nth_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3, best=None)
    assert on_disk(tmp_path) == [2, 3]
    save(tmp_path, 4, best=4)
    assert on_disk(tmp_path) == [3, 4]  # where the last is also the best, one remains if it is damaged
    save(tmp_path, 6, 7, best=4)
    assert on_disk(tmp_path) == [4, 6, 7]
    save(tmp_path, 10, 11, 15, 16, 17, best=4, keep_every=5)
    assert on_disk(tmp_path) == [4, 10, 15, 16, 17]
    save(tmp_path, 18, best=18, keep_every=5)
    assert on_disk(tmp_path) == [10, 15, 17, 18]


def damage(checkpoint, how: str) -> None:
    data = max(
        (p for p in (checkpoint.path / "state").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    manifest = checkpoint.path / "manifest.json"
    if how == "bit":
        raw = bytearray(data.read_bytes())
        raw[len(raw) // 2] ^= 1
        data.write_bytes(raw)
    elif how == "truncated":
        data.write_bytes(data.read_bytes()[:-1])
    elif how == "missing":
        data.unlink()
    elif how == "meta":
        (checkpoint.path / "meta.json").write_text("{")
    elif how == "manifest":
        manifest.write_text(manifest.read_text()[:-20])
    else:
        manifest.unlink()


@pytest.mark.parametrize("how", ["bit", "truncated", "missing", "meta", "manifest", "no manifest"])
def test_the_one_before_a_damaged_one_is_used_and_said_so(tmp_path, how):
    save(tmp_path, 3, 6, keep_every=3)
    damage(saved(tmp_path)[-1], how)
    told = []
    assert newest_good(tmp_path, told.append).step == 3
    assert len(told) == 1
    assert "checkpoint 6 is damaged" in told[0]
    assert str(tmp_path / "6") in told[0]


def test_with_all_damaged_there_is_none(tmp_path):
    save(tmp_path, 3, 6, keep_every=3)
    for checkpoint in saved(tmp_path):
        damage(checkpoint, "bit")
    told = []
    assert newest_good(tmp_path, told.append) is None
    assert len(told) == 2
    assert newest_good(tmp_path / "nowhere", told.append) is None


def test_a_damaged_one_is_written_anew(tmp_path):
    save(tmp_path, 3, 6, keep_every=3)
    damage(saved(tmp_path)[-1], "bit")
    save(tmp_path, 6, keep_every=3)
    assert [checkpoint.fault() for checkpoint in saved(tmp_path)] == [None, None]


def test_half_a_folder_is_no_checkpoint_and_is_cleared(tmp_path):
    save(tmp_path, 3)
    (tmp_path / "6.partial" / "state").mkdir(parents=True)
    assert newest_good(tmp_path, pytest.fail).step == 3
    Checkpoints(tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3"]


@pytest.mark.parametrize("place", ["no room", "first file", "last file"])
def test_a_full_disk_leaves_the_last_good_one(tmp_path, monkeypatch, place):
    save(tmp_path, 3)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = Checkpoints(tmp_path)
    if place == "no room":
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=20))
    elif place == "first file":
        monkeypatch.setattr("orbax.checkpoint.Checkpointer.save", full)
    else:
        monkeypatch.setattr(module, "_write_json", full)
    writer.save(arrays(6), meta(6))
    with pytest.raises(UserError) as refused:
        writer.close()
    assert f"{tmp_path / '6'} could not be written (No space left on device)" in str(refused.value)
    assert "the last good one is step 3" in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3"]
    assert saved(tmp_path)[0].fault() is None


def test_a_failed_write_is_raised_by_the_next_save_too(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    writer = Checkpoints(tmp_path)
    monkeypatch.setattr(module, "_write_json", full)
    writer.save(arrays(3), meta(3))
    with pytest.raises(UserError, match=r"Disk quota exceeded.*there is none before it"):
        writer.save(arrays(6), meta(6))
    writer.close()


def test_manifest_covers_every_file(tmp_path):
    save(tmp_path, 3)
    folder = tmp_path / "3"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert json.loads((folder / "manifest.json").read_text())["files"].keys() == files - {"manifest.json"}
