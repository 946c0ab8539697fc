"""Run directories in a store, with fsspec's memory as one, and files on disk as what two machines have of them."""

import errno
import json
import shutil
import warnings
from pathlib import Path

import fsspec
import pytest

from jaxlab.core import holder
from jaxlab.core.lock import InUse
from jaxlab.core.remote import lease, mirror, paths
from jaxlab.core.remote.mirror import Mirror
from jaxlab.core.remote.names import is_private
from jaxlab.core.remote.store import Store, url_of
from jaxlab.core.types import FileWarning, UserError
from submit.files import urls

pytestmark = pytest.mark.filterwarnings("ignore::jaxlab.core.types.FileWarning")


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A run's, where nothing is yet; a cache of its own, and no waiting."""
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mirror, "_MIRRORS", {})
    for name, seconds in (("BEATS", 0.01), ("STALE", 0.1)):
        monkeypatch.setattr(holder, name, seconds)
    monkeypatch.setattr(lease, "SETTLED", 0.0)
    taken = []

    def taking(store):
        taken.append(lease.Lease(store))
        return taken[-1]

    monkeypatch.setattr(mirror, "Lease", taking)
    memory = fsspec.filesystem("memory")
    yield "memory://bucket/runs/mine"
    for one in taken:
        one.release()  # else it would live on in other tests
    if memory.exists("/bucket"):
        memory.rm("/bucket", recursive=True)


def there(url: str) -> dict[str, bytes]:
    """What the store has, by fsspec alone."""
    memory = fsspec.filesystem("memory")
    root = "/" + url.partition("://")[2]
    return {path[len(root) + 1 :]: memory.cat_file(path) for path in memory.find(root)}


def saves(run: Path, step: int, text: str = "arrays") -> None:
    """A checkpoint, and a record of it."""
    folder = run / f"checkpoints/{step}/state"
    folder.mkdir(parents=True)
    (folder / "data").write_text(f"{text} {step}")
    (folder.parent / "meta.json").write_text("{}")
    (folder.parent / "manifest.json").write_text("{}")
    (run / "config.json").write_text('{"experiment": {}}')
    with (run / "metrics.jsonl").open("a") as file:
        file.write(f"{step}\n")


def names(run: Path) -> set[str]:
    return {file.relative_to(run).as_posix() for file in run.rglob("*") if file.is_file()}


CHECKPOINT = {"state/data", "meta.json", "manifest.json"}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("s3://bucket/run", "s3://bucket/run"),
        (Path("s3://bucket/run/"), "s3://bucket/run"),
        ("gs://b/runs/a", "gs://b/runs/a"),
        ("runs/mine", None),
        ("/runs/s3:/x", None),
        ("C:/runs/mine", None),
        ("s3:", None),
        (None, None),
    ],
)
def test_a_url_is_told_from_a_path(given, url):
    assert url_of(given) == url
    assert urls.url_of(given) == url, "submit's, of where files may be written"


def test_what_is_saved_is_sent_and_another_machine_goes_on_with_it(url, tmp_path):
    one, other = (Mirror(url, tmp_path / name / "run") for name in ("one", "other"))
    one.begin()
    saves(one.local, 3)
    (one.local / "lock").write_text("this machine's")
    (one.local / "checkpoints/6.partial").mkdir()
    (one.local / "checkpoints/6.partial/data").write_text("half")
    one.saved()
    record = json.loads(there(url).pop("lock"))
    assert {name: record[name] for name in ("pid", "host")} == {
        n: holder.record()[n] for n in ("pid", "host")
    }
    sent = {f"checkpoints/3/{name}" for name in CHECKPOINT} | {"config.json", "metrics.jsonl"}
    assert there(url).keys() == sent | {"lock", "trained-by"}
    one.end()
    other.begin()
    assert names(other.local) == sent
    assert (other.local / "checkpoints/3/state/data").read_text() == "arrays 3"
    saves(other.local, 6)
    (other.local / "checkpoints/3/manifest.json").unlink()
    for file in ("meta.json", "state/data"):
        (other.local / "checkpoints/3" / file).unlink()
    other.end()
    assert there(url).keys() == {name.replace("/3/", "/6/") for name in sent} | {"trained-by"}
    assert there(url)["metrics.jsonl"] == b"3\n6\n"


def test_what_could_not_be_sent_is_gone_on_from_unless_another_did(url, tmp_path):
    one, other = (Mirror(url, tmp_path / name / "run") for name in ("one", "other"))
    one.begin()
    saves(one.local, 3)
    one.end()
    one.begin()
    saves(one.local, 6)
    one._lease.release()  # and the process is killed
    again = Mirror(url, one.local)
    again.begin()
    assert (again.local / "checkpoints/6/state/data").exists(), "nobody else has trained: it is the newest"
    again._lease.release()
    other.begin()
    saves(other.local, 5, "other's")
    other.end()
    again.begin()
    assert {path.name for path in (again.local / "checkpoints").iterdir()} == {"3", "5"}
    again.end()
    assert {name.split("/")[1] for name in there(url) if name.startswith("checkpoints")} == {"3", "5"}


def test_a_checkpoint_is_there_once_its_manifest_is(url, tmp_path, monkeypatch):
    """Whatever write the process dies at: the order of writes is what counts."""
    one = Mirror(url, tmp_path / "one/run")
    one.begin()
    saves(one.local, 3)
    order: list[str] = []
    send = Store.send
    monkeypatch.setattr(Store, "send", lambda self, file, name: (order.append(name), send(self, file, name)))
    one.saved()
    assert order.index("checkpoints/3/manifest.json") == len(CHECKPOINT) - 1
    assert order.index("metrics.jsonl") > order.index("checkpoints/3/manifest.json")
    for died_at in range(len(CHECKPOINT)):
        step, count = 10 + died_at, [0]
        saves(one.local, step)

        def dies(self, file, name, count=count, died_at=died_at):
            if count[0] == died_at:
                raise UserError("killed")
            count[0] += 1
            send(self, file, name)

        monkeypatch.setattr(Store, "send", dies)
        with pytest.raises(UserError, match="killed"):
            one.send()
        reader = Mirror(url, tmp_path / f"reader{died_at}/run")
        assert not (reader.fetch() / f"checkpoints/{step}").exists()
        assert (reader.local / "checkpoints/3/manifest.json").exists()
        monkeypatch.setattr(Store, "send", send)
        one.send()
        assert (reader.fetch() / f"checkpoints/{step}/manifest.json").exists()
    one.end()


def test_a_cleared_cache_takes_nothing_from_the_store(url, tmp_path):
    one = Mirror(url, tmp_path / "one/run")
    one.begin()
    saves(one.local, 3)
    one.end()
    before = there(url)
    shutil.rmtree(one.local)
    again = Mirror(url, one.local)
    again.begin()
    again.end()
    after = there(url)
    assert {name: after[name] for name in before.keys() - {"trained-by"}} == {
        name: before[name] for name in before.keys() - {"trained-by"}
    }


def test_two_at_once_are_refused_and_one_that_lost_it_ends(url, tmp_path, monkeypatch):
    one, other = (Mirror(url, tmp_path / name / "run") for name in ("one", "other"))
    one.begin()
    with pytest.raises(InUse, match=rf"{url} is in use: process \d+ on .* has been at it since"):
        other.begin()
    Store(url).remove("lock")
    one.saved()
    assert "lock" in there(url), "removed, and nobody else has it: it is made again"
    one._lease._over.set()
    Store(url).write("lock", json.dumps({"pid": 4, "host": "spot-2", "token": "other"}).encode())
    saves(one.local, 3)
    with pytest.raises(InUse, match="another process has taken it meanwhile, process 4 on spot-2"):
        one.saved()
    assert "checkpoints/3/manifest.json" not in there(url)


def test_a_lease_that_a_dead_machine_left_is_taken_over_with_a_word(url, tmp_path):
    left = {
        "pid": 4,
        "host": "spot-2",
        "since": "then",
        "command": "jaxlab train a.py",
        "token": "x",
        "beat": 7,
    }
    Store(url).write("lock", json.dumps(left).encode())
    with warnings.catch_warnings(record=True, action="always") as said:
        Mirror(url, tmp_path / "one/run").begin()
    words = [str(one.message) for one in said if one.category is FileWarning]
    assert (
        words[-1]
        == f"{url} was left by process 4 on spot-2 (jaxlab train a.py), which is no more; taken over"
    )


def test_a_store_that_refuses_does_not_end_training_and_is_told_at_the_end(url, tmp_path, monkeypatch):
    one = Mirror(url, tmp_path / "one/run")
    one.begin()
    saves(one.local, 3)

    def refuses(*_):
        raise UserError("the store cannot be had (ConnectionError: no route)")

    send = Store.send
    monkeypatch.setattr(Store, "send", refuses)
    with pytest.warns(FileWarning, match="Training goes on: what it saves is sent as soon as it can be"):
        one.saved()
    with warnings.catch_warnings(action="error", category=FileWarning):
        one.saved()  # once
    with pytest.raises(UserError, match=r"no route\)\. All of it is in .*one/run: the same command"):
        one.end()
    monkeypatch.setattr(Store, "send", send)
    one.begin()
    one.end()
    assert "checkpoints/3/manifest.json" in there(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s4://b/run", r"expected a store such as s3://bucket/run or gs://bucket/run, found s4"),
        ("memory://bucket/none", "expected a run directory, found nothing there"),
    ],
)
def test_what_is_no_run_is_said(url, words):
    with pytest.raises(UserError, match=words):
        paths.fetched(url)


def test_a_missing_package_is_said_with_what_brings_it(monkeypatch):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(UserError, match=r'Install s3fs to access S3; pip install "jaxlab\[store\]"'):
        Store("s3://b/run").signs()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            FileNotFoundError("The specified bucket does not exist"),
            "expected a bucket that exists, found none",
        ),
        (PermissionError("Forbidden"), "the store refuses .Forbidden.: expected credentials"),
        (
            type("NoCredentialsError", (Exception,), {})("Unable to locate credentials"),
            "expected credentials",
        ),
        (ConnectionError("no route"), r"the store cannot be had \(ConnectionError: no route"),
    ],
)
def test_what_a_store_refuses_is_a_sentence(url, monkeypatch, error, words):
    def refuses(*_, **__):
        raise error

    store = Store(url)
    monkeypatch.setattr(store._at[0], "find", refuses)
    with pytest.raises(UserError, match=words):
        store.signs()


def test_what_readers_keep_is_sent_and_records_are_not_taken_back(url, tmp_path):
    one, reader = (Mirror(url, tmp_path / name / "run") for name in ("one", "reader"))
    one.begin()
    saves(one.local, 3)
    one.saved()
    reader.fetch()
    saves(one.local, 6)
    one.end()
    (reader.local / "predictions").mkdir()
    (reader.local / "predictions/test.npz").write_text("values")
    (reader.local / "metrics.jsonl").write_text("older\n")
    shutil.rmtree(reader.local / "checkpoints")
    reader.send()
    assert there(url)["predictions/test.npz"] == b"values"
    assert there(url)["metrics.jsonl"] == b"3\n6\n"
    assert {"checkpoints/3/manifest.json", "checkpoints/6/manifest.json"} <= there(url).keys()
    assert (reader.fetch() / "metrics.jsonl").read_text() == "3\n6\n"
    assert (reader.local / "predictions/test.npz").exists()


def test_records_are_added_to_the_newest_ones_by_one_at_a_time(url, tmp_path):
    one = mirror.mirror_at(url)
    one.begin()
    saves(one.local, 3)
    one.end()
    other = Mirror(url, tmp_path / "other/run")
    other.begin()
    saves(other.local, 6)
    with pytest.raises(InUse), paths.alone_at_records(one.local):
        pytest.fail("while it is trained")
    other.end()
    with paths.alone_at_records(one.local), (one.local / "metrics.jsonl").open("a") as file:
        file.write("added\n")
    assert there(url)["metrics.jsonl"] == b"3\n6\nadded\n"
    assert "lock" not in there(url)


def test_the_error_that_ended_training_is_the_one_that_is_told(url, monkeypatch):
    def refuses(*_):
        raise UserError("no route")

    def fails():
        with paths.trained(url) as local:
            saves(local, 3)
            monkeypatch.setattr(Store, "send", refuses)
            raise KeyError("mine")

    with pytest.warns(FileWarning, match="no route"), pytest.raises(KeyError):
        fails()


def test_who_lists_fetches_no_parameters_and_sees_who_trains(url, tmp_path, monkeypatch):
    elsewhere = Mirror(url, tmp_path / "elsewhere/run")
    elsewhere.begin()
    saves(elsewhere.local, 3)
    elsewhere.saved()
    elsewhere._lease.release()
    Store(url).write("lock", json.dumps({"pid": 4, "host": "spot-2", "token": "x", "beat": 1}).encode())
    folder = paths.fetched_folder("memory://bucket/runs")
    listed = {"checkpoints/3/manifest.json", "checkpoints/3/meta.json", "config.json", "metrics.jsonl"}
    assert names(folder / "mine") == listed | {"lock"}
    assert json.loads((folder / "mine/lock").read_text())["host"] == "spot-2"
    Store(url).remove("lock")
    paths.fetched_folder("memory://bucket/runs")
    assert names(folder / "mine") == listed


def test_a_name_that_leads_out_of_the_copy_is_refused(url, tmp_path, monkeypatch):
    store = Store(url)
    name = f"{store._at[1]}/../../../outside"
    monkeypatch.setattr(store._at[0], "find", lambda *_, **__: {name: {"type": "file", "size": 1}})
    with pytest.raises(UserError, match=r"expected names of files below it, found '../../../outside'"):
        store.signs()


def test_what_changes_while_it_is_fetched_is_fetched_as_it_is_then(url, tmp_path, monkeypatch):
    one, reader = (Mirror(url, tmp_path / name / "run") for name in ("one", "reader"))
    one.begin()
    saves(one.local, 3)
    one.saved()
    fetch, order = Store.fetch, []

    def slow(self, name, file):
        if not order:  # the store's checkpoint is replaced just now
            shutil.rmtree(one.local / "checkpoints/3")
            saves(one.local, 6)
            one.saved()
        order.append(name)
        return fetch(self, name, file)

    monkeypatch.setattr(Store, "fetch", slow)
    assert {path.name for path in (reader.fetch() / "checkpoints").iterdir()} == {"6"}
    assert (reader.local / "metrics.jsonl").read_text() == "3\n6\n"
    one.end()


@pytest.mark.parametrize("url", ["sftp://me:secret@host/run", "s3://me:sec/secret@bucket/run"])
def test_a_password_in_a_url_is_refused(url):
    for asked in (paths.local_of, paths.fetched, paths.fetched_folder):
        with pytest.raises(UserError, match="expected a URL without a password") as refused:
            asked(url)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_a_url_whose_copy_would_be_anothers_is_refused(part):
    """S3 tells b//run from b/run, where a disk does not."""
    with pytest.raises(
        UserError, match=rf"s3://b/{part}/run: expected names between the slashes, found '{part}'"
    ):
        paths.local_of(f"s3://b/{part}/run")
    assert paths.local_of("sftp://host:22/runs/me@lab").parts[-3:] == ("host:22", "runs", "me@lab"), (
        "no password"
    )


def test_what_a_console_makes_for_a_folder_is_no_file_of_a_run(url, monkeypatch):
    """Amazon's and Google's: an empty object with a slash at its end, which s3fs lists as a file."""
    store = Store(url)
    root, file = store._at[1], {"type": "file", "size": 0}
    listed = {f"{root}/": file, f"{root}/checkpoints/": file, f"{root}/config.json": file}
    monkeypatch.setattr(store._at[0], "find", lambda *_, **__: listed)
    assert store.signs().keys() == {"config.json"}


@pytest.mark.parametrize("written", [False, True])
def test_a_process_that_is_killed_as_it_takes_a_run_loses_nothing(url, tmp_path, monkeypatch, written):
    one = Mirror(url, tmp_path / "one/run")
    one.begin()
    saves(one.local, 3)
    one.end()
    one.begin()
    saves(one.local, 6)
    one._lease.release()  # and is killed, before it sends
    write = Store.write

    def killed(self, name, data):
        if name != "trained-by" or written:
            write(self, name, data)
        if name == "trained-by":
            raise KeyboardInterrupt

    monkeypatch.setattr(Store, "write", killed)
    again = Mirror(url, one.local)
    with pytest.raises(KeyboardInterrupt):
        again.begin()
    monkeypatch.setattr(Store, "write", write)
    again.begin()
    again.end()
    assert "checkpoints/6/manifest.json" in there(url)


def test_a_store_that_was_asked_twice_has_our_own_lease(url, tmp_path, monkeypatch):
    """The first answer was lost on its way, as boto asks again then."""
    create = Store.create
    monkeypatch.setattr(Store, "create", lambda self, *given: create(self, *given) and create(self, *given))
    one = Mirror(url, tmp_path / "one/run")
    one.begin()
    Store(url).remove("lock")
    one._lease.check()
    assert "lock" in there(url)
    one.end()


def test_a_run_that_was_removed_from_the_store_is_listed_no_more_and_begins_anew(url, tmp_path):
    mine = mirror.mirror_at(url)
    for one in (mine, mirror.mirror_at("memory://bucket/runs/other")):
        one.begin()
        saves(one.local, 3)
        one.end()
    (mine.local / "metrics.jsonl").write_text("of this machine alone")
    fsspec.filesystem("memory").rm("/bucket/runs/mine", recursive=True)
    folder = paths.fetched_folder("memory://bucket/runs")
    assert {path.parent.name for path in folder.glob("*/config.json")} == {"other"}
    assert names(mine.local) == {"metrics.jsonl"}, "what the store never had stays"
    fsspec.filesystem("memory").rm("/bucket/runs/other", recursive=True)
    other = mirror.mirror_at("memory://bucket/runs/other")
    other.begin()
    assert names(other.local) == set()
    other.end()


@pytest.mark.parametrize("refused", ["full", "a file"])
def test_a_disk_here_that_refuses_is_not_the_stores_fault(url, tmp_path, monkeypatch, refused):
    store = Store(url)
    store.write("config.json", b"{}")
    (tmp_path / "file").touch()
    folder = tmp_path / ("run" if refused == "full" else "file")
    if refused == "full":

        def full(remote, local):
            Path(local).write_text("{")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(store._at[0], "get_file", full)
    with pytest.raises(
        UserError, match=rf"^{folder}/config\.json.*(No space left on device|File exists)"
    ) as told:
        store.fetch("config.json", folder / "config.json")
    assert "the store" not in str(told.value)
    assert list(tmp_path.rglob("*.partial")) == []


def test_what_was_sent_before_a_store_refused_is_not_sent_again_and_goes_in_its_time(
    url, tmp_path, monkeypatch
):
    one = Mirror(url, tmp_path / "one/run")
    one.begin()
    saves(one.local, 3)
    send, order = Store.send, []

    def refuses(self, file, name):
        if name == "metrics.jsonl":
            raise UserError("no route")
        order.append(name)
        send(self, file, name)

    monkeypatch.setattr(Store, "send", refuses)
    for _ in range(2):
        with pytest.raises(UserError, match="no route"):
            one.send()
    assert len(order) == len(set(order))
    assert {f"checkpoints/3/{name}" for name in CHECKPOINT} <= set(order)
    shutil.rmtree(one.local / "checkpoints/3")
    monkeypatch.setattr(Store, "send", send)
    one.end()
    assert not [name for name in there(url) if name.startswith("checkpoints")]


def test_a_run_of_a_study_that_was_read_by_itself_leaves_nothing_in_the_study(url):
    study = mirror.mirror_at(url)
    study.begin()
    saves(study.local / "fold0", 3)
    study.end()
    paths.fetched(f"{url}/fold0")
    study.begin()
    study.end()
    assert {name.split("/")[0] for name in there(url)} == {"fold0", "trained-by"}


@pytest.mark.parametrize(
    "name", ["lock", "asking.lock", "journal.log.lock", "fold0/lock", ".fold0.json", "a.json.partial"]
)
def test_what_is_of_one_machine_alone_is_not_sent(name):
    assert is_private(name)
    assert not is_private("journal.log")
    assert not is_private("fold0/config.json")


def test_a_cache_that_refuses_is_one_message(url, tmp_path):
    (tmp_path / "one/.run.lock").mkdir(parents=True)
    with pytest.raises(UserError, match="one/run could not be written"):
        Mirror(url, tmp_path / "one/run").fetch()
