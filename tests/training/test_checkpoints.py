"""Retention, damage, kills and full disks, on a few small arrays."""

import errno
import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxlab.core import tree
from jaxlab.core.types import UserError
from jaxlab.training import checkpoint as module
from jaxlab.training.checkpoint import Checkpoints, newest_good, saved


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nothing is late here."""
    monkeypatch.setattr("jaxlab.training.arrays._LATE", 0.0)


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


def test_a_run_that_is_moved_as_it_saves_stays_where_it_is_put(tmp_path, monkeypatch):
    run, there = tmp_path / "run", tmp_path / "there"
    run.mkdir()
    writer, write = Checkpoints(run / "checkpoints"), ocp.Checkpointer.save

    def meanwhile(*given, **more):
        run.rename(there)
        return write(*given, **more)

    monkeypatch.setattr("orbax.checkpoint.Checkpointer.save", meanwhile)
    writer.save(arrays(3), meta(3))
    with pytest.raises(
        UserError, match=f"3 could not be written .*{run / 'checkpoints'} was removed meanwhile"
    ):
        writer.close()
    assert list(tmp_path.iterdir()) == [there]  # Orbax alone makes the folders above its own anew


def test_a_failed_write_is_raised_by_the_next_save_too(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    writer = Checkpoints(tmp_path)
    monkeypatch.setattr(module, "_write_json", full)
    writer.save(arrays(3), meta(3))
    with pytest.raises(UserError, match=r"Disk quota exceeded.*there is none before it"):
        writer.save(arrays(6), meta(6))
    writer.close()


# The kind: what stands in the absolute path of a run. Each is a legal name of a folder; for Orbax some of them are a
# pattern, a URL, or no text.
NAMES = [
    *("[1]", "a]b", "run[!a-c]", "*?", "{a,b}", "a b#c%20d", "gs:", "a'b\"c\\d", "a\nb", "späť", "\udcff"),
    "$HOME;&|~",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_legal_path_holds_checkpoints(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    for folder in (tmp_path / name / "checkpoints", Path("relative")):
        save(folder, 3, 6)
        assert [checkpoint.fault() for checkpoint in saved(folder)] == [None, None]
        restored = saved(folder)[-1].arrays(("params",))
        np.testing.assert_array_equal(restored["params"]["a.kernel"], np.full((2, 3), 6, np.float32))
        assert sorted(path.name for path in folder.iterdir()) == ["3", "6"]


@pytest.mark.parametrize("size", [1 << 28, 0], ids=["at once", "field by field"])
def test_what_does_not_read_back_gets_no_name(tmp_path, monkeypatch, size):
    restore = ocp.Checkpointer.restore

    def forgetful(self, *given, **named):
        found = restore(self, *given, **named)
        if "params" in found:
            found["params"]["a.kernel"] = np.nextafter(found["params"]["a.kernel"], np.float32(9))
        return found

    save(tmp_path, 3)
    monkeypatch.setattr(ocp.Checkpointer, "restore", forgetful)
    monkeypatch.setattr("jaxlab.training.arrays._LARGE", size)
    with pytest.raises(UserError, match=r"6 could not be written \(params.a.kernel does not read back as"):
        save(tmp_path, 6)
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


# The kind: what lies among checkpoints and is none.
STRANGERS = {
    "a plain file": lambda path: path.write_text("mine"),
    "a loop of links": lambda path: path.symlink_to(path),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "an empty folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("what", STRANGERS)
@pytest.mark.parametrize("name", ["6", "9", "9.partial", "²", "007"])
def test_what_is_no_checkpoint_is_passed_over_and_gives_way(tmp_path, what, name):
    save(tmp_path, 3)
    STRANGERS[what](tmp_path / name)
    assert newest_good(tmp_path, lambda line: None).step == 3
    save(tmp_path, 6)
    assert newest_good(tmp_path, lambda line: None).step == 6
    assert saved(tmp_path)[0].fault() is None


def test_a_link_to_a_checkpoint_on_another_disk_gives_way_and_its_target_stays(tmp_path):
    save(tmp_path / "other", 6)
    save(tmp_path / "run", 3)
    (tmp_path / "run/6").symlink_to(tmp_path / "other/6")
    assert newest_good(tmp_path / "run", pytest.fail).step == 6
    save(tmp_path / "run", 6)
    assert not (tmp_path / "run/6").is_symlink()
    assert saved(tmp_path / "other")[0].fault() is None


def test_an_old_one_that_cannot_be_removed_is_told_and_ends_nothing(tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    told = []
    writer = Checkpoints(tmp_path, warn=told.append)
    monkeypatch.setattr("shutil.rmtree", forbidden)
    for step in (3, 6, 9, 12):
        writer.save(arrays(step), meta(step))
    writer.close()
    assert newest_good(tmp_path, pytest.fail).step == 12
    assert told == [
        f"warning: {tmp_path / str(step)} is needed no more, but could not be removed (Permission denied)"
        for step in (3, 6)
    ]


def test_a_folder_that_was_removed_is_said_and_not_made_anew(tmp_path):
    (tmp_path / "run").mkdir()
    writer = Checkpoints(tmp_path / "run/checkpoints")
    shutil.rmtree(tmp_path / "run")
    writer.save(arrays(3), meta(3))
    with pytest.raises(UserError, match="checkpoints was removed meanwhile"):
        writer.close()
    assert list(tmp_path.iterdir()) == []


# The kind: meta.json that is JSON, and as its manifest says, but not a checkpoint's.
METAS = {
    "[]": "expected a JSON object, found []",
    '{"step": "3"}': "step: it should be a valid integer, found '3'",
    '{"leaves": {"params": {"a.kernel": [[2, 3]]}}}': "leaves.params.a.kernel: ",
    "[" * 5000: "nests too deeply",
    '{"step": 1' + "0" * 5000: "is not whole JSON",
    '{"step": 1, "epoch": 1, "progress": 3}': "progress: it should be",
    '{"step": 1, "epoch": 1, "progress": {"best": {"step": null}}}': "progress.best.step: it should be",
    "\udcff": "is not whole JSON",
}


@pytest.mark.parametrize("text", METAS)
def test_a_meta_of_another_shape_is_damage(tmp_path, text):
    save(tmp_path, 3)
    save(tmp_path, 6)
    file = tmp_path / "6/meta.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    manifest = json.loads((tmp_path / "6/manifest.json").read_text())
    manifest["files"]["meta.json"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (tmp_path / "6/manifest.json").write_text(json.dumps(manifest))
    told = []
    assert newest_good(tmp_path, told.append).step == 3
    assert str(file) in told[0]
    assert METAS[text] in told[0]


@pytest.mark.parametrize("text", ["[]", "{}", '{"files": []}', '{"files": {"meta.json": 3}}', "[" * 5000])
def test_a_manifest_of_another_shape_is_damage(tmp_path, text):
    save(tmp_path, 3)
    (tmp_path / "3/manifest.json").write_text(text)
    assert str(tmp_path / "3/manifest.json") in saved(tmp_path)[0].fault()


def test_manifest_covers_every_file(tmp_path):
    save(tmp_path, 3)
    folder = tmp_path / "3"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert json.loads((folder / "manifest.json").read_text())["files"].keys() == files - {"manifest.json"}
