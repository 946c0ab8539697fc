"""Folders of one npy file a trial: tiers, scaling, repeats, and what is said of faults."""

from pathlib import Path

import numpy as np
import pytest
from tiny import trained_run

from jaxlab import load
from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.data import ColumnSplit, Images, Sensorium, decode
from jaxlab.data.sources.repeats import by_image

TIERS = np.array(["train", "test", "validation", "train", "none", "test", "train", "test", "test", "train"])
SHOWN = np.array([40, 7, 30, 41, 9, 8, 42, 7, 8, 40])  # 7 and 8 in the test, 40 in training: twice
IDX = np.array([100, 103, 102, 101, 104, 105, 109, 107, 108, 106])
UNITS = np.array([11, 5, 30, 8])


def session(folder: Path, scale: float = 1.0, size: int = 6, tiers=TIERS, shown=SHOWN, idx=IDX):
    """A session's folder; its pictures (n, h, w, 1) and responses (n, 4)."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (shown.max() + 1, size, 8, 1), dtype=np.uint8)[shown]
    responses = rng.normal(size=(len(tiers), 4)) * [1, 10, 3, 0.001] + 5
    arrays = {
        "images": np.moveaxis(pictures, 3, 1) * np.float32(scale),
        "responses": responses.astype(np.float32),
        "behavior": rng.normal(size=(len(tiers), 3)),
        "pupil_center": rng.normal(size=(len(tiers), 2)),
    }
    for name, values in arrays.items():
        (folder / "data" / name).mkdir(parents=True)
        for row, value in enumerate(values):
            np.save(folder / "data" / name / f"{row}.npy", value)
    (folder / "meta/trials").mkdir(parents=True)
    (folder / "meta/neurons").mkdir()
    np.save(folder / "meta/neurons/unit_ids.npy", UNITS)
    for name, values in {"tiers": tiers, "frame_image_id": shown, "trial_idx": idx}.items():
        np.save(folder / f"meta/trials/{name}.npy", values)
    return pictures, arrays


def opened(folder: Path):
    return Sensorium(root=str(folder)).open()


def test_trials_by_tier(tmp_path: Path) -> None:
    pictures, arrays = session(tmp_path)
    data = opened(tmp_path)
    labelled, test = [0, 2, 3, 6, 9], [1, 5, 7, 8]
    assert data.train.ids.tolist() == ["100", "102", "101", "109", "106"]
    assert data.test.ids.tolist() == ["103", "105", "107", "108"]
    assert data.targets == ("11", "5", "30", "8")
    split = ColumnSplit(column="tier", validation="validation").split(data.train)
    assert [side.tolist() for side in split] == [[0, 2, 3, 4], [1]]
    for samples, rows in ((data.train, labelled), (data.test, test)):
        images = decode(samples, np.arange(len(rows)), Images(channels=1))
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, pictures[rows])
        for name in ("behavior", "pupil_center"):
            np.testing.assert_allclose(samples.columns[name], arrays[name][rows], rtol=1e-6)
    of = data.train.image_of
    assert (of[0] == of[4], len(np.unique(of))) == (True, 4)
    assert data.test.image_of.tolist() == [0, 1, 0, 1]
    assert data.train.checksum(0) == data.train.checksum(4) != data.train.checksum(1)


def test_responses_are_divided_by_the_training_deviation(tmp_path: Path) -> None:
    _, arrays = session(tmp_path)
    responses = arrays["responses"].astype(np.float64)
    deviation = responses[TIERS == "train"].std(0)
    deviation[3] = 0.01 * deviation.mean()  # almost silent: divided by no less than 1% of the mean deviation
    np.testing.assert_allclose(
        opened(tmp_path).train.target, responses[[0, 2, 3, 6, 9]] / deviation, rtol=1e-5
    )


def test_responses_that_are_missing_where_that_is_asked_for(tmp_path: Path) -> None:
    _, arrays = session(tmp_path)
    responses = arrays["responses"].astype(np.float64)
    for row, column in ((0, 1), (2, 2), (9, 1)):
        responses[row, column] = np.nan
        np.save(tmp_path / f"data/responses/{row}.npy", responses[row])
    data = Sensorium(root=str(tmp_path), missing_targets=True)
    deviation = np.nanstd(responses[TIERS == "train"], 0)
    deviation[3] = 0.01 * deviation.mean()
    np.testing.assert_allclose(data.open().train.target, responses[[0, 2, 3, 6, 9]] / deviation, rtol=1e-5)
    assert "missing_targets" not in to_json(Sensorium(root=str(tmp_path)))
    np.save(tmp_path / "data/responses/0.npy", np.full(4, np.inf))
    with pytest.raises(UserError, match=r"1 trials hold values that are not finite \(0\.npy\)"):
        data.open()


def test_repeats_of_test_images_give_the_ceiling(tmp_path: Path) -> None:
    tiers, shown = np.array(["train"] * 4 + ["test"] * 900), np.r_[:4, 100 + np.arange(900) % 300]
    session(tmp_path, size=4, tiers=tiers, shown=shown, idx=np.arange(904))
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(300, 4)) * [1, 2, 1, 0]
    for row in range(4, 904):
        trial = signal[shown[row] - 100] + rng.normal(size=4)
        np.save(tmp_path / f"data/responses/{row}.npy", trial)
    np.testing.assert_allclose(opened(tmp_path).ceiling, [1 / 2, 4 / 5, 1 / 2, 0], atol=0.12)
    assert not opened(tmp_path).notes
    (tmp_path / "data/responses/800.npy").unlink()
    half = opened(tmp_path)
    assert half.ceiling is None
    assert "1 of 900 trials of tier 'test' have no file (800.npy)" in half.notes[0]


def test_blank_test_responses_give_no_ceiling(tmp_path: Path) -> None:
    session(tmp_path)
    for row in np.flatnonzero(TIERS == "test"):
        np.save(tmp_path / f"data/responses/{row}.npy", np.zeros(4))
    assert opened(tmp_path).ceiling is None


def test_trials_are_grouped_by_image() -> None:
    responses = np.arange(10.0).reshape(5, 2)
    repeats = by_image(responses, np.array([3, 9, 3, 3, 9]))
    nan = [np.nan, np.nan]
    np.testing.assert_array_equal(repeats, [[[0, 1], [4, 5], [6, 7]], [[2, 3], [8, 9], nan]])


@pytest.mark.parametrize("scale", [1 / 255, 0.93])
def test_images_stored_as_floats(tmp_path: Path, scale: float) -> None:
    pictures, _ = session(tmp_path, scale)
    images = decode(opened(tmp_path).train, np.arange(5), Images(channels=1))
    if scale < 0.5:
        np.testing.assert_array_equal(images, pictures[[0, 2, 3, 6, 9]])
    else:
        np.testing.assert_allclose(images, pictures[[0, 2, 3, 6, 9]] * (scale / 255), rtol=1e-5)


def remove(*names: str):
    return lambda folder: [(folder / f"{name}.npy").unlink() for name in names]


def save(name: str, values: object):
    return lambda folder: np.save(folder / f"{name}.npy", values)  # type: ignore[arg-type]


def normalized(folder: Path) -> None:
    for file in (folder / "data/images").iterdir():
        np.save(file, (np.load(file) - 110) / 60)


def constant(folder: Path) -> None:
    for file in (folder / "data/responses").iterdir():
        np.save(file, np.ones(4))


FAULTS = {
    "meta": (
        remove("meta/trials/tiers", "meta/neurons/unit_ids"),
        ["tiers.npy: no such file", "unit_ids.npy: no such file"],
    ),
    "meta lengths": (
        save("meta/trials/trial_idx", IDX[:9]),
        [
            "expected one value a trial",
            "trials/tiers (10,), trials/frame_image_id (10,), trials/trial_idx (9,)",
        ],
    ),
    "objects": (save("meta/trials/tiers", np.array([{}] * 10)), ["tiers.npy: cannot be read (Object arrays"]),
    "trial ids": (save("meta/trials/trial_idx", IDX // 2), ["trial_idx.npy: 5 values more than once"]),
    "no training": (
        save("meta/trials/tiers", np.full(10, "test")),
        ["expected trials of tier 'train', found test"],
    ),
    "images": (
        remove("data/images/0", "data/images/8"),
        ["images: 2 of 9 trials have no image (0.npy, 8.npy)"],
    ),
    "responses": (remove("data/responses/3"), ["responses: 1 of 5 trials have no file (3.npy)"]),
    "neurons": (
        save("meta/neurons/unit_ids", UNITS[:3]),
        ["a trial has 4 responses, but unit_ids.npy names 3"],
    ),
    "ragged": (
        save("data/responses/2", np.ones(3)),
        ["2.npy: expected numbers (4,) as 0.npy has, found (3,)"],
    ),
    "NaN": (
        save("data/responses/2", np.full(4, np.nan)),
        ["1 trials hold values that are not finite (2.npy)", "data.missing_targets=true leaves them out"],
    ),
    "silent": (constant, ["every neuron is constant over the training tier"]),
    "behavior": (remove("data/behavior/0"), ["behavior: 1 of 5 trials have no file"]),
    "normalised": (normalized, ["expected levels 0 to 255 or 0 to 1, found -1.8", "normalised already?"]),
    "channels": (
        save("data/images/0", np.ones((2, 6, 8))),
        ["0.npy: expected (1 or 3, h, w), found (2, 6, 8)"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_explained(tmp_path: Path, fault: str) -> None:
    session(tmp_path)
    change, words = FAULTS[fault]
    change(tmp_path)
    with pytest.raises(UserError) as error:
        opened(tmp_path)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.slow
def test_trains_and_predicts(tmp_path: Path) -> None:
    tiers = np.array(["train"] * 32 + ["validation"] * 8 + ["test"] * 6)
    session(tmp_path, size=16, tiers=tiers, shown=np.r_[:40, [50, 51] * 3], idx=np.arange(46))
    split = ColumnSplit(column="tier", validation="validation")
    settings = ["training.epochs=none", "training.steps=2", "images.channels=1", "images.size=(16, 16)"]
    run = load(trained_run(tmp_path, tmp_path / "run", *settings, data=Sensorium(), split=split))
    assert run.predict_split("test").ids.tolist() == [str(k) for k in range(40, 46)]
    assert run.targets == ("11", "5", "30", "8")
    assert "noise_normalised" in run.evaluate()["validation"]
