"""Training with mixed images, computed channels, masks and balanced classes: on one device as on four, end to end."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from tiny import steps, tiny

import jaxlab
from jaxlab.core.types import UserError
from jaxlab.data import (
    Canny,
    CutMix,
    FourierMagnitude,
    GaborBank,
    Gradient,
    Grey,
    MirrorCopies,
    Mixup,
    Oversample,
    Shift,
    Sobel,
    Wavelet,
    WithMasks,
)
from jaxlab.losses import CrossEntropy
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.optim import SGD

CHANNELS = (
    Grey(),
    Gradient(),
    Sobel(),
    Canny(),
    GaborBank(wavelengths=(4.0,)),
    FourierMagnitude(),
    Wavelet(),
)
TOLERANCE = 2e-5  # as in test_training_parallel: of the largest change that training made to a leaf


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """60 images of 16 px: 36, 16 and 8 of three classes, which differ in brightness; masks of every one."""
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [36, 16, 8]))
    images = (rng.integers(0, 120, (60, 16, 16, 3)) + labels[:, None, None, None] * 60).astype(np.uint8)
    np.savez(
        folder / "arrays.npz",
        images=images.astype(np.uint8),
        labels=labels,
        test_images=images[:4].astype(np.uint8),
    )
    (folder / "masks").mkdir()
    for name in [f"train-{k:06d}" for k in range(60)] + [f"test-{k:06d}" for k in range(4)]:
        mask = (rng.random((16, 16)) > 0.5).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return folder


def apart(a, b, start) -> float:
    """The largest difference between leaves, relative to the largest change from the start of that leaf."""
    return max(float(np.abs(a[k] - b[k]).max() / np.abs(b[k] - start[k]).max()) for k in start)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mix", "layouts"),
    [
        pytest.param(Mixup(alpha=1.0), ("pmap", "data", "single"), id="mixup", marks=pytest.mark.exhaustive),
        pytest.param(CutMix(), ("pmap", "single"), id="cutmix"),
    ],
)
def test_mixing_makes_the_same_update_on_four_devices_as_on_one(arrays_npz, mix, layouts):
    assert jax.device_count() == 4
    parts = {"mix": mix, "optimizer": SGD(lr=0.05), "channels": (Sobel(),)}
    made = {name: steps(tiny(arrays_npz, f"training.parallel={name}", **parts), 3) for name in layouts}
    start, _ = steps(tiny(arrays_npz, "training.parallel=single", **parts), 0)
    one, expected = made.pop("single")
    for name, (state, reports) in made.items():
        assert apart(state.params, one.params, start.params) < TOLERANCE, name
        for mine, single in zip(reports, expected, strict=True):
            assert mine == pytest.approx(single, rel=2e-5)
    if isinstance(mix, Mixup):
        _, plain = steps(tiny(arrays_npz, "training.parallel=single", **{**parts, "mix": None}), 1)
        assert abs(plain[0]["loss"] - expected[0]["loss"]) > 1e-3, "mixing changes what is learnt"


@pytest.mark.slow
def test_mixed_micro_batches_are_the_same_on_two_devices_as_on_one(arrays_npz):
    model = ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), norm="layer")
    parts = {"mix": Mixup(alpha=1.0), "optimizer": SGD(lr=0.05), "model": model}
    made = [
        steps(tiny(arrays_npz, "training.accumulate=2", f"training.parallel={name}", **parts), 2)
        for name in ("auto", "single")
    ]
    for mine, single in zip(made[0][1], made[1][1], strict=True):
        assert mine == pytest.approx(single, rel=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("balance", "channels"),
    [(Oversample(), CHANNELS), (MirrorCopies(), (Grey(),))],
    ids=["oversample", "mirror"],
)
def test_channels_masks_mixing_and_balance_train_and_predict(labelled, tmp_path, balance, channels):
    """Every computed channel at once, and one alone; the run loads and predicts its test images."""
    experiment = tiny(
        labelled / "arrays.npz", "training.epochs=2", channels=channels, mix=CutMix(), balance=balance,
        loss=CrossEntropy(label_smoothing=0.1), augment=(Shift(pixels=1),),
    )  # fmt: skip
    experiment = replace(
        experiment,
        data=WithMasks(source=experiment.data, masks=str(labelled / "masks"), classes=2),
    )
    path = jaxlab.train(experiment, tmp_path / "run")
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    run = jaxlab.load(path)
    learn = run.opened.train.label[run.positions[0]]
    per_epoch = balance.length(learn) // 8
    assert [r["step"] for r in records if r["split"] == "train"] == [per_epoch, 2 * per_epoch]
    assert run.predict_split("test").values.shape == (4, 3)
    with pytest.raises(UserError, match="its images have masks, which only those of a split bring along"):
        run.predict(np.zeros((1, 16, 16, 3), np.uint8))
