"""The audit of folders with known faults, as tables, JSON, a page and a list of near-duplicates."""

import base64
import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

import submit
from jaxlab.cli.main import main
from jaxlab.data import ColumnSplit, GroupedSplit, KaggleTable, Simulated
from jaxlab.data.audit.audit import audit
from jaxlab.data.audit.findings import findings
from jaxlab.data.source import Opened
from jaxlab.data.sources.arrays import Arrays
from jaxlab.experiment import Experiment
from jaxlab.report import audit as examination

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """60 training and 12 test images of 32 px, 6 neurons, and one of each fault."""
    path = tmp_path_factory.mktemp("audit")
    Simulated(images=60, test_images=12, neurons=6, size=32).write_kaggle(path)
    table = pd.read_csv(path / "train.csv", dtype={"image_id": str})
    table["n3"] = 2.0
    table["session"] = np.where(np.arange(60) < 45, "a", "b")
    table.to_csv(path / "train.csv", index=False)
    images = path / "train", path / "test"
    (images[1] / "test04.png").write_bytes((images[0] / "train07.png").read_bytes())
    Image.open(images[0] / "train08.png").resize((50, 50)).save(images[1] / "test05.png")
    Image.open(images[0] / "train09.png").save(images[0] / "train50.png", compress_level=1)
    (images[0] / "train10.png").write_bytes(b"not an image")
    (images[0] / "train11.png").write_bytes((images[0] / "train12.png").read_bytes()[:300])
    padded = np.pad(np.asarray(Image.open(images[0] / "train13.png"))[:, 4:-4], ((0, 0), (4, 4), (0, 0)))
    Image.fromarray(padded).save(images[0] / "train13.png")
    Image.new("RGB", (32, 32), (90, 90, 90)).save(images[0] / "train14.png")
    return path


def experiment(folder: Path) -> Experiment:
    return Experiment(
        data=KaggleTable(root=str(folder), columns=("session",)),
        split=GroupedSplit(column="session", validation=0.5),
    )


@pytest.fixture(scope="module")
def report(folder) -> dict:
    one = experiment(folder)
    return examination.describe(audit(one.data.open(), one.split), "KaggleTable")


def test_splits_are_counted_and_every_corrupt_file_is_named(report):
    counts = {split: (facts["samples"], facts["images"]) for split, facts in report["splits"].items()}
    sizes = {45: (45, 43), 15: (15, 15)}  # which of the sessions validates is up to the hash
    train = counts["train"][0]
    assert counts == {"train": sizes[train], "validation": sizes[60 - train], "test": (12, 12)}
    assert set(report["corrupt"]) == {"train10", "train11"}
    assert "train10.png: cannot be decoded (not an image)" in report["findings"][0]
    assert report["findings"][0].startswith("2 images cannot be decoded (train10, train11)")
    assert report["splits"]["test"]["sizes"] == {"32 x 32": 11, "50 x 50": 1}


def test_colour_statistics_are_those_of_all_pixels(report, folder):
    files = list((folder / "test").iterdir())
    pixels = np.concatenate([np.asarray(Image.open(file)).reshape(-1, 3) for file in files]) / 255
    np.testing.assert_allclose(report["splits"]["test"]["mean"], pixels.mean(0), rtol=1e-6)
    np.testing.assert_allclose(report["splits"]["test"]["std"], pixels.std(0), rtol=1e-6)
    assert report["splits"]["test"]["at_0"] == pytest.approx(
        np.mean([(np.asarray(Image.open(file)) == 0).mean() for file in files])
    )


def test_images_that_look_alike_are_found_within_and_across_splits(report):
    found = {(pair["like"], pair["id"]): pair for pair in report["alike"]}
    assert set(found) >= {("train07", "test04"), ("train08", "test05")}
    assert len(found) == 3
    assert found["train07", "test04"]["exact"]
    assert not found["train08", "test05"]["exact"]
    assert found["train08", "test05"]["bits"] <= 4
    assert {frozenset(key) for key in found} >= {frozenset(("train09", "train50"))}
    sentences = [s for s in report["findings"] if re.search("test images? looks? like", s)]
    assert sum(int(sentence.split()[0]) for sentence in sentences) == 2


def test_faults_of_images_and_targets_are_named(report):
    text = "\n".join(report["findings"])
    assert "1 target is constant (n3): it has no score" in text
    assert "2 sizes: images.size must say" in text
    assert re.search(r"(has|have) a border of black .*train13", text)
    assert "1 image shows next to nothing: one colour (train14)" in text
    assert report["targets"]["n3"] == {
        "mean": 2.0, "std": 0.0, "min": 2.0, "max": 2.0, "skew": 0.0, "kurtosis": 0.0, "far": 0, "constant": True
    }  # fmt: skip


def test_sound_data_have_no_findings_but_their_shape():
    source = Simulated(images=200, test_images=20, neurons=3, size=32)
    found = findings(audit(source.open(), Experiment().split))
    assert not [sentence for sentence in found if "normal" not in sentence], found


def test_classes_are_counted_and_unequal_ones_named(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(["cat", "dog", "ox"], [30, 12, 3])
    np.savez(
        tmp_path / "a.npz", images=rng.integers(0, 256, (45, 16, 16, 3), dtype=np.uint8), labels=labels,
        ids=[f"2021-03-{k % 28 + 1:02d}T{k}" for k in range(45)], part=["train"] * 42 + ["val"] + ["none"] * 2,
    )  # fmt: skip
    found = audit(Arrays(root=str(tmp_path / "a.npz")).open(), ColumnSplit(column="part"))
    assert found.classes == {
        "cat": {"train": 30, "validation": 0, "unused": 0},
        "dog": {"train": 12, "validation": 0, "unused": 0},
        "ox": {"train": 0, "validation": 1, "unused": 2},
    }
    text = "\n".join(findings(found))
    assert "1 class has no train sample (ox)" in text
    assert "2 classes have no validation sample (cat, dog)" in text
    assert "cat has 30 training samples, dog 12; balance=Oversample()" in text
    assert "ids look like dates or times (2021-03-01T0, " in text
    assert "one class alone" not in text
    one = {**np.load(tmp_path / "a.npz"), "labels": np.repeat("cat", 45)}
    np.savez(tmp_path / "one.npz", **one)
    (alone,) = [
        line
        for line in findings(audit(Arrays(root=str(tmp_path / "one.npz")).open(), ColumnSplit(column="part")))
        if "class" in line
    ]
    assert alone == "there is one class alone (cat): nothing to tell it from"


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (
            np.random.default_rng(0).normal(size=(6, 8, 8, 3)),
            "as if normalised already: with normalize=Normalize",
        ),
        (np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)), "where Normalize expects 0 to 1"),
    ],
)
def test_float_images_out_of_range_are_told(images, words, tmp_path):
    np.savez(tmp_path / "a.npz", images=images.astype(np.float32), targets=np.arange(6.0))
    found = findings(audit(Arrays(root=str(tmp_path / "a.npz")).open(), Experiment().split))
    assert any(words in sentence for sentence in found), found


def shared_by_four(kind: str) -> Opened:
    """12 labelled samples on 3 images, 4 to predict on one that is the first of those; the last two are of no class."""
    opened = Simulated(images=3, test_images=2, neurons=2, size=32).open()
    label = np.int32([0, 1] * 5 + [-1, -1])
    train = replace(
        opened.train, ids=np.array([f"q{k}" for k in range(12)]), target=None, label=label,
        read=lambda k: opened.train.read(k // 4), checksum=lambda k: opened.train.checksum(k // 4),
        image_of=np.arange(12) // 4, columns={"part": np.array(["train"] * 6 + [kind] * 4 + ["val"] * 2)},
    )  # fmt: skip
    test = replace(
        opened.test, ids=np.array(list("abcd")), image_of=np.full(4, 7),
        read=lambda k: opened.train.read(0), checksum=lambda k: opened.train.checksum(0),
    )  # fmt: skip
    return replace(opened, train=train, test=test, kind="classification", targets=("no", "yes"))


def test_an_image_that_samples_share_is_one_of_each_split_that_shows_it(tmp_path):
    found = audit(shared_by_four("val"), ColumnSplit(column="part"))
    assert [(entry.split, entry.ids) for entry in found.entries] == [
        ("train", ["q0", "q1", "q2", "q3"]),
        ("train", ["q4", "q5"]),
        ("validation", ["q6", "q7"]),
        ("validation", ["q8", "q9", "q10", "q11"]),
        ("test", ["a", "b", "c", "d"]),
    ]
    splits = examination.describe(found, "questions")["splits"]
    counts = {split: (facts["samples"], facts["images"]) for split, facts in splits.items()}
    assert counts == {"train": (6, 2), "validation": (6, 2), "test": (4, 1)}
    text = "\n".join(findings(found))
    assert (
        "1 validation image looks like train images, 1 of them byte for byte (q6 ~ q4): validation scores"
        in text
    )
    assert "1 test image looks like train images, 1 of them byte for byte (a ~ q0): scores" in text
    assert examination.write_duplicates(found, tmp_path / "alike.csv") == 6
    listed = pd.read_csv(tmp_path / "alike.csv")
    assert listed["id"].tolist() == ["q6", "q7", "a", "b", "c", "d"], "every sample that shows such an image"


def test_samples_of_no_class_are_counted_beside_the_classes():
    found = audit(shared_by_four("val"), ColumnSplit(column="part"))
    assert found.classes == {"no": {"train": 3, "validation": 2}, "yes": {"train": 3, "validation": 2}}
    assert "samples have none of the classes: 0 of 6 in train, 2 of 6 in validation;" in "\n".join(
        findings(found)
    )


def test_images_that_are_not_used_make_no_score_too_good():
    text = "\n".join(findings(audit(shared_by_four("none"), ColumnSplit(column="part"))))
    assert "1 pair of train and unused images looks the same, 1 of them byte for byte (q6 ~ q4)" in text
    assert "1 pair of unused and validation images looks the same" in text
    assert "validation scores" not in text


# -- the command ---------------------------------------------------------------------------------------------------


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["data", "audit", *map(str, arguments)])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.stdout if code == 0 else result.output


@pytest.fixture(scope="module")
def config(folder, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("config") / "config.py"
    path.write_text(
        "from jaxlab.data import GroupedSplit, KaggleTable\nfrom jaxlab.experiment import Experiment\n"
        'experiment = Experiment(data=KaggleTable(columns=("session",)), '
        'split=GroupedSplit(column="session", validation=0.5))\n'
    )
    return path


@pytest.mark.slow  # draws figures
def test_the_command_prints_writes_a_page_and_lists_duplicates(folder, config, tmp_path):
    page, listed = tmp_path / "page.html", tmp_path / "alike.csv"
    flags = ("--set", f"data.root={folder}", "--out", page, "--duplicates", listed)
    shown = run(config, *flags)
    assert max(map(len, shown.splitlines())) <= 80
    for words in ("6 targets", "32 x 32", "look the same", "cannot be decoded"):
        assert words in shown
    text = page.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text), "nothing is loaded from elsewhere"
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    opened = [Image.open(io.BytesIO(base64.b64decode(data))) for data in pictures]
    ids = re.findall(r"<figcaption>([^<]+)</figcaption>", text)
    assert len(opened) == 1 + 2 + len(ids), "brightness and targets have titles, all others words below"
    assert {"test04", "train07"} <= set(ids), "single images are named by their ids"
    assert f"<h1>Data audit: KaggleTable, {folder}</h1>" in text
    assert shown.startswith(f"audit of KaggleTable at {folder}")
    assert not re.search(r"\b1 (images|targets|pairs|samples|classes)\b", shown + text), (
        "one of a thing is one"
    )
    blank = [image for image in opened if np.asarray(image.convert("L")).std() <= 5]
    assert len(blank) == 1, "train14 alone, of one colour"
    assert "test test04: copy" in text
    with listed.open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["id"], row["like"]) for row in rows} >= {("test04", "train07"), ("test05", "train08")}
    assert all(row["split"] != row["like_split"] for row in rows)


@pytest.mark.slow
def test_scores_without_the_duplicates(folder, config, tmp_path):
    """The list goes from one command into the other, by id."""
    run(config, "--set", f"data.root={folder}", "--duplicates", tmp_path / "alike.csv")
    solution = pd.read_csv(folder / "solution.csv", dtype={"image_id": str})
    noise = np.random.default_rng(0).normal(size=solution.shape)
    guess = solution.copy()
    guess.iloc[:, 1:] += noise[:, 1:]
    guess.to_csv(tmp_path / "guess.csv", index=False)
    from submit.files.csv_table import read_ids

    without = read_ids(tmp_path / "alike.csv")
    found = submit.score(tmp_path / "guess.csv", folder / "solution.csv", without=without)
    keep = ~solution["image_id"].isin(["test04", "test05"])
    assert found.samples == keep.sum() == 10
    expected = [
        np.corrcoef(guess.loc[keep, name], solution.loc[keep, name])[0, 1] for name in solution.columns[1:]
    ]
    np.testing.assert_allclose(found.pearson, expected, rtol=1e-4)


def test_json_is_strict_and_whole(folder, config):
    report = json.loads(run(config, "--set", f"data.root={folder}", "--json"), parse_constant=pytest.fail)
    assert report["schema"] == 1
    assert list(report["targets"]) == [f"n{k}" for k in range(6)]


def test_wrong_suffixes_and_configs_are_refused(folder, config, tmp_path):
    flags = ("--set", f"data.root={folder}")
    assert "expected a file that ends in .html" in run(config, *flags, "--out", "page.pdf", code=1)
    assert "expected a file that ends in .csv" in run(config, *flags, "--duplicates", "ids.txt", code=1)
    train = folder / "train.csv"
    assert "is there already, among the data" in run(config, *flags, "--duplicates", train, code=1)
    assert "no such file" in run(tmp_path / "none.py", code=1)


def test_forty_thousand_targets_fit_the_screen():
    console = Console(file=io.StringIO(), width=80)
    rng = np.random.default_rng(0)
    opened = Simulated(images=20, test_images=2, neurons=2, size=16).open()
    wide = replace(
        opened,
        train=replace(opened.train, target=rng.normal(size=(20, 40_000)).astype(np.float32)),
        targets=tuple(f"v{k:05d}" for k in range(40_000)),
    )
    report = examination.describe(audit(wide, Experiment().split), "Simulated")
    examination.render(report, console)
    shown = console.file.getvalue()
    assert "40,000 targets" in shown
    assert len(shown.splitlines()) < 60


@pytest.mark.skipif(not (SHARED / "v4-210325-kaggle").is_dir(), reason="the recordings are not here")
def test_a_recordings_near_duplicates_across_splits():
    source = KaggleTable(root=str(SHARED / "v4-210325-kaggle"))
    found = audit(source.open(), Experiment().split)
    crossing = [pair for pair in found.alike if pair.second.split == "test" and pair.crosses]
    assert 2 <= len(crossing) <= 4
    assert all(pair.correlation > 0.95 for pair in crossing)
