"""Features are those of the network itself, made once, and under a key that names all that they depend on."""

import io
import signal
from dataclasses import replace
from pathlib import Path

import encoding
import filled
import jax
import ml_dtypes
import numpy as np
import processes
import pytest
from encoding import NORMALIZE, encoder, pixels, samples, weights
from flax import nnx
from rich.console import Console

from jaxlab.core.types import UserError
from jaxlab.data import Images, Normalize, Simulated
from jaxlab.encode import ImageEncoder, features, load_all
from jaxlab.encode.command import extract
from jaxlab.heads import Head
from jaxlab.models import LeNet5, ShallowCNN

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def file(tmp_path):
    return weights(tmp_path / "lenet.safetensors")


def made(config, given, rows=None):
    """The set, and what was said: nothing where all of it was in the store."""
    said = io.StringIO()
    return features(load_all((config,)), given, rows, Console(file=said)), said.getvalue()


def test_features_are_the_networks(file):
    """More than a batch of them on four devices, the last one not full; the first layer as scipy computes it."""
    assert jax.device_count() == 4
    images = pixels(150)
    found, _ = made(encoder(file, "level1", "fc2"), samples(images))
    assert (found["level1"].shape, found["fc2"].shape) == ((150, 6, 6, 6), (150, 84))
    for row in (0, 63, 64, 149):
        np.testing.assert_allclose(found["level1"][row], encoding.level1(file, images[row]), atol=2e-6)
    np.testing.assert_array_equal(found.ids, samples(images).ids)


def test_pooling_and_bfloat16(file):
    images = pixels(5)
    expected = np.stack([encoding.level1(file, image) for image in images])
    pooled, _ = made(encoder(file, "level1", "fc1", pool="mean"), samples(images))
    assert pooled["fc1"].shape == (5, 120)
    np.testing.assert_allclose(pooled["level1"], expected.mean((1, 2)), atol=2e-6)
    half, _ = made(encoder(file, "level1", dtype="bfloat16"), samples(images))
    assert half["level1"].dtype == ml_dtypes.bfloat16
    np.testing.assert_allclose(half["level1"].astype(np.float32), expected, atol=2**-8)


def test_products_of_rounded_operands_are_features_of_their_own(file, monkeypatch):
    monkeypatch.setattr("jaxlab.training.runtime._instructions", lambda: frozenset({"avx512_bf16"}))
    images = pixels(5)
    exact, _ = made(encoder(file, "fc2"), samples(images))
    rounded, said = made(encoder(file, "fc2", products="bfloat16"), samples(images))
    assert "features fc2 of 5 samples" in said  # not those in the store
    assert rounded["fc2"].dtype == np.float32
    apart = np.abs(rounded["fc2"] - exact["fc2"]).max() / np.abs(exact["fc2"]).max()
    assert 1e-6 < apart < 0.02


def test_a_second_time_nothing_is_computed(file, monkeypatch):
    given, config = samples(pixels()), encoder(file, "level1", "level2")
    first, said = made(config, given)
    assert "features level1, level2 of 50 samples" in said
    monkeypatch.setattr("jaxlab.encode.making.run", pytest.fail)
    again, said = made(config, given)
    assert said == ""
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again["level2"], first["level2"])
    made(replace(config, layers=("level2",)), given)


def test_only_layers_that_are_missing_are_computed(file):
    given = samples(pixels())
    made(encoder(file, "level1"), given)
    _, said = made(encoder(file, "level1", "fc1", "fc2"), given)
    assert said.startswith("features fc1, fc2 of 50 samples")


def key(config, given):
    found, _ = made(config, given)
    (name,) = found.kept
    return found.kept[name].folder.key


def test_the_key_names_what_features_depend_on_and_nothing_else(file, tmp_path):
    images, config = pixels(6), encoder(file, "fc2")
    base = key(config, samples(images))
    target = np.ones((6, 2), np.float32)
    changed = images.copy()
    changed[5, 0, 0, 0] ^= 1
    moved = weights(tmp_path / "elsewhere.safetensors")
    same = (
        key(encoder(moved, "fc2"), samples(images)),
        key(encoder(file, "fc2", images=Images(size=(16, 16), memory_budget_gb=1.0)), samples(images)),
        key(encoder(file, "level1", pool="mean", name="a"), samples(images)),
        key(config, samples(images, target=target)),
    )
    assert set(same) == {base}
    others = (
        key(config, samples(changed)),
        key(config, samples(images[::-1])),
        key(config, replace(samples(images), ids=np.array(list("abcdef")))),
        key(encoder(weights(tmp_path / "other.safetensors", seed=1), "fc2"), samples(images)),
        key(encoder(file, "fc2", normalize=Normalize(std=(0.2, 0.3, 0.41))), samples(images)),
        key(encoder(file, "fc2", images=Images(size=(17, 17))), samples(images)),
        key(encoder(file, "fc2", images=Images(size=(16, 16), filter="bicubic")), samples(images)),
        key(encoder(file, "fc2", images=Images(size=(16, 16), levels=1023)), samples(images)),
        key(encoder(file, "fc2", images=Images(size=(16, 16), policy="crop")), samples(images)),
        key(
            encoder(file, "fc2", images=Images(size=(16, 16), policy="crop", crop_from="resized")),
            samples(images),
        ),
    )
    assert len({base, *others}) == len(others) + 1


def test_samples_that_share_an_image_share_a_row(file):
    images = pixels(3)
    image_of = np.array([2, 0, 2, 1, 0])
    shown = samples(images, image_of=image_of)
    shown = replace(
        shown, read=lambda k: images[image_of[k]], checksum=lambda k: images[image_of[k]].tobytes()
    )
    found, _ = made(encoder(file, "level1"), shown)
    assert found.kept["level1"].array.shape == (3, 6, 6, 6)
    for row, image in enumerate(image_of):
        np.testing.assert_allclose(found["level1"][row], encoding.level1(file, images[image]), atol=2e-6)


def test_some_of_the_samples(file):
    images = pixels(8)
    found, _ = made(encoder(file, "level1"), samples(images), np.array([6, 1]))
    assert found.ids.tolist() == ["s006", "s001"]
    np.testing.assert_allclose(found["level1"][0], encoding.level1(file, images[6]), atol=2e-6)


def run(file: Path, cache: Path, dies_at: int) -> processes.Ended:
    return processes.run(filled.until, file, dies_at, env={"JAXLAB_CACHE": str(cache)})


def test_killed_and_resumed_equals_never_stopped(file, tmp_path):
    """Batches of 64: 16 rows on each of four devices."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(file, whole, -1).returncode == 0
    killed = run(file, stopped, 192)
    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout.split() == ["done", "64", "done", "128", "done", "192"]
    (left,) = (stopped / "features").iterdir()
    assert not list(left.glob("*.npy"))
    resumed = run(file, stopped, -1)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.split()[:2] == ["done", "256"]
    (expected,) = (whole / "features").iterdir()
    assert left.name == expected.name
    for name in ("level1.none.float32.npy", "fc2.none.float32.npy", "ids.npy"):
        assert (left / name).read_bytes() == (expected / name).read_bytes(), name
    assert not list(left.glob("*.partial"))


def test_two_processes_at_once_compute_it_once(file, tmp_path):
    env = {"JAXLAB_CACHE": str(tmp_path / "both")}
    with (
        processes.Process(filled.until, file, -1, env=env) as one,
        processes.Process(filled.until, file, -1, env=env) as other,
    ):
        both = one.ended(), other.ended()
    assert [ended.returncode for ended in both] == [0, 0], both
    assert sorted(ended.stdout.count("done 400") for ended in both) in ([0, 1], [0, 2])
    (folder,) = (tmp_path / "both" / "features").iterdir()
    assert not (folder / "pieces").exists()
    images = pixels(400)
    stored = np.load(folder / "level1.none.float32.npy")
    for row in (0, 200, 399):
        np.testing.assert_allclose(stored[row], encoding.level1(file, images[row]), atol=2e-6)


def test_an_image_that_cannot_be_read_is_named_and_what_was_done_is_kept(file, monkeypatch):
    monkeypatch.setattr("jaxlab.encode.store.FLUSH_SECONDS", 0.0)
    images = pixels(400)
    good = samples(images)

    def read(k):
        if k in (300, 301):
            raise UserError(f"file{k}.png: cannot be decoded")
        return images[k]

    with pytest.raises(UserError, match=r"2 of 64 images cannot be used: file300.*file301"):
        made(encoder(file, "fc2"), replace(good, read=read))
    seen = []
    found, _ = made(encoder(file, "fc2"), replace(good, read=lambda k: (seen.append(k), images[k])[1]))
    assert min(seen) >= 128  # the batches before were kept
    assert np.isfinite(found["fc2"]).all()


def test_floats_that_are_normalised_already_are_not_normalised_again(file):
    given = samples(np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype(np.float32))
    with pytest.raises(
        UserError, match=r"ImageEncoder: the images are floats from .* normalised already, say so"
    ):
        made(encoder(file, "fc2", normalize=None), given)
    made(encoder(file, "fc2"), given)


def test_an_unknown_layer_lists_those_there_are(file):
    with pytest.raises(UserError, match=r"LeNet5 has no layer 'fc9'; it has level1, level2, fc1, fc2$"):
        load_all((encoder(file, "level1", "fc9"),))


def test_a_head_that_reads_no_layer_by_name_needs_layers(file):
    """A head from a user's own config need not be made of readouts."""

    class Blind(Head):
        def build(self, features, targets, rngs):
            return nnx.Linear(1, len(targets), rngs=rngs)

    given = encoder(file)
    data = Simulated(images=4, test_images=1, size=16)
    with pytest.raises(UserError, match="--layers: the config's head reads no layer by its name"):
        extract(data, given.model, given.images, NORMALIZE, (Blind(),))


def test_random_weights_are_said():
    """The kind: a frozen network without weights, in `jaxlab features`, cached features or a ridge regression."""
    data, model, images = Simulated(images=4, test_images=1, size=16), LeNet5(grid=1), Images(size=(16, 16))
    out = io.StringIO()
    extract(data, model, images, NORMALIZE, (), layers="fc1", console=Console(file=out))
    assert "warning: its weights are random" in out.getvalue()
    (loaded,) = load_all((ImageEncoder(model=model, images=images),))
    assert "warning: its weights are random" in loaded.about


def test_weights_that_were_loaded_are_not_called_random(file):
    assert "random" not in load_all((encoder(file, "fc1"),))[0].about


@pytest.mark.parametrize("size", [None, (32, 32)])
def test_an_unknown_layer_is_refused_before_data_are_opened(size, monkeypatch):
    wanted = r"LeNet5 has no layer 'fc9'; it has level1, level2, fc1, fc2$"
    monkeypatch.setattr(Simulated, "open", lambda self: pytest.fail("opened before the mistake was found"))
    with pytest.raises(UserError, match=wanted):
        extract(Simulated(), LeNet5(), Images(size=size), None, (), layers="fc1,fc9")


def test_the_last_layer_is_the_default(file):
    (loaded,) = load_all((encoder(file),))
    assert loaded.named == {"fc2": "fc2"}


def test_two_encoders_are_told_apart_by_their_names(file):
    pair = encoder(file, "fc1"), encoder(file, "fc1", "fc2")
    with pytest.raises(UserError, match=r"several have layers named fc1; .*`name`"):
        load_all(pair)
    loaded = load_all((pair[0], replace(pair[1], name="b")))
    assert list(features(loaded, samples(pixels(4))).kept) == ["fc1", "b/fc1", "b/fc2"]


def test_without_weights_the_parameters_are_the_seeds():
    model = ShallowCNN(channels=(4,), kernel_sizes=(3,))
    images, given = Images(size=(16, 16)), samples(pixels(4))
    found = [
        made(ImageEncoder(model=model, images=images, seed=seed), given)[0]["pool"] for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_a_size_is_needed():
    with pytest.raises(UserError, match=r"ImageEncoder\.images: expected a size"):
        ImageEncoder(model=LeNet5(), images=Images())
