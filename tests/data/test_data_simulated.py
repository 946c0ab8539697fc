"""The simulated population: deterministic, Poisson, and with the noise ceiling that it says it has."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from jaxlab.core.types import UserError
from jaxlab.data.images import Images, decode
from jaxlab.data.simulation.population import make_population, noise_ceiling, spike_counts
from jaxlab.data.simulation.scenes import make_scenes
from jaxlab.data.source import fingerprint
from jaxlab.data.sources.simulated import Simulated, _room
from jaxlab.data.sources.table import KaggleTable

SMALL = Simulated(images=60, test_images=20, neurons=5, size=32)


def seed(number: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(number)


@pytest.fixture(scope="module")
def rates() -> np.ndarray:
    scenes = make_scenes(300, 32, 8, seed(1))
    return make_population(12, 32, 8, seed(2)).rates(scenes.images, scenes.category)


def test_deterministic_from_the_seed() -> None:
    prints = [fingerprint(Simulated(images=30, neurons=3, size=16, seed=k).open()) for k in (0, 1)]
    assert prints[0] != prints[1]
    assert prints[0] == fingerprint(Simulated(images=30, neurons=3, size=16, seed=0, test_images=7).open())


def test_neurons_and_test_images_do_not_depend_on_the_number_of_images() -> None:
    few, many = (Simulated(images=n, test_images=20, neurons=3, size=16).open().test for n in (10, 600))
    np.testing.assert_array_equal(few.read(3), many.read(3))
    np.testing.assert_array_equal(few.target, many.target)


def test_images_have_natural_statistics_and_an_object() -> None:
    scenes = make_scenes(400, 64, 8, seed(0))
    assert scenes.images.dtype == np.uint8
    assert np.bincount(scenes.category).tolist() == [50] * 8
    grey = scenes.images.mean(-1) - scenes.images.mean((1, 2, 3))[:, None, None]
    power = (np.abs(np.fft.fft2(grey)) ** 2).mean(0)
    radius = np.round(np.hypot(*np.meshgrid(*[np.fft.fftfreq(64) * 64] * 2))).astype(int)
    radial = np.array([power[radius == r].mean() for r in range(2, 25)])
    slope = np.polyfit(np.log(np.arange(2, 25)), np.log(radial), 1)[0]
    assert -2.6 < slope < -1.4  # power falls as 1 / f^2
    pixels = scenes.images.reshape(-1, 3).T
    assert np.corrcoef(pixels)[np.triu_indices(3, 1)].min() > 0.4


def test_rates_are_positive_spike_counts_with_spread(rates: np.ndarray) -> None:
    assert (rates > 0).all()
    assert 0.3 < rates.mean() < 10
    assert (rates.std(0) / rates.mean(0)).min() > 0.15


def test_counts_are_poisson() -> None:
    rates = np.array([[0.3, 2.0, 7.5]])
    counts = spike_counts(np.repeat(rates, 20000, axis=0), 1, seed(0))
    np.testing.assert_array_equal(counts, counts.round())
    for column, rate in zip(counts.T, rates[0], strict=True):
        observed = np.bincount(column.astype(int), minlength=30)
        expected = scipy.stats.poisson(rate).pmf(np.arange(len(observed))) * len(column)
        enough = expected > 5
        assert scipy.stats.chisquare(
            observed[enough], expected[enough] * observed[enough].sum() / expected[enough].sum()
        ).pvalue > 1e-3  # fmt: skip


def test_ceiling_equals_the_squared_correlation_with_the_true_rate(rates: np.ndarray) -> None:
    """The best possible prediction is the rate itself: its r squared, over many recordings, is the ceiling."""
    recordings = [spike_counts(rates, 5, seed(k)) for k in range(200)]
    squared = [[np.corrcoef(r[:, t], rates[:, t])[0, 1] ** 2 for t in range(12)] for r in recordings]
    np.testing.assert_allclose(np.mean(squared, 0), noise_ceiling(rates, 5), atol=0.015)
    two = np.mean(
        [np.mean((a - b) ** 2, 0) / 2 for a, b in zip(recordings[::2], recordings[1::2], strict=True)], 0
    )
    total = np.mean([r.var(0) for r in recordings], 0)
    np.testing.assert_allclose(1 - two / total, noise_ceiling(rates, 5), atol=0.015)


def test_ceiling_by_hand() -> None:
    """Rates 1 and 3: variance 1, mean 2. Four repeats: 1 / (1 + 2 / 4)."""
    np.testing.assert_allclose(noise_ceiling(np.array([[1.0], [3.0]]), 4), [2 / 3])


def test_ceilings_are_like_a_recordings() -> None:
    ceiling = Simulated(images=400, test_images=1).open().ceiling
    assert ceiling.shape == (40,)
    assert 0.6 < np.median(ceiling) < 0.9
    assert ceiling.min() > 0.1


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_written_and_read_again_it_is_the_same(tmp_path: Path, kind) -> None:
    source = Simulated(images=24, test_images=9, neurons=3, size=16, categories=4, kind=kind)
    source.write_kaggle(tmp_path)
    made, read = source.open(), KaggleTable(root=str(tmp_path)).open()
    assert (read.kind, read.targets) == (made.kind, made.targets)
    for split, count in (("train", 24), ("test", 9)):
        one, other = getattr(made, split), getattr(read, split)
        assert one.ids.tolist() == other.ids.tolist()
        positions = np.arange(count)
        np.testing.assert_array_equal(*(decode(s, positions, Images()) for s in (one, other)))
    np.testing.assert_array_equal(made.train.target, read.train.target)
    np.testing.assert_array_equal(made.train.label, read.train.label)
    solution, sample = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("solution", "sample_submission"))
    assert solution.columns.equals(sample.columns)
    assert solution["image_id"].equals(sample["image_id"])
    assert sample.iloc[:, 1:].nunique().eq(1).all()
    if kind == "regression":
        np.testing.assert_array_equal(solution.iloc[:, 1:].to_numpy(np.float32), made.test.target)
        ceiling = np.load(tmp_path / "solution.ceiling.npy")
        assert ceiling.shape == (3,)
        assert ((ceiling > 0) & (ceiling < 1)).all()


def test_categories_are_a_column_to_split_by() -> None:
    data = SMALL.open()
    assert sorted(set(data.train.columns["category"])) == [f"category{k}" for k in range(8)]
    assert data.targets == ("n0", "n1", "n2", "n3", "n4")
    assert len(data.test) == 20


def test_too_small_is_refused() -> None:
    with pytest.raises(UserError, match=r"'size': 16.*'size': 8"):
        Simulated(size=8)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("real data")
    with pytest.raises(UserError, match="exists already; name a folder that does not, or an empty one"):
        Simulated(images=20, test_images=4, neurons=3, size=16).write_kaggle(tmp_path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["real data"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": 10**7}, "images, test_images and size"),
        ({"images": 10**12}, "images, test_images and size"),
        ({"neurons": 10**10}, "size and neurons"),
        ({"categories": 10**14}, "categories and neurons"),
    ],
)
def test_what_fits_no_memory_is_refused_before_it_is_made(fields, words) -> None:
    with pytest.raises(
        UserError, match=rf"machine's memory, .* GiB, found about .* most of it follows from {words}"
    ):
        Simulated(**fields).open()


def test_no_more_memory_is_taken_than_is_asked_for() -> None:
    for fields in ({"images": 400, "neurons": 4}, {"images": 40, "neurons": 30}):
        config = Simulated(test_images=1, size=48, seed=77, **fields)
        tracemalloc.start()
        config.open()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(_room(config).values()) / 4 < peak < sum(_room(config).values())


@pytest.mark.parametrize(("fields", "words"), [({"repeats": 10**18}, "at most"), ({"seed": -1}, "at least")])
def test_numbers_that_no_generator_takes_are_refused(fields, words) -> None:
    with pytest.raises(UserError, match=f"Simulated: expected {words} {{'{next(iter(fields))}'"):
        Simulated(**fields)
