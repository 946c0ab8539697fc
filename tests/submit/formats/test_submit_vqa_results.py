import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from submit import Labels, Predictions, SubmissionError, vqa_results
from submit.cli.main import main
from submit.formats import answer_files

# (question_id, type of answer, type of question, what ten people said)
ASKED = [
    (11, "yes/no", "is the", ["yes"] * 10),
    (2, "number", "how many", ["2"] * 3 + ["3"] * 7),
    (458, "other", "what is", ["red"] + ["blue"] * 9),
    (30, "other", "what is", ["blue"] * 10),
]
ANSWERS = {11: "yes", 2: "two", 458: "red", 30: "green"}


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    asked = [{"question_id": number, "image_id": 1, "question": "?"} for number, *_ in ASKED]
    return dumped(tmp_path / "questions.json", {"questions": asked})


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    given = [
        {
            "question_id": number,
            "answer_type": answer,
            "question_type": question,
            "answers": [{"answer": text, "answer_id": k} for k, text in enumerate(said, start=1)],
        }
        for number, answer, question, said in ASKED
    ]
    return dumped(tmp_path / "annotations.json", {"annotations": given})


@pytest.fixture
def labels() -> Labels:
    return Labels(np.array([str(number) for number in ANSWERS]), np.array(list(ANSWERS.values())))


@pytest.fixture
def annotators_agree() -> Labels:
    answers = {**ANSWERS, 11: "Yes."}
    return Labels(np.array([str(number) for number in answers]), np.array(list(answers.values())))


def dumped(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def entries(answers: dict[int, str] | None = None) -> list[dict[str, Any]]:
    return [{"question_id": number, "answer": text} for number, text in (answers or ANSWERS).items()]


def test_answers_are_written_as_the_benchmark_reads_them(labels, questions, tmp_path, monkeypatch):
    monkeypatch.setattr(answer_files, "_LINES", 3)
    path = vqa_results.write(labels, tmp_path / "out.json", questions)
    assert json.loads(path.read_text()) == entries()
    assert vqa_results.check(path, questions) == []
    assert (tmp_path / "out.json.provenance.json").is_file()


def test_classes_with_the_highest_score(tmp_path):
    scores = Predictions(
        np.array(["7", "8"]), np.array([[1, 2], [3, 0]]), np.array(["no", 'say "ü"']), kind="logits"
    )
    path = vqa_results.write(scores, tmp_path / "out.json")
    assert json.loads(path.read_text()) == entries({7: 'say "ü"', 8: "no"})


def test_every_fault_of_the_predictions_at_once(questions, tmp_path):
    labels = Labels(np.array(["11", "2", "007", "x"]), np.array(["a", " ", "c", "d"]))
    with pytest.raises(SubmissionError) as caught:
        vqa_results.write(labels, tmp_path / "out.json", questions)
    assert str(caught.value).splitlines() == [
        f"{tmp_path / 'out.json'} was not written:",
        "- 2 ids are no question_ids (whole numbers): '007', 'x'",
        "- 1 questions have an empty answer: '2'",
        "- 2 questions missing from the predictions: '458', '30'",
        "- 2 questions in the predictions that are not expected: '007', 'x'",
    ]
    assert not (tmp_path / "out.json").exists()


FAULTS: dict[str, tuple[Any, list[str]]] = {
    "missing": (entries()[1:], ["1 questions missing from the results: '11'"]),
    "other": (entries({**ANSWERS, 5: "x"}), ["1 questions in the results that are not expected: '5'"]),
    "twice": (entries() + entries()[:1], ["1 question_ids occur more than once: '11'"]),
    "empty": (
        entries({**ANSWERS, 30: " "}),
        ["1 entries have an empty answer: \"{'question_id': 30, 'answer': ' '}\""],
    ),
    "number": (
        [*entries()[:3], {"question_id": 30, "answer": 3}],
        ["1 entries have an answer that is no text: \"{'question_id': 30, 'answer': 3}\""],
    ),
    "id as text": (
        [*entries()[:3], {"question_id": "30", "answer": "3"}],
        [
            "1 entries have a question_id that is no whole number: \"{'question_id': '30', 'answer': '3'}\"",
            "1 questions missing from the results: '30'",
        ],
    ),
    "key": (
        [*entries()[:3], {"question_id": 30, "answers": "3"}],
        [
            "1 entries are no objects with just question_id and answer: \"{'question_id': 30, 'answers': '3'}\"",
        ],
    ),
    "all": (
        [*entries({2: "", 5: "x"}), *entries({2: "y"}), [], {"question_id": True, "answer": None}],
        [
            "1 entries are no objects with just question_id and answer: '[]'",
            "1 entries have a question_id that is no whole number: \"{'question_id': True, 'answer': None}\"",
            "1 entries have an answer that is no text: \"{'question_id': True, 'answer': None}\"",
            "1 entries have an empty answer: \"{'question_id': 2, 'answer': ''}\"",
            "1 question_ids occur more than once: '2'",
            "3 questions missing from the results: '11', '458', '30'",
            "1 questions in the results that are not expected: '5'",
        ],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_file(fault, questions, tmp_path):
    content, expected = FAULTS[fault]
    assert vqa_results.check(dumped(tmp_path / "x.json", content), questions) == expected


def test_files_that_cannot_be_used(questions, annotations, tmp_path):
    assert "expected JSON" in vqa_results.check(Path(__file__), questions)[0]
    assert "No such file" in vqa_results.check(tmp_path / "none.json", questions)[0]
    assert "expected a list of" in vqa_results.check(questions, questions)[0]
    assert "expected answers, found none" in vqa_results.check(dumped(tmp_path / "x.json", []))[0]
    with pytest.raises(SubmissionError, match=r"x\.npz: Predictions of kind 'regression' have no classes"):
        vqa_results.score(
            Predictions(np.array(["11"]), np.ones((1, 1)), np.array(["yes"])).save(tmp_path / "x.npz"),
            annotations,
        )
    good = dumped(tmp_path / "x.json", entries())
    with pytest.raises(SubmissionError, match="expected a list under the key 'questions'"):
        vqa_results.check(good, annotations)
    twice = dumped(tmp_path / "twice.json", {"questions": entries() * 2})
    with pytest.raises(SubmissionError, match="4 question_ids occur more than once: '11'"):
        vqa_results.check(good, twice)
    bare = dumped(tmp_path / "bare.json", {"annotations": entries()})
    with pytest.raises(SubmissionError, match="4 of 4 annotations lack one of question_id, answers"):
        vqa_results.score(good, bare)
    with pytest.raises(SubmissionError, match=r"x\.json: 1 entries have an empty answer"):
        vqa_results.score(dumped(tmp_path / "x.json", entries({**ANSWERS, 2: ""})), annotations)
    with pytest.raises(SubmissionError, match="3 questions missing from the results: '11', '458', '30'"):
        vqa_results.score(dumped(tmp_path / "x.json", entries({2: "3"})), annotations)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_encoding_that_the_benchmark_does_not_read_is_a_fault(encoding, questions, tmp_path):
    """It opens the file as text and hands that to json, which takes no mark of the byte order."""
    (tmp_path / "x.json").write_text(json.dumps(entries()), encoding=encoding)
    with pytest.raises(ValueError, match=r"BOM|codec"), (tmp_path / "x.json").open(encoding="utf-8") as file:
        json.load(file)
    (fault,) = vqa_results.check(tmp_path / "x.json", questions)
    assert "x.json: expected JSON (" in fault


def test_accuracy_by_hand(labels, annotations, tmp_path):
    """All ten, three, one and none of ten people: 1, (3 * 2/3 + 7 * 1) / 10, 9 * 1/3 / 10 and 0."""
    found = vqa_results.score(dumped(tmp_path / "x.json", entries()[::-1]), annotations)
    assert found.questions == 4
    assert found.overall == pytest.approx((1 + 0.9 + 0.3 + 0) / 4)
    assert found.answer_type == pytest.approx({"yes/no": 1, "number": 0.9, "other": 0.15})
    assert found.question_type == pytest.approx({"is the": 1, "how many": 0.9, "what is": 0.15})
    assert vqa_results.score(labels, annotations) == found
    (tmp_path / "x.csv").write_text("id,label\n" + "".join(f"{k},{v}\n" for k, v in ANSWERS.items()))
    assert vqa_results.score(tmp_path / "x.csv", annotations) == found


def test_both_ways_to_take_unanimous_answers_are_named(annotators_agree, annotations, tmp_path):
    """ "Yes." is not the yes of all ten for the benchmark's code, and is for its description."""
    found = vqa_results.score(annotators_agree, annotations)
    assert found.overall == pytest.approx((0 + 0.9 + 0.3 + 0) / 4)
    assert found.normalised == pytest.approx((1 + 0.9 + 0.3 + 0) / 4)
    assert found.answer_type["yes/no"] == 0
    assert found.to_dict()["vqa_accuracy_always_normalised"] == found.normalised
    path = vqa_results.write(annotators_agree, tmp_path / "out.json")
    printed = CliRunner().invoke(main, ["vqa", str(path), str(annotations)]).stdout
    assert "as VQA v2's code" in printed
    assert "with unanimous answers normalised too" in printed


def test_different_numbers_of_annotators_are_refused(labels, annotations, tmp_path):
    content = json.loads(annotations.read_text())
    content["annotations"][1]["answers"].pop()
    with pytest.raises(
        SubmissionError, match=r"expected as many answers \(10\) to each question, found 9, 10"
    ):
        vqa_results.score(labels, dumped(annotations, content))
    content["annotations"][1]["answers"] = [3]
    with pytest.raises(SubmissionError, match="question 2: expected answers as a list of"):
        vqa_results.score(labels, dumped(annotations, content))
