"""Prepared data: what Tfds and plain tensorflow_datasets read back, and what is refused."""

import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jaxlab.cli.main import main
from jaxlab.core.types import Samples, UserError
from jaxlab.data import Arrays, Images, KaggleTable, Simulated, Tfds, decode
from jaxlab.data.prepare import prepare, shards
from jaxlab.data.readers import tfds_records
from jaxlab.data.readers.image_files import file_samples
from jaxlab.data.source import Opened, fingerprint

pytest.importorskip("tensorflow_datasets", reason="needs jaxlab[tfds]")
pytest.importorskip("array_record", reason="needs jaxlab[tfds]")

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
RNG = np.random.default_rng(0)


def samples(images: np.ndarray, prefix: str, **fields: object) -> Samples:
    of = fields.get("image_of", np.arange(len(images)))
    return Samples(
        ids=np.array([f"{prefix}{k}-é" for k in range(len(of))]),
        read=lambda k: images[of[k]],
        checksum=lambda k: hashlib.sha256(images[of[k]].tobytes()).digest(),
        **fields,
    )


def pixels(count: int, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (count, 10, 12, channels), dtype=np.uint8)


def responses(count: int = 30) -> np.ndarray:
    return RNG.normal(size=(count, 7)).astype(np.float32)


def regression() -> Opened:
    """Everything that goes with targets; the test images have none of it but one column."""
    columns = {
        "subject": np.array([f"s{k % 3} " for k in range(30)]),
        "weight": RNG.normal(size=30),
        "trial": RNG.integers(0, 9, (30, 2), dtype=np.int16),
        "first/seen": np.arange(30) % 2 == 0,
        "words": np.array([["", f"ö{k}"] for k in range(30)]),
    }
    rois = {"V1": np.arange(7) < 3, "floc/faces": np.arange(7) % 2 == 0, "none": np.zeros(7, bool)}
    return Opened(
        train=samples(pixels(30), "train", target=responses(), columns=columns),
        test=samples(pixels(5), "test", columns={"subject": np.array(list("abcde"))}),
        kind="regression",
        targets=tuple(f"left {k}" for k in range(7)),
        ceiling=RNG.uniform(size=7),
        rois=rois,
    )


def classes() -> Opened:
    return Opened(
        train=samples(pixels(30, 1), "", label=RNG.integers(0, 3, 30).astype(np.int32)),
        test=None,
        kind="classification",
        targets=("10", "2 b", "ü"),
    )


def both() -> Opened:
    """Targets and labels, and test images whose targets are known."""
    data = regression()
    label = RNG.integers(0, 2, 30).astype(np.int32)
    test = replace(data.test, target=responses(5), label=np.int32([0, 1, 1, 0, 1]))
    return replace(data, train=replace(data.train, label=label), test=test, classes=("cat", "dog"))


def floats() -> Opened:
    images = RNG.normal(size=(30, 10, 12, 3)).astype(np.float32)
    return replace(regression(), train=samples(images, "x", target=responses()), test=None)


def questions() -> Opened:
    """Ten images, of which several samples show the same."""
    of = RNG.integers(0, 10, 30)
    label = np.where(np.arange(30) % 5, of % 2, -1).astype(np.int32)  # -1: an answer that is no class
    train = samples(pixels(10), "q", image_of=of, label=label, columns={"question": of.astype(str)})
    test = samples(pixels(4), "t")
    return Opened(train=train, test=test, kind="classification", targets=("no", "yes"))


def written(data: Opened, out: Path, images: Images | None = None) -> Path:
    prepare.prepare(data, images or Images(size=(6, 5)), out, {"source": "by hand"})
    return out


def reopened(out: Path, **fields: object) -> Opened:
    return Tfds(root=str(out), **fields).open()


def assert_equal(expected: Opened, found: Opened, images: Images) -> None:
    assert (found.kind, found.targets, found.classes) == (expected.kind, expected.targets, expected.classes)
    assert (found.ceiling is None) == (expected.ceiling is None)
    np.testing.assert_array_equal(found.ceiling, expected.ceiling)
    assert found.rois.keys() == expected.rois.keys()
    for name, mask in expected.rois.items():
        assert found.rois[name].dtype == bool
        np.testing.assert_array_equal(found.rois[name], mask)
    assert (found.test is None) == (expected.test is None)
    for old, new in ((expected.train, found.train), (expected.test, found.test)):
        if old is not None:
            assert_same_samples(old, new, images)


def assert_same_samples(old: Samples, new: Samples, images: Images) -> None:
    for name in ("ids", "target", "label", "image_of"):
        one, other = getattr(old, name), getattr(new, name)
        assert (one is None) == (other is None), name
        np.testing.assert_array_equal(other, one)
        if name in ("target", "label") and one is not None:
            assert one.dtype == other.dtype
    assert new.columns.keys() == old.columns.keys()
    for name, values in old.columns.items():
        np.testing.assert_array_equal(new.columns[name], values)
        assert new.columns[name].dtype.kind == values.dtype.kind
    everything = np.arange(len(old))
    decoded = decode(new, everything, Images(channels=images.channels))
    np.testing.assert_array_equal(decoded, decode(old, everything, images))


@pytest.mark.parametrize("make", [regression, classes, both, floats, questions])
@pytest.mark.parametrize("images", [Images(size=(6, 5)), Images(channels=1)], ids=["small", "grey"])
def test_everything_is_read_back(
    tmp_path: Path, make: Callable[[], Opened], images: Images, monkeypatch
) -> None:
    monkeypatch.setattr(shards, "_SHARD_BYTES", 1500)  # several shards
    data = make()
    out = written(data, tmp_path / "out", images)
    assert_equal(data, reopened(out), images)
    assert len(list(out.glob("out-train.array_record-*-of-*"))) > 1
    assert "tensorflow" not in sys.modules


def test_one_objective_of_two(tmp_path: Path) -> None:
    data = both()
    out = written(data, tmp_path / "out")
    labelled = reopened(out, label="label")
    assert (labelled.kind, labelled.targets, labelled.rois) == ("classification", ("cat", "dog"), {})
    np.testing.assert_array_equal(labelled.train.label, data.train.label)
    targeted = reopened(out, target=("target",), columns=("columns/weight",))
    assert (targeted.targets, targeted.train.label) == (data.targets, None)
    assert list(targeted.train.columns) == ["weight"]


def test_the_manifest_names_every_file_and_what_it_was_made_of(tmp_path: Path) -> None:
    data = regression()
    out = written(data, tmp_path / "out")
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["source"], manifest["fingerprint"]) == ("by hand", fingerprint(data))
    files = {path.name for path in out.iterdir()} - {"manifest.json"}
    assert manifest["files"].keys() == files
    for name in files:
        content = (out / name).read_bytes()
        known = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert manifest["files"][name] == known


@pytest.mark.parametrize("name", ["64px", "Übung 3.data", "é"])
def test_any_name_of_a_folder(tmp_path: Path, name: str) -> None:
    data = classes()
    assert_equal(data, reopened(written(data, tmp_path / "new" / name)), Images(size=(6, 5)))


def test_a_kaggle_folder_keeps_its_sample_submission(tmp_path: Path) -> None:
    Simulated(images=8, test_images=3, neurons=2, size=16).write_kaggle(tmp_path / "kaggle")
    data = KaggleTable(root=str(tmp_path / "kaggle")).open()
    found = reopened(written(data, tmp_path / "out", Images()))
    assert_equal(data, found, Images())
    assert found.sample_submission.read_text() == data.sample_submission.read_text()


PLAIN = """
import sys
import numpy as np
import tensorflow_datasets as tfds

builder = tfds.builder_from_directory(sys.argv[1])
sources, found = builder.as_data_source(), {}
for split, source in sources.items():
    records = list(source)
    for name in ("image", "id", "target", "label"):
        found[f"{split}-{name}"] = np.array([record[name] for record in records])
    found[f"{split}-subject"] = np.array([record["columns"]["subject"] for record in records])
found["classes"] = np.array(builder.info.features["label"].names)
found["targets"] = np.array(builder.info.metadata["targets"])
found["supervised"] = np.array(builder.info.supervised_keys)
np.savez(sys.argv[2], **found)
absent = {"jaxlab", "submit", "jax", "tensorflow"} & {name.split(".")[0] for name in sys.modules}
assert not absent, absent
"""


@pytest.mark.slow
def test_plain_tensorflow_datasets_reads_it(tmp_path: Path) -> None:
    """In a process that knows neither jaxlab nor TensorFlow, from a folder that was moved."""
    data = both()
    out = written(data, tmp_path / "out").rename(tmp_path / "moved")
    command = [sys.executable, "-c", PLAIN, str(out), str(tmp_path / "found.npz")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz") as found:
        for split, part in (("train", data.train), ("test", data.test)):
            images = decode(part, np.arange(len(part)), Images(size=(6, 5)))
            np.testing.assert_array_equal(found[f"{split}-image"], images)
            assert [name.decode() for name in found[f"{split}-id"]] == part.ids.tolist()
            np.testing.assert_array_equal(found[f"{split}-target"], part.target)
            np.testing.assert_array_equal(found[f"{split}-label"], part.label)
            assert [who.decode() for who in found[f"{split}-subject"]] == part.columns["subject"].tolist()
        assert found["classes"].tolist() == ["cat", "dog"]
        assert tuple(found["targets"]) == data.targets
        assert found["supervised"].tolist() == ["image", "target"]


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


SHARD = "out-train.array_record-00000-of-00001"
SPOILT = {
    "truncated": (lambda f: (f / SHARD).write_bytes((f / SHARD).read_bytes()[:-1]), [SHARD, "instead of"]),
    "missing": (lambda f: (f / SHARD).unlink(), [f"{SHARD} is missing"]),
    "features": (lambda f: flipped(f / "features.json"), ["features.json has another content (SHA-256)"]),
    "names": (lambda f: (f / "metadata.json").unlink(), ["metadata.json is missing"]),
    "manifest": (lambda f: (f / "manifest.json").write_text("{"), ["manifest.json is not whole JSON"]),
    "version": (lambda f: (f / "manifest.json").write_text("{}"), ["expected schema 1, found None"]),
}


@pytest.mark.parametrize("case", SPOILT)
def test_damage_is_refused_at_once(tmp_path: Path, case: str) -> None:
    spoil, words = SPOILT[case]
    out = written(regression(), tmp_path / "out")
    spoil(out)
    with pytest.raises(UserError) as error:
        reopened(out)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("case", [*SPOILT, "content"])
def test_what_is_damaged_is_prepared_again_by_the_same_command(tmp_path: Path, case: str) -> None:
    spoil = flipped_shard if case == "content" else SPOILT[case][0]
    data = regression()
    out = written(data, tmp_path / "out")
    whole = fingerprint(reopened(out))
    spoil(out)
    written(data, out)
    assert fingerprint(reopened(out)) == whole
    assert list(tmp_path.iterdir()) == [out]


def flipped_shard(folder: Path) -> None:
    flipped(folder / SHARD)


def test_a_folder_of_somebody_elses_stays_whatever_its_manifest_says(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/manifest.json").write_text("{}")
    with pytest.raises(UserError, match="out exists already"):
        written(regression(), tmp_path / "out")


def test_a_shard_of_another_content_is_refused_when_its_data_are_fingerprinted(tmp_path: Path) -> None:
    """One that reads well, of the same size: a shard of other data under the same name."""
    out, other = (written(regression(), tmp_path / folder / "out") for folder in ("a", "b"))
    content = (other / SHARD).read_bytes()
    assert len(content) == (out / SHARD).stat().st_size
    assert fingerprint(reopened(out))
    (out / SHARD).write_bytes(content)
    data = reopened(out)
    with pytest.raises(UserError, match=rf"out is not what manifest.json says: {SHARD} has another content"):
        fingerprint(data)


def test_a_split_without_classes_is_not_trained_on(tmp_path: Path) -> None:
    out = written(questions(), tmp_path / "out")
    with pytest.raises(UserError, match=r"4 records have no class in 'label' \(t0-é"):
        reopened(out, train="test")
    out = written(regression(), tmp_path / "responses")
    with pytest.raises(UserError, match=r"5 records have targets that are not finite \(test0-é"):
        reopened(out, train="test")


def test_texts_of_which_one_is_long_do_not_all_take_its_room(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tfds_records, "_CHARACTERS", 1000)
    texts = np.array(["ö" * 100, *map(str, range(29))], dtype=object)
    answers = np.array([[f"a{k}", "b"] for k in range(30)], dtype=object)
    data = classes()
    columns = {"text": texts, "answers": answers}
    found = reopened(written(replace(data, train=replace(data.train, columns=columns)), tmp_path / "out"))
    assert found.train.columns["text"].dtype == object
    assert found.train.columns["text"].tolist() == texts.tolist()
    assert found.train.columns["answers"].dtype.kind == "U"
    np.testing.assert_array_equal(found.train.columns["answers"], answers)


def test_images_of_several_sizes_need_one_to_be_brought_to(tmp_path: Path) -> None:
    """As when training: they are not stretched unasked."""
    data = regression()
    data = replace(data, train=replace(data.train, read=lambda k: np.zeros((10, 12 + (k == 2), 3), np.uint8)))
    with pytest.raises(UserError, match=r"train2-é: is \(10, 13\) .* where the first image is \(10, 12\)"):
        written(data, tmp_path / "out", Images())


def test_what_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="out exists already"):
        written(regression(), tmp_path / "out")


def test_unusable_images_are_all_named_and_nothing_is_left(tmp_path: Path) -> None:
    data = regression()

    def read(position: int) -> np.ndarray:
        if position in (3, 17):
            raise UserError(f"{position}.png: not an image")
        return data.train.read(position)

    with pytest.raises(UserError, match=r"2 of 35 images cannot be used: 3.png: not an image, 17.png"):
        written(replace(data, train=replace(data.train, read=read)), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_noticed_before(tmp_path: Path, monkeypatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shards.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"train needs about .* GB, and 0.0 GB are free; make images.size"):
        written(regression(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [("a", "a ", "b"), ("a", "b\nc", "d"), ("a", "", "b"), ("a", "b", "a")])
def test_class_names_that_a_line_cannot_hold(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="expected distinct names"):
        written(replace(classes(), targets=names), tmp_path / "out")


def test_only_a_few_records_are_made_ahead() -> None:
    made: list[int] = []

    def encode(position: int) -> bytes:
        made.append(position)
        return bytes(position)

    threads = os.cpu_count() or 1
    records = iter(shards._in_order(encode, 10_000))
    for position in range(3):
        assert len(next(records)) == position
        time.sleep(0.2)  # as a slow disk does
        assert len(made) <= position + 1 + 6 * threads
    records.close()


CONFIG = """
from jaxlab.data import Arrays, Images, KaggleTable
from jaxlab.experiment import Experiment, Training
from jaxlab.models import ResNet

source = KaggleTable()
experiment = {}
"""


def command(folder: Path, experiment: str, *arguments: object) -> tuple[int, str]:
    (folder / "config.py").write_text(CONFIG.format(experiment))
    arguments = ("data", "prepare", folder / "config.py", folder / "out", *arguments)
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code, result.output


@pytest.fixture
def kaggle(tmp_path: Path) -> str:
    Simulated(images=8, test_images=3, neurons=2, size=16).write_kaggle(tmp_path / "kaggle")
    return f"root={tmp_path / 'kaggle'}"


@pytest.mark.parametrize("how", [("--set", "images.size=(9, 7)"), ("--size", 9, 7)], ids=["set", "size"])
def test_the_command(tmp_path: Path, kaggle: str, how: tuple) -> None:
    code, said = command(
        tmp_path, "Experiment(data=source, images=Images(filter='bicubic'))", "--set", f"data.{kaggle}", *how
    )
    assert code == 0, said
    assert "8 labelled images and 3 to predict, 2 targets" in said
    assert f"data=Tfds(root='{tmp_path / 'out'}')" in said
    original = KaggleTable(root=str(tmp_path / "kaggle")).open()
    assert_equal(original, reopened(tmp_path / "out"), Images(size=(9, 7), filter="bicubic"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["source"]["type"] == "KaggleTable"
    assert manifest["images"]["filter"] == "bicubic"
    assert {"python", "versions", "commit"} <= manifest.keys()
    assert manifest["versions"]["tensorflow-datasets"]
    assert str(tmp_path) not in (tmp_path / "out" / "manifest.json").read_text()


def test_the_command_takes_a_source_alone(tmp_path: Path, kaggle: str) -> None:
    code, said = command(tmp_path, "source", "--set", kaggle)
    assert code == 0, said
    assert_equal(KaggleTable(root=str(tmp_path / "kaggle")).open(), reopened(tmp_path / "out"), Images())


def test_the_command_refuses_what_it_cannot_prepare(tmp_path: Path, kaggle: str) -> None:
    code, said = command(tmp_path, "Images()")
    assert code == 1
    assert "expected an Experiment or a source of data, found Images" in said
    resnet = "Experiment(data=source, model=ResNet(pretrained='timm/resnet18.a1_in1k'))"
    code, said = command(tmp_path, resnet, "--set", f"data.{kaggle}", "--size", 8, 8)
    assert code == 1
    assert "leaves images.filter to the pretrained weights" in said
    cut = resnet.replace("model=", "images=Images(policy='crop', crop_fraction=0.9), model=")
    code, said = command(tmp_path, cut, "--set", f"data.{kaggle}", "--size", 8, 8)
    assert "leaves images.filter and images.crop_from to the pretrained weights" in said
    both = ("--set", "images.filter=area")
    code, said = command(tmp_path, resnet, "--set", f"data.{kaggle}", "--size", 8, 8, *both)
    assert code == 0, said


@pytest.mark.slow
def test_real_recordings(tmp_path: Path) -> None:
    folder = SHARED / "v4-210325-kaggle"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    data, images = KaggleTable(root=str(folder)).open(), Images(size=(64, 64))
    assert_equal(data, reopened(written(data, tmp_path / "v4", images)), images)


@pytest.mark.slow
def test_training_on_prepared_data_is_training_on_the_data(
    trained: Path, arrays_npz: Path, tmp_path: Path
) -> None:
    """The same split, batches and scores, bit for bit."""
    from tiny import TINY, trained_run

    from jaxlab.runs.api import load

    data = Arrays(root=str(arrays_npz)).open()
    out = written(data, tmp_path / "out", TINY.images)
    run = trained_run(out, tmp_path / "run", data=Tfds(), images=Images(size=TINY.images.size))

    def scores(path: Path) -> list[dict]:
        lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        return [{name: value for name, value in line.items() if "second" not in name} for line in lines]

    assert scores(run) == scores(trained)
    found, known = (load(path).predict_split("test", "best") for path in (run, trained))
    assert found.ids.tolist() == known.ids.tolist()
    np.testing.assert_array_equal(found.values, known.values)


def test_png_keeps_every_pixel() -> None:
    for image in (pixels(1)[0], pixels(1, 1)[0]):
        decoded = np.asarray(Image.open(io.BytesIO(prepare._png(image))))
        np.testing.assert_array_equal(decoded.reshape(image.shape), image)


def test_images_of_more_than_8_bits_are_stored_as_training_would_see_them(tmp_path: Path, capsys) -> None:
    levels = RNG.integers(0, 4096, (6, 8, 8)).astype(np.uint16)
    for k, image in enumerate(levels):
        Image.fromarray(image).save(tmp_path / f"i{k}.png")
    files = [tmp_path / f"i{k}.png" for k in range(6)]
    train = file_samples(
        np.array([f"i{k}" for k in range(6)]), files, target=RNG.normal(size=(6, 1)).astype(np.float32)
    )
    opened = Opened(train=train, test=None, kind="regression", targets=("n0",))
    prepare.prepare(opened, Images(channels=1), tmp_path / "prepared", {})
    assert "0 is black and 4095 white" in capsys.readouterr().err
    assert json.loads((tmp_path / "prepared/manifest.json").read_text())["levels"] == 4095
    found = Tfds(root=str(tmp_path / "prepared")).open().train
    got = np.stack([found.read(k) for k in range(6)])
    np.testing.assert_array_equal(got[..., 0], np.round(levels * 255.0 / 4095))
