"""A run that answers questions is asked about images that are handed over, in Python, from a shell, from files."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.types import Samples, UserError
from jaxlab.data import ColumnSplit, Images, VQAv2
from jaxlab.data.readers.tokens import Tokenizer
from jaxlab.encode import CachedFeatures, ImageEncoder, TextEncoder
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import SoftAnswers
from jaxlab.models import Bert, Features, ShallowCNN
from jaxlab.runs import api
from jaxlab.runs.asked import about, asked, check_asks, read_questions
from submit.cli import breakdown
from submit.formats import vqa_results
from submit.scores.folder import write_scores

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "is", "it", "red", "dark", "what"]
QUESTIONS = ["is it red", "is it dark", "what is it"]


def samples(count: int) -> Samples:
    ids = np.array([f"{k}.png" for k in range(count)])
    return Samples(ids, read=lambda k: np.full((2, 2, 3), k, np.uint8), checksum=lambda k: bytes([k]))


def test_one_question_an_image_or_all_of_one():
    each = asked(samples(3), QUESTIONS, "question")
    assert each.ids.tolist() == ["0.png", "1.png", "2.png"]
    assert [each.read(k)[0, 0, 0] for k in range(3)] == each.image_of.tolist() == [0, 1, 2]
    assert each.columns["question"].tolist() == QUESTIONS
    of_one = asked(samples(1), QUESTIONS, "question")
    assert of_one.ids.tolist() == ["0.png", "0.png#2", "0.png#3"]
    assert of_one.image_of.tolist() == [0, 0, 0]
    of_all = asked(samples(3), ["what is it"], "question")
    assert (of_all.ids.tolist(), of_all.image_of.tolist()) == (["0.png", "1.png", "2.png"], [0, 1, 2])
    assert of_all.columns["question"].tolist() == ["what is it"] * 3
    mixed = about(samples(2), np.array([1, 0, 1]), QUESTIONS, "q")
    assert mixed.ids.tolist() == ["1.png", "0.png", "1.png#2"]
    assert [mixed.checksum(k) for k in range(3)] == [b"\1", b"\0", b"\1"]


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        (
            QUESTIONS[:2],
            "questions: expected as many as images, 3, or one of either for all of the others; found 2",
        ),
        (5, "questions: expected a list of texts, found int"),
        ([], "found 0"),
        ("What?", "questions: expected a list of texts, found one text, 'What[?]'"),
        (["a", None, "b"], "questions: expected texts, found None at position 1"),
        (["a", " ", ""], r"questions: 2 are empty \(positions 1, 2"),
    ],
)
def test_questions_that_do_not_go_with_images(questions, words):
    with pytest.raises(UserError, match=words):
        asked(samples(3), questions, "question")


def test_a_file_with_an_empty_question_is_named_with_its_rows(tmp_path):
    file = tmp_path / "q.csv"
    file.write_text("image,question\n0.png,What?\n1.png,\n0.png,   \n")
    with pytest.raises(
        UserError, match=r"q.csv: expected a text in each row .* 2 rows without \(2, 3, counted"
    ):
        read_questions(file, samples(2))


def test_names_of_images_in_another_unicode_form_are_the_same(tmp_path):
    """As a Mac's archive has `ä.png`, in two characters, where a keyboard gives one; the very same name comes first."""
    mac, typed = "a\u0308.png", "\u00e4.png"
    file = tmp_path / "q.csv"
    file.write_text(f"image,question\n{typed},what is it\n0.png,is it red\n", encoding="utf-8")
    two = replace(samples(2), ids=np.array(["0.png", mac]))
    assert read_questions(file, two)[0].tolist() == [1, 0]
    three = replace(samples(3), ids=np.array(["0.png", mac, typed]))
    assert read_questions(file, three)[0].tolist() == [2, 0]


def test_runs_that_take_no_questions_and_ones_that_need_some(trained, tmp_path):
    run = jaxlab.load(trained)
    assert run.asks == ()
    with pytest.raises(UserError, match="takes no questions: it sees images alone"):
        run.predict(np.zeros((1, 16, 16, 3), np.uint8), questions=["What?"])
    with pytest.raises(UserError, match=r"reads several texts of each sample \(a, b\)"):
        check_asks(("a", "b"), True, tmp_path)
    said = CliRunner().invoke(main, ["predict", str(trained), "--questions", "q.csv", "--out", "o.csv"])
    assert "--questions: is for --images FOLDER" in said.output
    said = CliRunner().invoke(main, ["predict", str(trained), "--out", str(tmp_path / "o.json")])
    assert "JSON holds answers to the questions of VQAv2() or VizWiz(), and the data of" in said.output


def asked_files(root: Path) -> None:
    """VQA v2's files: 12 grey images, each red or not and dark or not, three questions on each."""
    for split, first in (("train2014", 0), ("val2014", 6), ("test2015", 9)):
        (root / split).mkdir(parents=True)
        questions, annotations = [], []
        for number in range(first, first + 3 + 3 * (first == 0)):
            colour = (40 + 15 * number, 40, 40)
            Image.new("RGB", (16, 16), colour).save(root / split / f"{number}.png")
            for k, (text, answer) in enumerate(zip(QUESTIONS, ("yes", "no", "square"), strict=True)):
                asked_of = {"image_id": number, "question_id": 10 * number + k}
                questions.append({**asked_of, "question": text})
                given = [{"answer": answer}] * 9 + [{"answer": "maybe"}]
                kinds = {"question_type": text[:5], "answer_type": "other", "multiple_choice_answer": answer}
                annotations.append({**asked_of, **kinds, "answers": given})
        (root / f"v2_OpenEnded_mscoco_{split}_questions.json").write_text(
            json.dumps({"questions": questions})
        )
        if split != "test2015":
            path = root / f"v2_mscoco_{split}_annotations.json"
            path.write_text(json.dumps({"annotations": annotations}))


@pytest.fixture(scope="module")
def answering(tmp_path_factory):
    """A run on features of images and of questions."""
    pytest.importorskip("transformers", reason="transformers is not installed")
    folder = tmp_path_factory.mktemp("questions")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.txt").write_text("\n".join(WORDS))
    (folder / "tokenizer" / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    asked_files(folder / "vqa")
    image = ImageEncoder(model=ShallowCNN(channels=(4,), kernel_sizes=(3,)), images=Images(size=(16, 16)))
    text = TextEncoder(
        model=Bert(layers=1, width=8, heads=2, vocabulary=10, positions=32),
        tokenizer=Tokenizer(source=str(folder / "tokenizer")),
        column="question",
        name="q",
    )
    experiment = Experiment(
        data=CachedFeatures(data=VQAv2(root=str(folder / "vqa")), encoders=(image, text)),
        model=Features(),
        head=Linear(layer=("pool", "q/pool")),
        loss=SoftAnswers(),
        split=ColumnSplit(column="split"),
        training=Training(epochs=2, batch_size=6, parallel="single", metric="vqa_accuracy"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXLAB_CACHE", str(folder / "cache"))
        run = api.train(experiment, folder / "run", console=Console(file=io.StringIO()))
        yield folder, run


@pytest.mark.slow
def test_what_is_asked_about_images_is_what_is_predicted_of_a_split(answering, tmp_path):
    folder, path = answering
    run = jaxlab.load(path)
    assert run.asks == ("question",)
    images = folder / "vqa" / "test2015"
    split = run.predict_split("test")
    files = [images / f"{number}.png" for number in (9, 10, 11) for _ in QUESTIONS]
    ids, values = run.predict(files, questions=QUESTIONS * 3, ids=True)
    assert ids.tolist()[:4] == ["9.png", "9.png#2", "9.png#3", "10.png"]
    np.testing.assert_allclose(values, split.values, rtol=1e-5, atol=1e-6)
    of_one = run.predict(np.asarray(Image.open(images / "10.png"))[None], questions=QUESTIONS)
    np.testing.assert_allclose(of_one, split.values[3:6], rtol=1e-5, atol=1e-6)
    ready = run.ready(size=4)
    taken = [ready.taken((images / "10.png").read_bytes(), "10.png", question) for question in QUESTIONS]
    np.testing.assert_allclose(ready.predict(taken), split.values[3:6], rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match=r"answers questions about images \(it reads the column 'question'\)"):
        run.predict(images)

    rows = [("11.png", "what is it"), ("9.png", "is it red"), ("11.png", "is it dark")]
    pd.DataFrame(rows, columns=["image", "question"]).to_csv(tmp_path / "q.csv", index=False)
    command = ["predict", str(path), "--images", str(images), "--questions", str(tmp_path / "q.csv"), "--out"]
    said = CliRunner().invoke(main, [*command, str(tmp_path / "out.npz"), "--as", "logits"])
    assert said.exit_code == 0, said.output
    from submit import Predictions

    found = Predictions.load(tmp_path / "out.npz")
    assert found.ids.tolist() == ["11.png", "9.png", "11.png#2"]
    np.testing.assert_allclose(found.values, split.values[[8, 0, 7]], rtol=1e-5, atol=1e-6)
    pd.DataFrame([("x.png", "a")], columns=["image", "question"]).to_csv(tmp_path / "q.csv", index=False)
    said = CliRunner().invoke(main, [*command, str(tmp_path / "other.npz")])
    assert "q.csv: no image for 1 of its 1 name (x.png); there are 10.png, 11.png" in said.output

    out = tmp_path / "results.json"
    assert (
        CliRunner().invoke(main, ["predict", str(path), "--split", "validation", "--out", str(out)]).exit_code
        == 0
    )
    scores = run.evaluate()["validation"]
    details = {labelled.split: found for labelled, found in run.breakdowns()}["validation"]
    assert details.scores["vqa_accuracy"] == pytest.approx(scores["vqa_accuracy"])
    judged = vqa_results.score(out, folder / "vqa" / "v2_mscoco_val2014_annotations.json")
    assert judged.overall == pytest.approx(scores["vqa_accuracy"])
    by_question = {kind: accuracy for kind, (_, accuracy) in details.by_type["question_type"].items()}
    assert by_question == pytest.approx(judged.question_type)
    assert details.to_dict()["vqa_accuracy_by_answer_type"] == pytest.approx(judged.answer_type)
    out_of = io.StringIO()
    breakdown.show(Console(file=out_of, width=80), details)
    assert "question type" in out_of.getvalue()
    assert "question_type.csv" in write_scores(details.to_dict(), details, tmp_path / "scores")
