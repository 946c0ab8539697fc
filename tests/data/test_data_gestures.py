"""Simulated gestures: the same for any number of images, with the shares and mirror images that they say they have."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.data import Gestures, Images, KaggleOrSimulated, KaggleTable, MirrorCopies, decode, fingerprint
from jaxlab.data.simulation.hands import GESTURES, gestures
from jaxlab.experiment import Experiment

SMALL = Gestures(images=70, test_images=6, size=16)


def pixels(samples) -> np.ndarray:
    return np.stack([samples.read(position) for position in range(len(samples))])


def test_everything_follows_from_the_seed_and_fewer_images_are_the_first_of_more():
    given = ((70, 0), (40, 0), (70, 1))
    many, few, other = (Gestures(images=n, test_images=6, size=16, seed=s).open() for n, s in given)
    assert fingerprint(many) == fingerprint(SMALL.open()) != fingerprint(other)
    np.testing.assert_array_equal(pixels(many.train)[:40], pixels(few.train))
    assert many.train.ids[:40].tolist() == few.train.ids.tolist()
    np.testing.assert_array_equal(many.train.label[:40], few.train.label)
    np.testing.assert_array_equal(pixels(many.test), pixels(few.test))
    assert len(np.unique(pixels(many.train).reshape(70, -1), axis=0)) == 70
    assert not np.array_equal(pixels(many.train)[:6], pixels(many.test)), "test images are other ones"


@pytest.mark.parametrize("imbalance", [1.0, 8.0])
def test_shares_are_those_of_the_imbalance_factor(imbalance):
    """Cui et al. 2019: a class's frequency is the first one's times imbalance ** -(k / (classes - 1))."""
    expected = np.array([imbalance ** -(k / 4) for k in range(5)])
    expected /= expected.sum()
    np.testing.assert_allclose(Gestures(imbalance=imbalance).shares, expected)
    drawn = gestures(1500, tuple(expected), np.random.default_rng(0))
    for first in (100, 1500):
        assert np.abs(np.bincount(drawn[:first], minlength=5) - first * expected).max() < 2.5
    order = drawn[:1500] == 0
    assert abs(np.corrcoef(order[:-5], order[5:])[0, 1]) < 0.2, "the next image's class cannot be told"
    opened = SMALL.open()
    assert opened.targets == GESTURES
    assert opened.train.columns["gesture"].tolist() == [GESTURES[k] for k in opened.train.label]


def test_pictures_show_what_classes_say():
    """By the edges along a row of pixels: a thumb above or below, two fingers rather than one, on either hand."""
    data = Gestures(images=600, test_images=1, size=24).open().train
    grey = pixels(data).mean(-1)
    edges = np.abs(np.diff(grey, axis=2)) / grey.std((1, 2), keepdims=True)
    _, point, victory, up, down = (edges[data.label == k].mean(0) for k in range(5))
    assert up[:8].mean() > up[16:].mean() + 0.01  # seen: 0.03
    assert down[:8].mean() < down[16:].mean() - 0.01  # 0.05
    assert victory[4:8].mean() > point[4:8].mean() + 0.03  # 0.08
    for shown in (point, victory, up, down):
        assert abs(shown[:, :11].mean() - shown[:, 12:].mean()) < 0.02


def test_written_and_read_again_it_is_the_same(tmp_path):
    said = CliRunner().invoke(
        main, ["gestures", str(tmp_path / "g"), "--images", "12", "--test-images", "5", "--size", "16"],
        catch_exceptions=False,
    )  # fmt: skip
    assert "12 + 5 images of 5 classes" in said.output
    made, read = (
        Gestures(images=12, test_images=5, size=16).open(),
        KaggleTable(root=str(tmp_path / "g")).open(),
    )
    assert set(read.targets) == {GESTURES[k] for k in made.train.label}
    for one, other in ((made.train, read.train), (made.test, read.test)):
        assert one.ids.tolist() == other.ids.tolist()
        np.testing.assert_array_equal(*(decode(s, np.arange(len(s)), Images()) for s in (one, other)))
    names = np.array(read.targets)[read.train.label]
    assert names.tolist() == made.train.columns["gesture"].tolist()
    solution, sample = (
        pd.read_csv(tmp_path / "g" / f"{name}.csv") for name in ("solution", "sample_submission")
    )
    assert solution["gesture"].tolist() == made.test.columns["gesture"].tolist()
    assert sample.columns.equals(solution.columns)
    assert sample["gesture"].nunique() == 1


@pytest.mark.parametrize("source", [Gestures(), KaggleOrSimulated(simulated=Gestures())])
def test_upside_down_a_gesture_is_another(source):
    Experiment(data=source, balance=MirrorCopies())
    with pytest.raises(UserError, match=r"a vertical mirror image of .* shows something else"):
        Experiment(data=source, balance=MirrorCopies(vertical=True))
    Experiment(data=KaggleOrSimulated(root="mine", simulated=Gestures()), balance=MirrorCopies(vertical=True))


def test_a_folder_takes_the_place_of_the_simulated_ones(tmp_path):
    source = KaggleOrSimulated(simulated=SMALL)
    assert fingerprint(source.open()) == fingerprint(SMALL.open())
    test, sample = source.open_test()
    assert (len(test), sample) == (6, None)
    with pytest.raises(UserError, match="nowhere"):
        KaggleOrSimulated(root=str(tmp_path / "nowhere"), simulated=SMALL).open()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"images": 3, "imbalance": 0.5},
            r"least \{'images': 5, 'imbalance': 1\}, found \{'images': 3, 'imb",
        ),
        ({"size": 8}, r"found \{'size': 8\}"),
        ({"imbalance": float("nan")}, r"found \{'imbalance': nan\}"),
        (
            {"images": 40, "imbalance": 100.0},
            r"two images of the rarest class .* 0\.27 of 40 at 100\.0; set more",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(fields, words):
    with pytest.raises(UserError, match=words):
        Gestures(**fields)


def test_what_fits_no_memory_is_refused_before_it_is_made():
    with pytest.raises(UserError, match="Gestures: expected what fits into this machine's memory"):
        Gestures(images=10**10).open()
