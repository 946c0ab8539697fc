"""VizWiz's results: questions are named by their images; accuracy by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from submit import Labels, Predictions, SubmissionError, check, vizwiz_results
from submit.cli.main import main

SAID = {
    "VizWiz_val_00000002.jpg": ("unanswerable", ["unanswerable"] * 10),
    "VizWiz_val_00000001.jpg": ("other", ["blue"] * 3 + ["light blue"] * 7),
    "VizWiz_val_00000004.jpg": ("number", ["2"] + ["3"] * 9),
}
OURS = dict(zip(SAID, ("unanswerable", "blue", "2"), strict=True))


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    given = [
        {
            "image": image,
            "question": "What is it?",
            "answers": [{"answer": text, "answer_confidence": "yes"} for text in said],
            "answer_type": kind,
            "answerable": int(kind != "unanswerable"),
        }
        for image, (kind, said) in SAID.items()
    ]
    (tmp_path / "val.json").write_text(json.dumps(given))
    return tmp_path / "val.json"


def test_predictions_are_written_checked_and_scored(annotations, tmp_path):
    """All ten, three and one of ten people: 1, 0.9 and 0.3."""
    classes = np.array(["2", "blue", "unanswerable"])
    values = (classes[None] == np.array(list(OURS.values()))[:, None]).astype(np.float32)
    made = Predictions(np.array(list(OURS)), values, classes, "logits").save(tmp_path / "test.npz")
    out = tmp_path / "out.json"
    arguments = ["write", str(made), "--format", "vizwiz", "--out", str(out), "--against", str(annotations)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert json.loads(out.read_text()) == [
        {"image": image, "answer": answer} for image, answer in OURS.items()
    ]
    assert check(out, annotations) == []
    found = vizwiz_results.score(out, annotations)
    assert (found.questions, found.question_type) == (3, {})
    assert found.overall == pytest.approx((1 + 0.9 + 0.3) / 3)
    assert found.answer_type == pytest.approx({"unanswerable": 1, "other": 0.9, "number": 0.3})
    entries = json.loads(annotations.read_text())
    annotations.write_text(json.dumps(entries, sort_keys=True, indent=1))  # "answers" come first
    printed = CliRunner().invoke(main, ["vqa", str(out), str(annotations), "--json"]).stdout
    assert json.loads(printed) == found.to_dict()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"image": "x.jpg", "answer": "a"}, "1 questions in the results that are not expected: 'x.jpg'"),
        ({"image": 3, "answer": "a"}, "1 entries have an image that is no text"),
        ({"image": next(iter(OURS)), "answer": "a"}, "1 images occur more than once"),
        ({"image": "x.jpg"}, "1 entries are no objects with just image and answer"),
    ],
)
def test_faults_of_a_file(entry, said, annotations, tmp_path):
    good = [{"image": image, "answer": answer} for image, answer in OURS.items()]
    (tmp_path / "x.json").write_text(json.dumps([*good, entry]))
    assert any(fault.startswith(said) for fault in check(tmp_path / "x.json", annotations))


def test_what_is_no_file_of_questions(annotations, tmp_path):
    labels = Labels(np.array(list(OURS)), np.array(list(OURS.values())))
    (tmp_path / "q.json").write_text('{"questions": [{"question_id": 1}]}')
    with pytest.raises(SubmissionError, match=r"q\.json: expected a list of questions, found none"):
        vizwiz_results.write(labels, tmp_path / "out.json", tmp_path / "q.json")
    (tmp_path / "q.json").write_text('[{"question": "What?"}]')
    with pytest.raises(SubmissionError, match=r"q\.json: 1 of 1 questions lack one of image: number '0'"):
        vizwiz_results.check(annotations, tmp_path / "q.json")
