"""Images of one's own: predictions with ids, as a table; and classes as what a reader takes them for.

The kind: numbers under a class's name that are no probabilities. Expected values are scipy's softmax.
"""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.special import softmax
from scipy.stats import pearsonr
from tiny import TINY, task_of

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.types import FileWarning, UserError
from jaxlab.data import Images, Normalize
from jaxlab.data.readers.image_files import list_folders
from jaxlab.data.sources.users_images import given_samples
from jaxlab.experiment.inputs import EIGHT_BITS, ImageInput
from jaxlab.heads import Linear
from jaxlab.losses import Mse
from jaxlab.objectives import KINDS
from jaxlab.runs import predict
from jaxlab.runs.predict import predict_images, predict_runs
from jaxlab.runs.run import Run
from jaxlab.training.rundir import RunDirectory
from jaxlab.training.sharding import Layout
from submit import Predictions


class Stub(Run):
    """A run that predicts what it is made with. Targets are classes a, b and c."""

    kind_of = "classification"
    usual = "best"
    predicts = None
    asks = ()

    def __init__(self, values: np.ndarray, kind: str = "classification", targets=("a", "b", "c")):
        self.values, self.rundir = values.astype(np.float32), RunDirectory(Path("runs/stub"))
        self.made = KINDS[kind]("a", "a", Linear(), Mse(), targets)
        self.found = (None, None)

    objectives = property(lambda self: (self.made,))
    test = property(lambda self: self.found)
    asks = property(lambda self: ())
    unfinished = lambda self: iter(())  # noqa: E731

    def predicting(self, objective):
        return self

    def given(self, images):
        return given_samples(images, "uint8")

    def predicted(self, samples, which=None):
        return self.values[: len(samples)]

    def predict_split(self, split="test", which=None):
        ids = np.array([f"i{k}" for k in range(len(self.values))])
        return Predictions(ids, self.values, np.array(self.targets), self.primary.written, split)

    def kept_as(self, split="test", which=None):
        return self.predict_split(split), Path("runs/stub/predictions/test.npz")

    def evaluate(self, which=None): ...
    def recorded(self): ...
    def evaluate_checkpoints(self, which=None): ...
    def labelled(self, which=None, untrained=False): ...


LOGITS = np.array([[5.0, 2.0, -1.0], [-3.0, 8.0, 0.0], [0.5, 0.25, 0.75]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("b.png", "a.jpg", "käfer.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / name)
    return tmp_path / "images"


@pytest.fixture
def runs(monkeypatch):
    """What `load` gives for the paths "0", "1", ..."""
    given: list[Run] = [Stub(LOGITS)]
    monkeypatch.setattr(predict, "load", lambda path, settings=(): given[int(str(path))])
    return given


def test_classes_in_each_form(folder: Path) -> None:
    run = Stub(LOGITS)
    np.testing.assert_array_equal(run.predict(folder), LOGITS)
    np.testing.assert_array_equal(run.predict(folder, as_="logits"), LOGITS)
    np.testing.assert_allclose(run.predict(folder, as_="probabilities"), softmax(LOGITS, 1), rtol=1e-6)
    assert run.predict(folder, as_="labels").tolist() == ["a", "b", "c"]
    ids, values = run.predict(folder, ids=True)
    assert ids.tolist() == ["a.jpg", "b.png", "käfer.png"]
    np.testing.assert_array_equal(values, LOGITS)
    ids, labels = run.predict(np.zeros((2, 4, 4, 3), np.uint8), as_="labels", ids=True)
    assert (ids.tolist(), labels.tolist()) == (["0", "1"], ["a", "b"])


def test_forms_that_are_none(folder: Path) -> None:
    with pytest.raises(
        UserError, match="as_: expected one of probabilities, labels, logits, found 'classes'"
    ):
        Stub(LOGITS).predict(folder, as_="classes")
    with pytest.raises(UserError, match="is for classes, but a predicts numbers"):
        Stub(LOGITS, "regression").predict(folder, as_="labels")
    with pytest.raises(UserError, match=r"predictions of 1 images are not finite \(rows 1\)"):
        Stub(np.where(LOGITS == 8, np.nan, LOGITS)).predict(folder, as_="labels")


@pytest.mark.parametrize("form", [None, "probabilities", "logits"])
def test_a_table_of_images(folder: Path, tmp_path: Path, runs, form) -> None:
    predict_images([Path("0")], folder, tmp_path / "out.csv", form=form)
    table = pd.read_csv(tmp_path / "out.csv", index_col="id")
    assert table.index.tolist() == ["a.jpg", "b.png", "käfer.png"]
    assert table.columns.tolist() == ["a", "b", "c"]
    expected = LOGITS if form == "logits" else softmax(LOGITS, 1)
    np.testing.assert_allclose(table.to_numpy(), expected, rtol=1e-6)


def test_a_table_of_class_names(folder: Path, tmp_path: Path, runs) -> None:
    predict_images([Path("0")], folder, tmp_path / "out.csv", form="labels")
    assert (tmp_path / "out.csv").read_text() == "id,label\na.jpg,a\nb.png,b\nkäfer.png,c\n"


def test_the_mean_of_runs_whose_classes_stand_in_another_order(folder: Path, tmp_path: Path, runs) -> None:
    other = LOGITS[::-1].copy()
    runs.append(Stub(other[:, [2, 0, 1]], targets=("c", "a", "b")))
    predict_images([Path("0"), Path("1")], folder, tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv", index_col="id")
    expected = (softmax(LOGITS, 1) + softmax(other, 1)) / 2
    np.testing.assert_allclose(table[["a", "b", "c"]].to_numpy(), expected, rtol=1e-5)
    runs[:] = [Stub(LOGITS, "regression"), Stub(other, "regression")]
    predict_images([Path("0"), Path("1")], folder, tmp_path / "numbers.npz")
    np.testing.assert_allclose(
        Predictions.load(tmp_path / "numbers.npz").values, (LOGITS + other) / 2, rtol=1e-6
    )


def test_nothing_is_overwritten(folder: Path, tmp_path: Path, runs) -> None:
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(UserError, match=r"out\.csv: is there already; nothing is overwritten"):
        predict_images([Path("0")], folder, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_images_that_are_not_there(folder: Path, tmp_path: Path, runs) -> None:
    (tmp_path / "empty/inside").mkdir(parents=True)
    for path, words in (
        (tmp_path / "gone", "nothing at"),
        (tmp_path / "empty", "holds none "),
    ):
        with pytest.raises(UserError, match=f"images: .*{words}"):
            predict_images([Path("0")], path, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_folders_inside_broken_images_and_parquet(folder: Path, tmp_path: Path, runs) -> None:
    (folder / "cat/young").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name in ("cat/young/a.png", ".hidden/a.png", "cat/.a.png"):
        Image.new("L", (4, 4)).save(folder / name)
    (folder / "cat/b.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    runs[:] = [Stub(np.arange(12.0).reshape(4, 3), "regression")]
    out, said = tmp_path / "out.parquet", list[str]()
    predict_images([Path("0")], folder, out, log=said.append, skip_broken=True)
    assert said[0].startswith("warning: 1 of 5 images are left out: ")
    assert "b.png: cannot be decoded (not an image)" in said[0]
    table = pd.read_parquet(out)
    assert table["id"].tolist() == ["a.jpg", "b.png", "käfer.png", "cat/young/a.png"]
    np.testing.assert_array_equal(table[["a", "b", "c"]].to_numpy(), np.arange(12.0).reshape(4, 3))
    assert json.loads(pq.read_schema(out).metadata[b"provenance"])["runs"] == ["stub"]
    for file in folder.rglob("*.*"):
        file.write_bytes(b"") if file.is_file() else None
    with pytest.raises(UserError, match=r"none of 5 images can be used: .*a\.jpg: .*an empty file"):
        predict_images([Path("0")], folder, tmp_path / "out.csv", skip_broken=True)


def test_without_a_sample_classes_are_probabilities(tmp_path: Path, runs) -> None:
    said: list[str] = []
    predict_runs([Path("0")], tmp_path / "out.csv", log=said.append)
    table = pd.read_csv(tmp_path / "out.csv", index_col="id")
    np.testing.assert_allclose(table.to_numpy(), softmax(LOGITS, 1), rtol=1e-6)
    assert "with probabilities, not checked: there is no sample submission" in said[-1]
    predict_runs([Path("0")], tmp_path / "out.npz")
    kept = Predictions.load(tmp_path / "out.npz")  # what ensembles are made of
    np.testing.assert_array_equal(kept.values, LOGITS.astype(np.float32))
    assert kept.kind == "logits"


@pytest.mark.parametrize(
    ("cell", "values", "trained", "warned"),
    [
        ("0", [0.728, 1.3], [0, 1, 2], True),
        ("1.0", [0.728, 1.3], [0, 1, 2], True),
        ("0", [0.728, 1.3], None, True),  # the labelled data are not here
        ("0", [0.728, 1.3], [0.5, 1.5], False),
        ("0.5", [0.728, 1.3], [0, 1, 2], False),
        ("0", [1.0, 2.0], [0, 1, 2], False),
    ],
)
def test_fractions_where_whole_numbers_are_asked_for(
    tmp_path: Path, runs, cell, values, trained, warned
) -> None:
    (tmp_path / "sample.csv").write_text(f"id,label\ni0,{cell}\ni1,{cell}\n")
    run = Stub(np.array(values)[:, None], "regression", ("label",))
    run.found = (given_samples(np.zeros((2, 4, 4), np.uint8), "uint8"), tmp_path / "sample.csv")
    run.found[0].ids[:] = ["i0", "i1"]
    runs[:] = [run]

    def source():
        if trained is None:
            raise UserError("not here")
        return type("Opened", (), {"train": type("Train", (), {"target": np.array(trained)[:, None]})})

    type(run).opened = property(lambda self: source())
    said: list[str] = []
    predict_runs([Path("0")], tmp_path / "out.csv", log=said.append)
    lines = [line for line in said if "--set data.label=label" in line]
    assert bool(lines) == warned
    if warned:
        assert f"predictions such as {values[0]:.3g} are none" in lines[0]
        assert ("and the training data have" in lines[0]) == (trained is not None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--images", "x"], "--images: expected --out FILE.csv too"),
        (["--images", "x", "--out", "o.csv", "--split", "validation"], "and no --split"),
        (["--skip-broken", "--out", "o.csv"], "--skip-broken: is for --images"),
        (["--as", "labels", "--out", "o.csv"], "--as: is for --images"),
    ],
)
def test_options_that_do_not_go_together(trained: Path, arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["predict", str(trained), *arguments])
    assert result.exit_code == 1
    assert words in result.output


def test_the_command(trained: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "new").mkdir()
    for name in ("x1", "x0"):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(
            tmp_path / "new" / f"{name}.png"
        )
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    out = tmp_path / "out.csv"
    arguments = ["predict", str(trained), "--images", str(tmp_path / "new"), "--out", str(out)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(io.StringIO(out.read_text()), index_col="id")
    ids, values = jaxlab.load(trained).predict(tmp_path / "new", ids=True)
    assert table.index.tolist() == ids.tolist() == ["x0.png", "x1.png"]
    np.testing.assert_array_equal(table.to_numpy(np.float32), values)
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before
    again = CliRunner().invoke(main, arguments)
    assert "nothing is overwritten" in again.output


def test_floats_of_another_scale_than_the_runs_are_refused(trained: Path, tmp_path: Path) -> None:
    """A network that learned from 8 bits sees black as 0 and white as 1: floats up to 255 would be 255 times that."""
    run, levels = jaxlab.load(trained), np.arange(256.0, dtype=np.float32).reshape(16, 16)
    for name, values in (("of255", levels), ("of1", levels / 255)):
        (tmp_path / name).mkdir()
        Image.fromarray(values).save(tmp_path / name / "a.tif")
    with pytest.raises(
        UserError, match=r"images: floats from 0 to 255, where this run learned from images of 8"
    ):
        run.predict(tmp_path / "of255")
    Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "a.png")
    found, expected = run.predict(tmp_path / "of1"), run.predict(tmp_path / "a.png")
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_run_is_not_scored_on_floats_of_another_scale(
    trained: Path, tmp_path: Path, arrays_npz: Path
) -> None:
    """As `evaluate --set data.root=OTHER` would: the same images as floats of 0 to 255, and of 0 to 1."""
    arrays = dict(np.load(arrays_npz))
    for name, white in (("of255", 1), ("of1", 255)):
        images = arrays["images"] / np.float32(white)
        np.savez(tmp_path / f"{name}.npz", **{**arrays, "images": images})
    arguments = ["evaluate", str(trained), "--json", "--set"]
    refused = CliRunner().invoke(main, [*arguments, f"data.root={tmp_path / 'of255.npz'}"])
    assert refused.exit_code == 1
    assert "images: floats from 0 to 255, where this run learned from images of 8 bits" in refused.stderr
    given = CliRunner().invoke(main, [*arguments, f"data.root={tmp_path / 'of1.npz'}"])
    (found,) = json.loads(given.stdout).values()
    pairs = zip(jaxlab.load(trained).predict(arrays["images"]).T, arrays["targets"].T, strict=True)
    expected = np.mean([pearsonr(*pair).statistic for pair in pairs])
    assert found["all"]["pearson"] == pytest.approx(expected, abs=1e-4)


NO_IMAGES = {
    "list of ndarray": [np.zeros((4, 4), np.uint8)],
    "list of Image": [Image.new("RGB", (4, 4))],
    "Image": Image.new("RGB", (4, 4)),
    "NoneType": None,
    "int": 5,
}


@pytest.mark.parametrize("found", NO_IMAGES)
def test_what_is_no_image_is_one_sentence(found: str, signatures_off: None) -> None:
    words = f"expected a numpy array .*, a file, a list of files or a folder, found {found}; np.stack"
    with pytest.raises(UserError, match=words):
        given_samples(NO_IMAGES[found], "uint8")
    with pytest.raises(UserError, match="images: expected one or more, found an empty list"):
        given_samples([], "uint8")


def test_files_of_a_kind_that_is_not_read_are_told(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"x")
    with pytest.warns(FileWarning, match=r"1 file is left out, .*\(b\.heic\)"):
        assert given_samples(tmp_path, "uint8").ids.tolist() == ["a.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(UserError, match=r"holds none .*; .*1 file is left out, .*\(b\.heic\)"):
        given_samples(tmp_path, "uint8")


def test_8_bits_are_told_where_floats_were_learned(recwarn: pytest.WarningsRecorder) -> None:
    """Of normalised floats, say: 0 to 1 is another scale, and nothing tells which one it was."""
    seen = task_of(TINY, ("n0",), Images(size=(4, 4)), Normalize())
    for learned, given, told in (
        ("float32", np.uint8, True),
        ("float32", np.float32, False),
        ("uint8", np.uint8, False),
    ):
        recwarn.clear()
        samples = given_samples(np.zeros((1, 4, 4), given), np.dtype(given).name)
        ImageInput(TINY, replace(seen, image_dtype=learned)).unlabelled(
            samples, np.arange(1), Layout("single", 1)
        )
        assert [str(one.message) for one in recwarn] == ([EIGHT_BITS] if told else [])


def test_a_name_of_other_bytes_than_utf_8_is_refused(tmp_path: Path) -> None:
    """As a zip from another system leaves them: they would be ids that no table can hold."""
    (tmp_path / os.fsdecode(b"\xff.png")).touch()
    (tmp_path / "classes" / os.fsdecode(b"\xfe")).mkdir(parents=True)
    with pytest.raises(
        UserError, match=r"the name b'\\xff.png' is not UTF-8, as of an old archive; rename it"
    ):
        given_samples(tmp_path, "uint8")
    with pytest.raises(UserError, match=r"classes: the name b'\\xfe' is not UTF-8"):
        list_folders(tmp_path / "classes")
