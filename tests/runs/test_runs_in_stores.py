"""A run at a URL: trained on one machine, read on another, as one in a folder."""

import fsspec
import pytest
from click.testing import CliRunner
from tiny import tiny, train

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.remote import mirror
from jaxlab.training.checkpoint import saved

URL = "memory://trained/runs/mine"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """To be on another machine from here on: another cache, and nothing in memory."""

    def at(name):
        monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path / name))
        monkeypatch.setattr(mirror, "_MIRRORS", {})

    yield at
    memory = fsspec.filesystem("memory")
    memory.rm("/trained", recursive=True)


def command(*arguments):
    result = CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::jaxlab.core.types.FileWarning")
def test_a_run_at_a_url_is_the_run_in_a_folder(arrays_npz, trained, tmp_path, machine):
    machine("one")
    path = train(tiny(arrays_npz), URL)
    assert path == tmp_path / "one/stores/memory/trained/runs/mine"
    sent = {name.rpartition("/")[2] for name in fsspec.filesystem("memory").find("/trained")}
    assert {"config.json", "metrics.jsonl", "curves.png"} <= sent
    assert "lock" not in sent

    machine("other")
    assert command("runs", "memory://trained/runs").splitlines()[1].split()[:2] == ["mine", "finished"]
    assert not list((tmp_path / "other").glob("**/state")), "lists need no parameters"
    assert "ShallowCNN" in command("inspect", URL)
    run, expected = jaxlab.load(URL), jaxlab.load(trained)
    assert [one.meta()["digest"] for one in saved(run.rundir.checkpoints)] == [
        one.meta()["digest"] for one in saved(expected.rundir.checkpoints)
    ]
    command("predict", URL, "--out", tmp_path / "out.csv")
    assert fsspec.filesystem("memory").exists("/trained/runs/mine/predictions/test.npz"), "kept in the run"

    machine("one")
    assert (train(tiny(arrays_npz), URL) / "checkpoints").is_dir(), "done, and goes on from there"
