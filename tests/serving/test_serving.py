"""A run behind HTTP: what is sent is answered once, in the sender's order; what cannot be is said, and nothing grows.

Expected values are those of `Run.predict` on the same files, or of arithmetic on the pixels that a stand-in predicts.
"""

import asyncio
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.special import softmax
from starlette.testclient import TestClient

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.heads import Linear
from jaxlab.losses import Mse
from jaxlab.objectives import KINDS
from jaxlab.serving.answers import Answers
from jaxlab.serving.app import Service, application
from jaxlab.serving.batching import Batcher
from jaxlab.serving.limits import Limits, Refused
from jaxlab.serving.server import bound
from jaxlab.serving.uploads import Sent, Upload


def png(grey: int, side: int = 4) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), grey, np.uint8)).save(file, "PNG")
    return file.getvalue()


class Greys:
    """Predicts an image's grey level, and its double; at most so many at a time, and it says how many."""

    def __init__(self):
        self.sizes, self.threads = [], set()
        self.open = threading.Event()
        self.open.set()

    def taken(self, image, name):
        with Image.open(io.BytesIO(image)) as found:
            return np.asarray(found)

    def predict(self, images):
        self.open.wait(10)
        self.sizes.append(len(images))
        self.threads.add(threading.get_ident())
        if any(image[0, 0, 0] == 13 for image in images):
            raise UserError("13 is no grey")
        if any(image[0, 0, 0] == 14 for image in images):
            raise RuntimeError("/secret/path")
        greys = np.array([image[0, 0, 0] for image in images], np.float32)
        return np.stack([greys, 2 * greys], 1)


def answers(kind: str = "regression") -> Answers:
    made = object.__new__(Answers)
    made._primary = KINDS[kind]("a", "a", Linear(), Mse(), ("one", "two"))
    made._targets, made.about = ["one", "two"], {"run": "stub"}
    return made


@pytest.fixture
def served():
    """(client, what predicts), closed at the end."""
    ready = Greys()
    limits = Limits(request=50_000, received=200_000, images=4, waiting=8, pixels=100_000, batch=4)
    with TestClient(application(Service(ready, answers(), limits))) as client:
        yield client, ready


def form(*contents: bytes) -> list:
    return [("image", (f"{number}.png", content, "image/png")) for number, content in enumerate(contents)]


def test_a_form_and_a_body(served):
    client, _ = served
    found = client.post("/predict", files=form(png(7), png(9)))
    assert found.status_code == 200
    assert found.json() == {
        "images": [
            {"file": "0.png", "values": {"one": 7, "two": 14}},
            {"file": "1.png", "values": {"one": 9, "two": 18}},
        ]
    }
    alone = client.post("/predict?name=x.png", content=png(3), headers={"content-type": "image/png"})
    assert alone.json() == {"images": [{"file": "x.png", "values": {"one": 3, "two": 6}}]}
    assert alone.headers["x-content-type-options"] == "nosniff"


def test_classes_are_named_with_their_probabilities():
    with TestClient(application(Service(Greys(), answers("classification"), Limits()))) as client:
        (one,) = client.post("/predict", files=form(png(2))).json()["images"]
        assert one["label"] == "two"
        expected = softmax([2.0, 4.0])
        assert [each["class"] for each in one["top"]] == ["two", "one"]
        assert [each["probability"] for each in one["top"]] == pytest.approx(
            expected[::-1].tolist(), rel=1e-6
        )
        (one,) = client.post("/predict?top=1", files=form(png(2))).json()["images"]
        assert len(one["top"]) == 1


def test_questions_go_with_images_one_each_or_one_with_all():
    def asked(files: int, *questions: str, asks: bool = True) -> list[str]:
        sent = Sent([Upload(f"{k}", b"") for k in range(files)], list(questions))
        return [f"{one.name} {one.question}" for one in sent.pairs(asks)]

    assert asked(2, "a", "b") == ["0 a", "1 b"]
    assert asked(2, "a") == ["0 a", "1 a"]
    assert asked(1, "a", "b") == ["0 a", "0 b"]
    assert asked(1, asks=False) == ["0 None"]
    for files, questions, asks, said in (
        (1, [], True, "no question"), (3, ["a", "b"], True, "as many questions as images, 3, or one of either"),
        (1, [" "], True, "1 of 1 questions are empty"), (1, ["a"], False, "takes no questions"),
    ):  # fmt: skip
        with pytest.raises(Refused, match=said) as refused:
            asked(files, *questions, asks=asks)
        assert refused.value.status == 400


def test_a_question_is_answered_beside_its_image(served):
    class Lengths(Greys):
        def taken(self, image, name, question):
            return super().taken(image, name) + len(question)

    made = answers()
    made.about = {"asks": True}
    with TestClient(application(Service(Lengths(), made, Limits()))) as client:
        found = client.post("/predict", files=form(png(7), png(9)), data={"question": ["ab", "abc"]}).json()
        assert [(one["question"], one["values"]["one"]) for one in found["images"]] == [
            ("ab", 9),
            ("abc", 12),
        ]
        one = client.post(
            "/predict?question=abcd", content=png(3), headers={"content-type": "image/png"}
        ).json()["images"]
        assert one == [{"file": "image", "question": "abcd", "values": {"one": 7, "two": 14}}]
    refused = served[0].post("/predict", files=form(png(7)), data={"question": "ab"})
    assert (refused.status_code, "takes no questions" in refused.json()["error"]) == (400, True)


def test_broken_images_are_named_and_the_others_predicted(served):
    client, _ = served
    bomb = io.BytesIO()
    Image.new("1", (1000, 1000)).save(bomb, "PNG")
    found = client.post("/predict", files=form(png(7), b"no image", bomb.getvalue(), png(13)))
    assert found.status_code == 422
    said = found.json()
    assert said["error"] == "3 of 4 images: 1.png, 2.png, 3.png"
    assert said["images"] == [
        {"file": "0.png", "values": {"one": 7, "two": 14}},
        {"file": "1.png", "error": "1.png: cannot be decoded (not an image)"},
        {"file": "2.png", "error": "2.png: expected at most 0.1 million pixels, found 1.0 million"},
        {"file": "3.png", "error": "13 is no grey"},
    ]


IMAGE = {"content-type": "image/png"}


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ({"content": b"x" * 60_000, "headers": IMAGE}, 413, "expected at most 0.05 MB a request, found 0.1 MB"),
        ({"content": iter([b"x" * 30_000] * 3), "headers": IMAGE}, 413, "a request, found more"),
        ({"files": form(*[png(1)] * 5)}, 400, "Maximum number of files is 4. (at most 4 images a request)"),
        ({"content": b"", "headers": IMAGE}, 400, "no image: send files in a form"),
        ({"data": {"image": "text"}, "files": {"x": ("", b"")}}, 400, "no image"),
        ({"content": b"{}", "headers": {"content-type": "application/json"}}, 415, "/json: expected multipart"),
        ({"content": b"--", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
        ({"content": png(14), "headers": IMAGE}, 500, "the server failed; its log says why"),
        ({"content": png(1), "headers": IMAGE, "params": {"top": "0"}}, 400, "top: expected a number of classes"),
        ({"content": png(1), "headers": IMAGE, "params": {"top": "9" * 4301}}, 400, "found '99999999999999999999'"),
        ({"files": [("i", ("../../etc/x.png", b"?", "image/png"))]}, 422, "1 of 1 images: x.png"),
    ],
)  # fmt: skip
def test_what_is_refused(served, sent, status, words):
    client, _ = served
    found = client.post("/predict", **sent)
    assert found.status_code == status
    assert words in found.json()["error"]
    assert "/" not in found.json()["error"].replace("multipart/form-data", "").replace("image/", "").replace(
        "application/", ""
    )
    assert client.get("/health").json()["waiting"] == 0


def test_other_addresses(served):
    client, _ = served
    assert "what is predicted" in client.get("/").text.lower()
    assert client.get("/about").json() == {"run": "stub", "limits": {"megabytes": 0.05, "images": 4}}
    assert client.get("/predict").status_code == 405
    assert "there are POST /predict" in client.get("/x").json()["error"]


def test_more_than_there_is_room_for_is_told_to_come_again(served):
    client, ready = served
    ready.open.clear()
    with ThreadPoolExecutor(12) as pool:
        sent = [pool.submit(client.post, "/predict", content=png(k), headers=IMAGE) for k in range(20, 28)]
        until = time.monotonic() + 10
        while client.get("/health").json()["waiting"] < 8 and time.monotonic() < until:
            time.sleep(0.01)
        refused = client.post("/predict", content=png(1), headers=IMAGE)
        ready.open.set()
        found = [one.result() for one in sent]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"] == "busy: 8 images are in hand, of 8 at most"
    assert [one.json()["images"][0]["values"]["one"] for one in found] == list(range(20, 28))
    assert max(ready.sizes) == 4  # those that waited went together
    assert len(ready.threads) == 1
    assert client.post("/predict", content=png(1), headers=IMAGE).status_code == 200


def test_a_batch_is_what_came_meanwhile():
    """Sizes by hand: one that came alone, then full batches of those behind it, then the rest."""
    sizes = []

    def predict(images):
        sizes.append(len(images))
        time.sleep(0.05)
        return np.array(images, np.float32)[:, None]

    async def asked():
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(predict, pool, size=3, wait=0.0)
            task = asyncio.create_task(batcher.run())
            first = asyncio.create_task(batcher.predicted(0))
            await asyncio.sleep(0.02)
            others = [asyncio.create_task(batcher.predicted(k)) for k in range(1, 9)]
            await asyncio.sleep(0)
            others[4].cancel()  # who has gone is not predicted
            found = await asyncio.gather(first, *others, return_exceptions=True)
            task.cancel()
        return found

    found = asyncio.run(asked())
    assert sizes == [1, 3, 2, 2]
    assert [float(one[0]) for k, one in enumerate(found) if k != 5] == [0, 1, 2, 3, 4, 6, 7, 8]


def test_a_run_predicts_as_it_does_from_files(folded, tmp_path):
    loaded = jaxlab.load(folded)
    rng = np.random.default_rng(0)
    for number in range(3):
        image = rng.integers(0, 256, (16 + number, 20, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    expected = loaded.predict(tmp_path)
    service = Service(loaded.ready(size=8), Answers(loaded), Limits(batch=8))
    with TestClient(application(service)) as client:
        files = form(*(path.read_bytes() for path in sorted(tmp_path.glob("*.png"))))
        found = client.post("/predict", files=files).json()["images"]
        about = client.get("/about")
    assert list(found[0]["values"]) == list(loaded.targets)
    np.testing.assert_allclose(
        [list(one["values"].values()) for one in found], expected, rtol=1e-4, atol=1e-5
    )
    assert (
        about.json()["checkpoints"][0]["digest"]
        == loaded.members[0].checkpoint(loaded.usual).meta()["digest"]
    )
    assert str(loaded.rundir.path.parent) not in about.text


def test_before_it_serves(trained):
    with bound("127.0.0.1", 0) as at:
        at.listen()
        port = at.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", str(trained), "--port", str(port)])
    assert result.exit_code == 1
    assert (
        f"127.0.0.1:{port} cannot be served at (Address already in use); give another --port" in result.output
    )
    with pytest.raises(UserError, match="cannot be served at"), bound("no such host", 80):
        pass
    with pytest.raises(UserError, match="expected room for the 64 images of a request, found 8 waiting"):
        Limits(waiting=8)
    settings = ["inference.refine.adapts=output", "inference.tta.shift=1"]
    with pytest.raises(
        UserError, match=r"each is predicted for itself; add --set inference\.refine\.adapts=null"
    ):
        jaxlab.load(trained, settings).ready()
