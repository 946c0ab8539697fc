"""The bundle's notebook is one that Jupyter takes, and its cells are Python."""

import ast
import json
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

import jaxlab
import submit
from jaxlab.bundling.cells import notebook


def test_the_notebook_is_valid_and_says_what_it_was_given():
    book = nbformat.from_dict(notebook("/kaggle/input/x", {"a": 1.0, "b's": 1.0}))
    nbformat.validate(book)
    assert [cell.cell_type for cell in book.cells[:2]] == ["markdown", "code"]
    given = {}
    exec(book.cells[1].source, given)
    assert (given["DATA"], given["WEIGHTS"]) == ("/kaggle/input/x", {"a": 1.0, "b's": 1.0})
    for cell in book.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)
    assert book.cells[0].source.startswith("# From a bundle")
    assert book.cells[3].source.startswith("Install")


def test_pip_is_kept_from_the_network():
    source = "".join(cell["source"] for cell in notebook(None, {})["cells"])
    assert '"--no-index", "--find-links", str(BUNDLE / "wheels")' in source


@pytest.mark.parametrize(("extras", "asked"), [([], "jaxlab[]"), (["fast", "text"], "jaxlab[fast,text]")])
def test_jax_and_what_drives_a_tpu_stay_as_they_are(tmp_path, monkeypatch, extras, asked):
    """Of an image for TPUs pip is told the versions, whatever wheels say; and what the runs need besides."""
    installed = {"jax": "0.7.2", "jaxlib": "0.7.2", "libtpu": "0.0.21", "numpy": "2.0.2"}
    seen = []

    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError
        return installed[name]

    def pip(command, **_):
        seen.append(Path(command[command.index("--constraint") + 1]).read_text().splitlines())
        assert command[-1] == asked
        return SimpleNamespace(stdout="", stderr="", returncode=0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(metadata, "version", version)
    (cell,) = [one["source"] for one in notebook(None, {})["cells"] if "--no-index" in one["source"]]
    run = SimpleNamespace(run=pip)
    made = {"extras": extras}
    exec("".join(cell), {"BUNDLE": tmp_path, "Path": Path, "subprocess": run, "sys": sys, "made": made})
    assert seen == [["jax==0.7.2", "jaxlib==0.7.2", "libtpu==0.0.21"]]
    assert not list(tmp_path.iterdir())


def test_a_bundle_that_was_damaged_on_its_way_is_refused(tmp_path, monkeypatch):
    (tmp_path / "bundle.json").write_text(json.dumps({"files": {"run.json": "0" * 64}, "runs": []}))
    (tmp_path / "run.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    (cell,) = [one for one in notebook(None, {})["cells"] if "damaged" in one["source"]]
    with pytest.raises(ValueError, match=r"not as they were made, upload them again: \['run.json'\]"):
        exec(cell["source"], {"DATA": str(tmp_path)})


@pytest.fixture
def combined(tmp_path):
    """What the cell that combines makes of two runs' values of labelled samples and of test samples."""

    def combine(known, fresh, train, names, kind, keeps=(True, True), learn=True):
        made, predicted = [], {}
        for number, (values, test) in enumerate(zip(known, fresh, strict=True)):
            ids = train.ids[: len(values)]
            submit.Predictions(ids, values, names, kind, "out_of_fold").save(tmp_path / f"{number}.npz")
            made.append({"labelled": f"{number}.npz" if keeps[number] else None})
            predicted[f"run{number}"] = submit.Predictions([*"abcde"[: len(test)]], test, names, kind, "test")
        opened = SimpleNamespace(train=train)
        loaded = SimpleNamespace(
            opened=opened,
            targets=tuple(names),
            kind="regression" if train.label is None else "classification",
        )
        given = {
            "made": {"runs": made},
            "predicted": predicted,
            "loaded": loaded,
            "LEARN": learn,
            "BUNDLE": tmp_path,
        }
        given |= {"WEIGHTS": {"run0": 1.0, "run1": 3.0}, "np": np, "jaxlab": jaxlab, "submit": submit}
        (cell,) = [one for one in notebook(None, {})["cells"] if "def learned" in one["source"]]
        exec(cell["source"], given)
        return given["together"], given["WEIGHTS"]

    return combine


def test_weights_are_learned_where_all_runs_keep_labelled_predictions_and_given_otherwise(combined, capsys):
    rng = np.random.default_rng(0)
    truth, fresh = rng.normal(size=(40, 2)), rng.normal(size=(2, 5, 2))
    known = [truth + rng.normal(size=truth.shape) / 10, rng.normal(size=truth.shape)]  # the second guesses
    train = SimpleNamespace(ids=np.arange(40).astype(str), target=truth, label=None)
    given = {"fresh": fresh, "train": train, "names": ["a", "b"], "kind": "regression"}
    _, weights = combined(known, **given)
    assert weights["run0"] > 0.9
    assert weights["run1"] < 0.1
    assert "40 labelled samples; pearson, cross-validated: single 0.99" in capsys.readouterr().out
    wanted = fresh[0] / 4 + fresh[1] * 3 / 4
    for without in ({"learn": False}, {"keeps": (True, False)}):
        together, weights = combined(known, **given, **without)
        np.testing.assert_allclose(together.values, wanted, rtol=1e-6)
        assert weights == {"run0": 1, "run1": 3}
        assert "weighted mean, {'run0': 1.0, 'run1': 3.0}" in capsys.readouterr().out
    together, _ = combined([values[:10] for values in known], **given)
    np.testing.assert_allclose(together.values, wanted, rtol=1e-6)
    assert "no weights are learned: 10 ids are predicted by all members" in capsys.readouterr().out


def test_without_the_training_data_the_mean_is_taken(capsys):
    """As where a competition's folder holds only what is to be predicted."""
    source = next(cell["source"] for cell in notebook(None, {})["cells"] if "def learned" in cell["source"])

    class Loaded:
        @property
        def opened(self):
            raise jaxlab.UserError("train.csv: no such file")

    predicted = {
        name: submit.Predictions(["a"], [[value]], ["t"]) for name, value in (("x", 1.0), ("y", 3.0))
    }
    made = {"runs": [{"labelled": "x.npz"}, {"labelled": "y.npz"}]}
    given = {"made": made, "predicted": predicted, "loaded": Loaded(), "LEARN": True, "BUNDLE": Path()}
    given |= {"WEIGHTS": {"x": 1.0, "y": 1.0}, "np": np, "jaxlab": jaxlab, "submit": submit}
    exec(source, given)
    assert given["together"].values.tolist() == [[2.0]]
    assert "no weights are learned: train.csv: no such file" in capsys.readouterr().out


def test_of_classes_weights_are_learned_from_the_names_of_labels(combined, capsys):
    label = np.arange(30) % 3
    known = [np.eye(3)[label] * 5, np.zeros((30, 3))]
    fresh = [np.eye(3) * 5, np.zeros((3, 3))]
    train = SimpleNamespace(ids=np.arange(30).astype(str), target=None, label=label)
    given = {"known": known, "fresh": fresh, "train": train, "names": ["x", "y", "z"], "kind": "logits"}
    together, weights = combined(**given)
    assert weights["run0"] > 0
    np.testing.assert_array_equal(together.values.argmax(1), [0, 1, 2])
    assert "30 labelled samples; accuracy, cross-validated: single 1.0000" in capsys.readouterr().out
    label[0] = -1
    combined(**given)
    assert (
        "no weights are learned: 1 classes of the truth are not predicted: 'another class'"
        in capsys.readouterr().out
    )
