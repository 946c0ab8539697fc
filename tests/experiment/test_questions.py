"""A network that reads a question beside each image: what it sees, learns and keeps, and what it refuses.

The truth is a rule that neither image nor question alone tells; the layouts are held to one another.
"""

import json
import re
from dataclasses import replace

import jax
import numpy as np
import pytest
from tiny import steps, train

import jaxlab
from jaxlab.core.config import from_json, to_json
from jaxlab.core.tree import flatten
from jaxlab.core.types import Samples, UserError
from jaxlab.data import CutMix, Images, MirrorCopies, Opened, RandomSplit, Shift, Source, Words
from jaxlab.data.readers.tokens import Tokenizer
from jaxlab.data.source import fingerprint, same_data
from jaxlab.encode import CachedFeatures, ImageEncoder, Ridge, TextEncoder
from jaxlab.evaluate.inference import Inference
from jaxlab.evaluate.tta import TTA
from jaxlab.experiment import Experiment, Training
from jaxlab.experiment.recipe import resolve
from jaxlab.heads import Linear, LowRank, Sum
from jaxlab.losses import CrossEntropy
from jaxlab.models import BagOfWords, Bert, Features, Fusion, ImageAndText, ShallowCNN
from jaxlab.optim import AdamW, FineTune, Freeze
from jaxlab.runs.network import weights
from jaxlab.training.sharding import Layout

COLOURS = ("red", "green", "blue")
IMAGES = 40
ONE = Layout("single", 4)


class Squares(Source):
    """Plain images of a colour; asked of each is whether it is two of the three."""

    asked: str = "question"

    def open(self):
        train, test = (self._samples(seed) for seed in (0, 1))
        return Opened(train=train, test=test, kind="classification", targets=("no", "yes"))

    def _samples(self, seed):
        rng = np.random.default_rng(seed)
        shown = np.repeat(rng.integers(0, 3, IMAGES), 2)
        asked = (shown + rng.integers(0, 3, 2 * IMAGES)) % 3
        image = np.repeat(np.arange(IMAGES), 2)
        pixels = rng.integers(0, 90, (IMAGES, 8, 8, 3)).astype(np.uint8)
        pixels[np.arange(IMAGES), ..., shown[::2]] += 120
        return Samples(
            ids=np.array([f"{seed}-{k}" for k in range(2 * IMAGES)]),
            read=lambda k: pixels[image[k]],
            checksum=lambda k: pixels[image[k]].tobytes(),
            label=(shown == asked).astype(np.int32),
            columns={self.asked: np.array([f"Is it {COLOURS[k]}?" for k in asked])},
            image_of=image,
        )


EXPERIMENT = Experiment(
    data=Squares(),
    split=RandomSplit(validation=0.2),
    model=ImageAndText(
        image=ShallowCNN(channels=(6,), kernel_sizes=(3,)),
        text=BagOfWords(width=6),
        fusion=Fusion(width=16),
    ),
    loss=CrossEntropy(),
    optimizer=AdamW(lr=0.03),
    training=Training(steps=60, batch_size=16),
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A trained run."""
    return jaxlab.load(train(EXPERIMENT, tmp_path_factory.mktemp("asked") / "run"))


@pytest.mark.slow
def test_it_learns_what_neither_alone_can_tell(asked):
    scores = asked.evaluate("last")
    assert scores["train"]["accuracy"] == 1
    assert scores["validation"]["accuracy"] == 1
    test = asked.opened.test
    predicted = asked.predict_split("test", "last").values.argmax(1)
    assert (predicted == test.label).mean() > 0.95


@pytest.mark.slow
def test_a_run_keeps_its_words(asked):
    kept = asked.info["task"]["language"]
    assert set(kept["words"]) == {"is", "it", *COLOURS}
    assert kept["length"] == 8
    last = asked.checkpoint("last").arrays(("params",))["params"]
    assert last["backbone.text.words.embedding"].shape == (6, 6)


@pytest.mark.slow
def test_what_is_asked_of_it_is_looked_at(asked, capsys):
    images = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(UserError, match=r"answers questions about images \(it reads the column 'question'\)"):
        asked.predict(images)
    assert asked.predict(images, questions=["is it mauve", "sunny?"]).shape == (2, 2)
    told = " ".join(capsys.readouterr().err.split())
    assert (
        "1 text of words alone that training did not know ('sunny?'): what is predicted goes by the image"
        in told
    )
    with pytest.raises(UserError, match=r"1 text of no words \('\?!'\)"):
        asked.predict(images, questions=["?!", "is it red"])


@pytest.mark.slow
def test_layouts_make_the_same_update():
    experiment = replace(EXPERIMENT, augment=(Shift(pixels=1),), optimizer=AdamW(lr=1e-3))
    found = {
        parallel: steps(replace(experiment, training=replace(experiment.training, parallel=parallel)), 3)[0]
        for parallel in ("pmap", "single")
    }
    assert jax.device_count() == 4
    for path, leaf in found["single"].params.items():
        np.testing.assert_allclose(found["pmap"].params[path], leaf, atol=2e-4, err_msg=path)


def test_both_encoders_begin_from_their_weights(monkeypatch):
    def loaded(config, source, params, stats, further):
        values = {path: np.full(leaf.shape, 7.0, "float32") for path, leaf in params.items()}
        return (
            values,
            {path: np.ones(leaf.shape) for path, leaf in stats.items()},
            {"sha256": source, "source": source},
        )

    monkeypatch.setattr(weights, "load_weights", loaded)
    text = Bert(layers=1, width=4, heads=2, positions=16, pretrained="T")
    parts = replace(
        EXPERIMENT.model, text=text, image=ShallowCNN(channels=(6,), kernel_sizes=(3,), pretrained="I")
    )
    found = recipe(model=parts)
    params, stats, record = weights.pretrained(found)
    under = {
        path.removeprefix("backbone.") for path in flatten(found.shapes[1]) if path.startswith("backbone.")
    }
    assert set(params) == {path for path in under if not path.startswith("fusion.")}
    assert {path.partition(".")[0] for path in stats} == {"image"}
    assert (record["sha256"], record["text"]["sha256"]) == ("I", "T")
    assert weights.has_pretrained(parts)
    assert not weights.has_pretrained(EXPERIMENT.model)
    other = {**record, "text": {"sha256": "U", "source": "T"}}
    assert weights.changed_weights(other, record, parts) == ["the weights of T: U -> T"]
    assert weights.changed_weights(record, record, EXPERIMENT.model) == []
    assert weights.digests(record) != weights.digests(other)


def recipe(**fields):
    experiment = replace(EXPERIMENT, **fields)
    return resolve(experiment, experiment.data.open())


def model(**fields):
    return {"model": replace(EXPERIMENT.model, **fields)}


def test_rules_tell_the_two_encoders_apart():
    small = model(text=Bert(layers=1, width=4, heads=2, positions=16))
    rules = (Freeze(through="text/embeddings"),)
    tuned = recipe(**small, finetune=FineTune(rules=rules, layer_decay=0.5)).training.tuning
    frozen = {"words", "positions", "types", "norm"}
    paths = {path for path in tuned.factor if path.startswith("backbone.text.")}
    assert not {path.split(".")[2] for path in paths} & frozen
    factor = {".".join(path.split(".")[:3]): value for path, value in tuned.factor.items()}
    # behind the image's level are the fusion and the head, and so behind the text's layer
    of = ("backbone.image.levels", "backbone.text.layers", "backbone.fusion.hidden")
    assert [factor[path] for path in of] == [0.25, 0.25, 0.5]


def test_questions_belong_to_the_data():
    opened = EXPERIMENT.data.open()
    other = replace(
        opened, train=replace(opened.train, columns={"question": opened.train.columns["question"][::-1]})
    )
    assert EXPERIMENT.fingerprint(opened) != EXPERIMENT.fingerprint(other)


def test_questions_that_an_encoder_reads_belong_to_the_data():
    """As they did not in earlier versions, whose runs go on."""
    text = TextEncoder(
        model=Bert(layers=1, width=4, heads=2), tokenizer=Tokenizer(source="T"), column="question"
    )
    opened = EXPERIMENT.data.open()
    reversed_ = replace(opened.train, columns={"question": opened.train.columns["question"][::-1]})
    other = replace(opened, train=reversed_)
    cached = CachedFeatures(data=Squares(), encoders=(text,))
    for config in (Experiment(data=cached, model=Features(), loss=CrossEntropy()), Ridge(encoders=(text,))):
        now, changed = config.fingerprint(opened), config.fingerprint(other)
        assert same_data(now, now)
        assert not same_data(now, changed)
        assert not same_data(changed, now)
        assert same_data(fingerprint(opened), now)  # as an earlier version has it
        assert not same_data(fingerprint(replace(opened, targets=("yes", "no"))), now)
    encoder = ImageEncoder(model=ShallowCNN(), images=Images(size=(8, 8)))
    images = CachedFeatures(data=Squares(), encoders=(encoder,))
    without = Experiment(data=images, model=Features(), loss=CrossEntropy())
    assert without.fingerprint(opened) == fingerprint(opened)


def test_it_is_written_and_read():
    assert from_json(to_json(EXPERIMENT.model)) == EXPERIMENT.model
    kept = recipe().task
    assert type(kept).from_json(json.loads(json.dumps(kept.to_json())), EXPERIMENT.goals).same_as(kept)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (model(column="caption"), "model.column: the samples have no column 'caption'; they have question"),
        (
            model(text=Bert(layers=1, width=4, heads=2, positions=2)),
            "model.text.positions: expected 3 or more, the tokens of the longest text, found 2; or let",
        ),
        (
            model(fusion=Fusion(text="text/last")),
            "Fusion.text: no layer 'text/last'; there are image/level1, image/pool, text/words, text/pool, text/mask",
        ),
        (
            model(fusion=None),
            "Linear.layer: expected names of layers of image and text, since the last one, 'text/mask', only says "
            "which tokens are no padding, found None; the model has image/level1, image/pool, text/words, text/pool, ",
        ),
        (
            model(fusion=None) | {"head": Sum(heads=(LowRank(rank=2), Linear(layer="text/pool")))},
            "LowRank.layer: expected names of layers of image and text",
        ),
        (
            {"finetune": FineTune(rules=(Freeze(through="level1"),))},
            "names no layer of the model, which has image/level1, image/pool, text/words",
        ),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_read(fields, words):
    with pytest.raises(UserError, match=re.escape(words)):
        recipe(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mix": CutMix()}, "mix=CutMix() cannot go with model=ImageAndText(...): a mixture of two images"),
        ({"balance": MirrorCopies()}, "balance=MirrorCopies() cannot go with model=ImageAndText(...)"),
        ({"inference": Inference(tta=TTA(shift=1))}, "cannot go with model=ImageAndText(...) yet"),
    ],
)
def test_what_would_change_images_behind_a_questions_back_is_refused(fields, words):
    with pytest.raises(UserError, match=re.escape(words)):
        replace(EXPERIMENT, **fields)


def test_a_text_longer_than_its_limit_is_cut():
    assert recipe(**model(tokenizer=Words(max_length=2))).task.language["length"] == 8


def test_places_of_tokens_are_rounded_up_as_far_as_there_are_positions():
    few = model(text=Bert(layers=1, width=4, heads=2, positions=5))
    assert [recipe(**fields).task.language["length"] for fields in ({}, few)] == [8, 5]


LONGER = "Is it red or green or is it blue or not?"  # of 11 words


@pytest.mark.parametrize(
    ("layer", "text", "refused"),
    [
        (("image/pool", "text/words"), BagOfWords(width=6), True),
        (("image/pool", "text/pool"), BagOfWords(width=6), False),
        (("image/pool", "text/layer0"), Bert(layers=1, width=4, heads=2, positions=12), True),
        (("image/pool", "text/pool"), Bert(layers=1, width=4, heads=2, positions=12), False),
    ],
)
def test_a_readout_of_places_takes_no_longer_text(layer, text, refused):
    made = recipe(**model(fusion=None, text=text), head=Linear(layer=layer))
    said = [line for line in made.input.notes(None) if "takes each token by its place" in line]
    assert len(said) == refused
    samples = replace(Squares().open().train, columns={"question": np.array([LONGER] * 2 * IMAGES)})
    seen = [made.input.unlabelled(Squares().open().train, np.arange(4), ONE)]
    if refused:
        with pytest.raises(
            UserError, match=r"model\.column: expected texts of up to 8 tokens, found 11: a readout"
        ):
            made.input.unlabelled(samples, np.arange(4), ONE)
    else:
        seen.append(made.input.unlabelled(samples, np.arange(4), ONE))
    places = 12 if isinstance(text, Bert) else 16
    assert [part.rows[np.arange(4)]["tokens"].shape[1] for part in seen] == [8, places][: len(seen)]
