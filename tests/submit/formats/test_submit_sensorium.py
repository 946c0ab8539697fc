"""The CSV is read as the competition's own code reads it: pandas, and ast.literal_eval of the lists."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from submit import Predictions, SubmissionError, sensorium

TIERS = np.array(["train", "test", "final_test", "test", "validation", "final_test", "test", "train"])
TRIALS = np.array([7, 3, 40, 11, 5, 6, 200, 1])
IMAGES = np.array([0, 900, 901, 900, 1, 902, 903, 2])
NEURONS = np.array([5, 12, 9])


@pytest.fixture
def session(tmp_path: Path) -> Path:
    arrays = {"trials/tiers": TIERS, "trials/trial_idx": TRIALS, "trials/frame_image_id": IMAGES}
    for name, array in {**arrays, "neurons/unit_ids": NEURONS}.items():
        path = tmp_path / "session/meta" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    return tmp_path / "session"


@pytest.fixture
def predicted() -> Predictions:
    """In an order of its own; a value says which trial and neuron it belongs to."""
    trials, neurons = np.array([200, 40, 3, 6, 11]), np.array([9, 5, 12])
    values = trials[:, None] + neurons[None] / 1000 - 50
    return Predictions(trials.astype(str), values, neurons.astype(str), provenance={"run": "x"})


def read(path: Path) -> tuple[list[int], list[int], list[int], np.ndarray]:
    table = pd.read_csv(path)
    assert table.columns.tolist() == ["trial_indices", "image_ids", "prediction", "neuron_ids"]
    neurons = [ast.literal_eval(text) for text in table["neuron_ids"]]
    assert all(listed == neurons[0] for listed in neurons)
    values = np.array([ast.literal_eval(text) for text in table["prediction"]])
    return table["trial_indices"].tolist(), table["image_ids"].tolist(), neurons[0], values


def test_a_file_for_each_tier(predicted, session, tmp_path, monkeypatch):
    monkeypatch.setattr(sensorium, "_ROWS", 2)
    live, final = sensorium.write(predicted, tmp_path / "out", session)
    assert [live.name, final.name] == ["submission_file_live_test.csv", "submission_file_final_test.csv"]
    for path, trials, images in [(live, [3, 11, 200], [900, 900, 903]), (final, [40, 6], [901, 902])]:
        *found, values = read(path)
        assert found == [trials, images, NEURONS.tolist()]
        expected = (np.array(trials)[:, None] + NEURONS[None] / 1000 - 50).astype(np.float32)
        np.testing.assert_array_equal(values.astype(np.float32), expected)
        assert sensorium.check(path, session) == []
        assert sensorium.check(path, path) == []
        assert Path(f"{path}.provenance.json").is_file()


def test_names_that_are_no_numbers(predicted, session, tmp_path):
    np.save(session / "meta/trials/trial_idx.npy", np.char.add("t", TRIALS.astype(str)))
    np.save(session / "meta/neurons/unit_ids.npy", np.array(["b", "a", "it's"]))
    named = Predictions(np.char.add("t", predicted.ids), predicted.values, np.array(["a", "it's", "b"]))
    live, _ = sensorium.write(named, tmp_path / "out", session)
    trials, _, neurons, values = read(live)
    assert (trials, neurons) == (["t3", "t11", "t200"], ["b", "a", "it's"])
    np.testing.assert_allclose(values[0], np.array([12, 9, 5]) / 1000 - 47, rtol=1e-6)
    assert sensorium.check(live, session) == []


def test_every_fault_of_the_predictions_at_once(predicted, session, tmp_path):
    values = predicted.values.copy()
    values[1, 2] = np.inf
    ids, neurons = np.where(predicted.ids == "3", "4", predicted.ids), np.array(["9", "5", "13"])
    with pytest.raises(SubmissionError) as caught:
        sensorium.write(Predictions(ids, values, neurons), tmp_path / "out", session)
    assert str(caught.value).splitlines() == [
        f"{tmp_path / 'out'} was not written:",
        "- 1 trials missing from the predictions: '3'",
        "- 1 trials in the predictions that are not expected: '4'",
        "- 1 neurons missing from the predictions: '12'",
        "- 1 neurons in the predictions that are not expected: '13'",
        "- 1 trials hold values that are not finite: '40'",
    ]
    assert not (tmp_path / "out").exists()


GOOD = pd.DataFrame(
    {
        "trial_indices": [3, 11, 200],
        "image_ids": [900, 900, 903],
        "prediction": ["[1.0, 2.0, 3e-05]"] * 3,
        "neuron_ids": ["[5, 12, 9]"] * 3,
    }
)


def changed(row: int, column: str, value: object) -> pd.DataFrame:
    table = GOOD.astype(object)
    table.loc[row, column] = value
    return table


FAULTS = {
    "missing": (GOOD[:2], ["1 trials missing from the submission: '200'"]),
    "twice": (
        changed(1, "trial_indices", 3),
        ["1 trials occur more than once: '3'", "1 trials missing from the submission: '11'"],
    ),
    "other": (
        changed(1, "trial_indices", 9),
        [
            "1 trials missing from the submission: '11'",
            "1 trials in the submission that are not expected: '9'",
        ],
    ),
    "short": (
        changed(1, "prediction", "[1.0, 2.0]"),
        ["1 trials have no list of 3 numbers as prediction: '11'"],
    ),
    "text": (
        changed(1, "prediction", "[1.0, 2.0, x]"),
        ["1 trials have no list of 3 numbers as prediction: '11'"],
    ),
    "no list": (changed(2, "prediction", "1.0"), ["1 trials have no list of 3 numbers as prediction: '200'"]),
    "NaN": (
        changed(0, "prediction", "[1.0, nan, 2.0]"),
        ["1 trials hold values that are not finite: '3'"],
    ),
    "other neurons": (
        changed(1, "neuron_ids", "[5, 12, 8]"),
        ["1 trials list other neurons than the first: '11'"],
    ),
    "neurons": (
        GOOD.assign(neuron_ids="[5, 12, 8]"),
        [
            "1 neurons missing from the submission: '9'",
            "1 neurons in the submission that are not expected: '8'",
        ],
    ),
    "neuron twice": (
        changed(1, "prediction", "[1.0, nan, 2.0]").assign(neuron_ids="[5, 12, 5]"),
        [
            "1 trials hold values that are not finite: '11'",
            "1 neurons occur more than once: '5'",
            "1 neurons missing from the submission: '9'",
        ],
    ),
    "all": (
        pd.DataFrame(
            {
                "trial_indices": [3, 3, 4],
                "image_ids": [900, 900, 903],
                "prediction": ["[1, inf, 2]", "[]", "[1, 2, 3]"],
                "neuron_ids": ["[5, 12, 8]", "[5]", "[5, 12, 8]"],
            }
        ),
        [
            "1 trials have no list of 3 numbers as prediction: '3'",
            "1 trials hold values that are not finite: '3'",
            "1 trials list other neurons than the first: '3'",
            "1 trials occur more than once: '3'",
            "2 trials missing from the submission: '11', '200'",
            "1 trials in the submission that are not expected: '4'",
            "1 neurons missing from the submission: '9'",
            "1 neurons in the submission that are not expected: '8'",
        ],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_file(fault, session, tmp_path):
    table, expected = FAULTS[fault]
    table.to_csv(tmp_path / "x.csv", index=False)
    assert sensorium.check(tmp_path / "x.csv", session) == expected


def test_numbers_that_pandas_made_floats_are_the_same_trials_and_neurons(session, tmp_path):
    """The competition's code compares them as numbers."""
    table = GOOD.assign(trial_indices=GOOD["trial_indices"].astype(float), neuron_ids="[5.0, 12.0, 9.0]")
    table.to_csv(tmp_path / "x.csv", index=False)
    assert sensorium.check(tmp_path / "x.csv", session) == []
    repeated = pd.concat([table.astype(str), GOOD[:1].astype(str)])
    repeated.assign(neuron_ids="[5.0, 12.0, 9.0]").to_csv(tmp_path / "x.csv", index=False)
    assert sensorium.check(tmp_path / "x.csv", session) == ["1 trials occur more than once: '3'"]


def test_against_the_ground_truth(tmp_path):
    GOOD.to_csv(tmp_path / "x.csv", index=False)
    truth = GOOD[::-1].rename(columns={"prediction": "responses"}).assign(neuron_ids="[12, 5, 9]")
    truth.to_csv(tmp_path / "truth.csv", index=False)
    assert sensorium.check(tmp_path / "x.csv", tmp_path / "truth.csv") == []
    assert sensorium.check(tmp_path / "x.csv") == []


def test_files_that_cannot_be_used(predicted, session, tmp_path):
    (tmp_path / "x.csv").write_text("trial_indices,prediction\n3,[1]\n")
    assert "expected the columns trial_indices, image_ids" in sensorium.check(tmp_path / "x.csv", session)[0]
    assert "the file cannot be read" in sensorium.check(tmp_path / "none.csv", session)[0]
    GOOD[:0].to_csv(tmp_path / "x.csv", index=False)
    assert "expected a row a trial, found none" in sensorium.check(tmp_path / "x.csv", session)[0]
    GOOD.to_csv(tmp_path / "x.csv", index=False)
    changed(0, "neuron_ids", "5 12").to_csv(tmp_path / "y.csv", index=False)
    assert "neuron_ids: expected a list of neurons, found '5 12'" in sensorium.check(tmp_path / "y.csv")[0]
    for text in ("'abc'", "[]", "5", "{}"):
        GOOD.assign(neuron_ids=text).to_csv(tmp_path / "y.csv", index=False)
        assert "neuron_ids: expected a list of neurons, found" in sensorium.check(tmp_path / "y.csv")[0]
    (tmp_path / "y.csv").write_text((tmp_path / "x.csv").read_text() + "5,900\n")
    assert sensorium.check(tmp_path / "y.csv")[0] == "1 trials have no list of 3 numbers as prediction: '5'"
    with pytest.raises(
        SubmissionError, match=r"tiers\.npy: there is no such file; expected one value a trial"
    ):
        sensorium.check(tmp_path / "x.csv", tmp_path)
    np.save(session / "meta/trials/tiers.npy", TIERS[:3])
    with pytest.raises(SubmissionError, match="expected as many tiers, trial_idx and frame_image_id"):
        sensorium.write(predicted, tmp_path / "out", session)
    np.save(session / "meta/trials/tiers.npy", np.array(["train"] * 8))
    with pytest.raises(SubmissionError, match="expected trials of the tiers test, final_test, found none"):
        sensorium.write(predicted, tmp_path / "out", session)


def official(submission: Path, truth: Path) -> bool:
    """Whether the competition's reading takes it: pandas, ast.literal_eval, numpy, equality of the sorted names."""
    sides = []
    for path, column in ((truth, "responses"), (submission, "prediction")):
        table = pd.read_csv(path)
        neurons = np.array(ast.literal_eval(table["neuron_ids"][0]))
        values = np.array([ast.literal_eval(text) for text in table[column]])
        sides.append((np.sort(table["trial_indices"].to_numpy()), np.sort(neurons), np.sqrt(values.var(0))))
    return all(bool(np.equal(*side).all()) for side in zip(*(side[:2] for side in sides), strict=True))


READ = {
    "good": (("prediction", "[1.0, 2.0, 3e-05]"), True),
    "exponents, signs and whole numbers": (("prediction", "[+1.5E+3, -.5, 0]"), True),
    "points and zeros": (("prediction", "[1., 00, 01.5]"), True),
    "a comma at the end": (("prediction", "[1, 2, 3, ]"), True),
    "leading zero": (("prediction", "[01, 2.0, 3.0]"), False),
    "full-width digits": (("prediction", "[\uff11.0, 2.0, 3.0]"), False),
    "arabic digits": (("prediction", "[\u0661, 2.0, 3.0]"), False),
    "beyond 64 bits": (("prediction", f"[{2**64}, 2, 3]"), False),
    "without commas": (("prediction", "[1. 2. 3.]"), False),
    "not finite": (("prediction", "[nan, 2.0, 3.0]"), False),
    "numpy's": (("prediction", "[np.float64(1.0), 2.0, 3.0]"), False),
    "neurons as text": (("neuron_ids", '["5", "12", "9"]'), False),
    "one neuron as text": (("neuron_ids", '[5, "12", 9]'), False),
    "neuron with a leading zero": (("neuron_ids", "[05, 12, 9]"), False),
    "neurons as floats": (("neuron_ids", "[5.0, 12.0, 9.0]"), True),
    "full-width neurons": (("neuron_ids", "[\uff15, 12, 9]"), False),
    "neuron beyond 64 bits": (("neuron_ids", f"[{2**64 + 5}, 12, 9]"), False),
    "nested": (("neuron_ids", "[[5], [12], [9]]"), False),
    "trial as a float": (("trial_indices", "3.0"), True),
    "trial with a leading zero": (("trial_indices", "03"), True),
    "full-width trial": (("trial_indices", "\uff13"), False),
    "trial beyond 64 bits": (("trial_indices", str(2**64 + 3)), False),
}


@pytest.mark.parametrize("case", READ)
def test_a_file_passes_where_the_competitions_code_reads_it(case, tmp_path):
    """The kind: numbers in another notation than Python's and pandas'; each column that the code reads."""
    (column, cell), expected = READ[case]
    truth = GOOD.rename(columns={"prediction": "responses"})
    truth.to_csv(tmp_path / "truth.csv", index=False)
    table = GOOD.astype(str)
    table.loc[0 if column == "trial_indices" else slice(None), column] = cell
    table.to_csv(tmp_path / "x.csv", index=False)
    try:
        taken = official(tmp_path / "x.csv", tmp_path / "truth.csv")
    except (ValueError, SyntaxError, TypeError, AttributeError):
        taken = False
    assert taken is expected
    found = sensorium.check(tmp_path / "x.csv", tmp_path / "truth.csv")
    assert (found == []) is expected, found
    if column != "trial_indices" and case != "nested":
        assert (sensorium.check(tmp_path / "x.csv") == []) is expected
