"""Targets that are missing: left out where the data say so, else refused; scores and constants of what is known.

The kind: a number that is not there. It has no part in losses (tests of losses), constants, scores or choices.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.stats import pearsonr
from tiny import tiny
from tiny_config import __file__ as CONFIG

from jaxlab.cli.main import main
from jaxlab.core.config import override, short_hash
from jaxlab.core.precision import origin
from jaxlab.core.types import Samples, UserError
from jaxlab.data import Arrays, Images, KaggleTable
from jaxlab.data.audit.target_statistics import moments
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.evaluate.scores import scores_of
from jaxlab.experiment import Experiment, Objective
from jaxlab.experiment.recipe import resolve
from jaxlab.losses import BatchLoss, CrossEntropy, LogitAdjusted, Mse
from jaxlab.metrics import RegressionSums
from jaxlab.models import ShallowCNN
from jaxlab.objectives import resolved
from jaxlab.runs import api
from jaxlab.training import journal

RNG = np.random.default_rng(3)
X = RNG.normal(size=(23, 4)).astype(np.float32)
Y = (X + RNG.normal(size=X.shape) + 5).astype(np.float32)
Y[RNG.random(Y.shape) < 0.4] = np.nan
Y[:, 3] = np.nan  # known nowhere, as in a small validation split


def expected(x, y):
    """Of the targets that are known somewhere, by scipy and numpy."""
    known = [~np.isnan(column) for column in y.T]
    pairs = [(x[rows, k], y[rows, k]) for k, rows in enumerate(known) if rows.any()]
    r = [pearsonr(a, b)[0] for a, b in pairs]
    return {
        "pearson": np.mean(r),
        "pearson_median": np.median(r),
        "explained_variance": np.mean([1 - np.var(b - a) / np.var(b) for a, b in pairs]),
        "mse": np.mean([np.square(a - b).mean() for a, b in pairs]),
        "spread_ratio": np.mean([a.std() / b.std() for a, b in pairs]),
    }


def test_scores_are_those_of_known_values(nans_allowed):
    sums, mask = RegressionSums.start(4, missing=True), jnp.arange(12) < 11
    add = jax.jit(lambda sums, x, y: sums.add(x, y, jnp.ones(12), mask))
    for start in (0, 11):  # each batch is filled up by a row that counts as nothing
        rows = slice(start, start + 12)
        sums = add(sums, jnp.asarray(X[rows]), jnp.asarray(Y[rows]))
    found, truth = sums.compute(np.full(4, 0.5)), expected(X[:22], Y[:22])
    assert found["loss"] == 1
    assert found["constant_targets"] == 0
    assert {name: found[name] for name in truth} == pytest.approx(truth, rel=1e-4)
    assert found["noise_normalised"] == pytest.approx(truth["pearson"] / np.sqrt(0.5), rel=1e-4)
    on_the_host = scores_of(X[:22], Y[:22])
    assert {name: on_the_host[name] for name in truth} == pytest.approx(truth, rel=1e-6)


def test_sums_of_complete_targets_are_what_they_were():
    """Of the same shapes, so that checkpoints of before are read."""
    assert RegressionSums.start(4).count.shape == ()
    assert len(jax.tree.leaves(RegressionSums.start(4))) == 11


def one_objective(loss=None, missing=True):
    return resolved({"activity": Objective(loss=loss or Mse())}, {"activity": tuple("abc")}, missing=missing)[
        0
    ]


def test_constants_are_those_of_known_values():
    found = one_objective().constants(Y[:, :3], standardize=True)
    np.testing.assert_allclose(found["target_mean"], np.nanmean(Y[:, :3], 0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(found["target_scale"], np.nanstd(Y[:, :3], 0, dtype=np.float64), rtol=1e-6)
    far = Y[:, :3].astype(np.float64) + 1e9
    np.testing.assert_allclose(origin(far), np.nanmean(far, 0), rtol=1e-12)


def gappy(path, arrays_npz, silent=()):
    """The arrays with a third of the targets missing, and of the `silent` ones all."""
    arrays = dict(np.load(arrays_npz))
    arrays["targets"] = arrays["targets"].copy()
    arrays["targets"][np.random.default_rng(0).random((44, 5)) < 0.33] = np.nan
    arrays["targets"][:, list(silent)] = np.nan
    np.savez(path / "gappy.npz", **arrays)
    return path / "gappy.npz"


@pytest.mark.slow
def test_a_network_trains_on_what_is_known(arrays_npz, tmp_path):
    root, run = gappy(tmp_path, arrays_npz), tmp_path / "run"
    arguments = ["train", CONFIG, "--run", str(run), "--set", f"data.root={root}"]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1
    assert "values are not finite" in refused.output
    assert "data.missing_targets=true leaves them out" in " ".join(refused.output.split())
    result = CliRunner().invoke(main, [*arguments, "--set", "data.missing_targets=true"])
    assert result.exit_code == 0, result.output
    assert "target values for training are missing and left out" in " ".join(result.output.split())
    evaluated = CliRunner().invoke(main, ["evaluate", str(run), "--json"])
    assert evaluated.exit_code == 0, evaluated.output
    last = journal.read(run / "metrics.jsonl", "validation")[-1]
    assert np.isfinite(last["loss"])
    assert last["pearson"] is not None
    resumed = CliRunner().invoke(main, [*arguments, "--set", "data.missing_targets=true"])
    assert "steps are done" in resumed.output


def test_a_target_that_is_missing_in_all_training_samples_is_refused(arrays_npz, tmp_path):
    experiment = tiny(gappy(tmp_path, arrays_npz, silent=(1, 4)), "data.missing_targets=true")
    with pytest.raises(UserError, match=r"2 targets missing in all \d+ training samples \(t00001, t00004\)"):
        resolve(experiment, experiment.data.open())


def test_a_users_source_with_gaps_that_does_not_say_so_is_refused(arrays_npz):
    experiment = tiny(arrays_npz)
    opened = experiment.data.open()
    target = opened.train.target.copy()
    target[3, 1] = np.nan
    with pytest.raises(
        UserError, match=r"'activity': 1 values are not finite \(train-000003, target t00001\); where"
    ):
        resolve(experiment, replace(opened, train=replace(opened.train, target=target)))


@dataclass(frozen=True, kw_only=True)
class KnowsNoGaps(BatchLoss):
    kind = "regression"


def test_a_loss_that_cannot_leave_out_is_refused(arrays_npz):
    with pytest.raises(UserError, match="KnowsNoGaps does not leave out missing targets, as Mse"):
        tiny(arrays_npz, "data.missing_targets=true", loss=KnowsNoGaps())


def test_a_table_with_empty_cells(tmp_path):
    (tmp_path / "train").mkdir()
    cells = {"a": "1,", "b": ",2", "c": "nan,NA", "d": "4,x"}
    for name in cells:
        Image.new("RGB", (4, 4)).save(tmp_path / f"train/{name}.png")

    def written(*names):
        lines = [f"{name},{cells[name]}" for name in names]
        (tmp_path / "train.csv").write_text("\n".join(["id,n0,n1", *lines]))
        return KaggleTable(root=str(tmp_path), missing_targets=True)

    target = written("a", "b", "c").open().train.target
    np.testing.assert_array_equal(target, [[1, np.nan], [np.nan, 2], [np.nan, np.nan]])
    with pytest.raises(
        UserError, match=r"4 target values are not finite numbers .*missing_targets=true leaves"
    ):
        replace(written("a", "b", "c"), missing_targets=False).open()
    with pytest.raises(UserError, match=r"1 target values are not finite numbers \(d, column 'n1': 'x'\)"):
        written("a", "d").open()


def test_a_column_of_numbers_with_gaps():
    objective = {"weight": Objective(of="weight")}
    one = resolved(objective, {"weight": ("weight",)}, missing=True)[0]
    cells = np.array(["1.5", "", "NA", "2"])
    assert one.names_in("weight", cells, "here", missing=True) == ("weight",)
    with pytest.raises(UserError, match="could not convert"):
        one.names_in("weight", cells, "here")


def test_ridge_says_that_it_takes_no_gaps(arrays_npz, tmp_path):
    encoder = ImageEncoder(model=ShallowCNN(), images=Images(size=(16, 16)), layers=("level1",))
    data = Arrays(root=str(gappy(tmp_path, arrays_npz)), missing_targets=True)
    with pytest.raises(UserError, match="Ridge: expected targets without gaps"):
        api.train(Ridge(data=data, encoders=(encoder,)), tmp_path / "run")


def test_a_config_without_gaps_is_what_it_was():
    assert short_hash(Experiment()) == "d583d306", "as jaxlab 0.1 has it"


# -- what else cannot be learned from


def notes(arrays_npz, factor, *settings, **parts):
    experiment = tiny(arrays_npz, *settings, **parts)
    opened = experiment.data.open()
    target = (opened.train.target * np.float64(factor)).astype(np.float32)
    opened = replace(opened, train=replace(opened.train, target=target))
    return resolve(experiment, opened).training.notes


def test_targets_far_from_one_that_are_not_standardised(arrays_npz):
    plain = "training.standardize=false"
    assert notes(arrays_npz, 1.0, plain) == ()
    assert notes(arrays_npz, 1e9) == ()
    for factor in (1e-6, 1e8):
        (line,) = notes(arrays_npz, factor, plain)
        assert line.startswith(
            "warning: activity: Mse compares the targets as they are, and their usual size is"
        )
    with pytest.raises(UserError, match=r"usual size is 1e-29, .* float32 cannot even square such numbers"):
        notes(arrays_npz, 1e-30, plain)


@pytest.mark.parametrize("loss", [CrossEntropy(class_weight_strength=0.5), LogitAdjusted()])
def test_a_class_without_a_sample_under_class_weights(loss):
    one = resolved({"label": Objective(loss=loss)}, {"label": ("cat", "dog", "hen")})[0]
    label = np.array([0, 1, 1, 2, -1, 0], np.int32)
    samples = Samples(np.array(list("abcdef")), lambda k: None, lambda k: b"", label=label)
    assert one.learnable(samples, np.array([0, 1, 3]), standardize=True) == []
    with pytest.raises(
        UserError, match=r"1 class has no sample among the 2 for training \(hen\): change the split"
    ):
        one.learnable(samples, np.array([0, 1, 4]), standardize=True)
    assert one.learnable(samples, np.array([0, 1, 4]), standardize=True, limited=True) == []
    (shares,) = one.constants(label[[0, 1, 2]], standardize=True).values()
    np.testing.assert_allclose(shares, np.array([1, 2, 0.5]) / 3.5, rtol=1e-6)


def test_fields_of_losses_by_name(arrays_npz):
    changed = override(Experiment(loss=CrossEntropy()), ["loss.class_weight_strength=0.5"])
    assert changed.loss == CrossEntropy(class_weight_strength=0.5)
    with pytest.raises(UserError, match=r"class_weight_strength: expected 0 .* to 1 .*, found 1\.5"):
        override(changed, ["loss.class_weight_strength=1.5"])


def test_the_audit_looks_at_what_is_known():
    found = moments(Y)
    np.testing.assert_allclose(found.mean[:3], np.nanmean(Y[:, :3].astype(float), 0))
    np.testing.assert_allclose(found.highest[:3], np.nanmax(Y[:, :3], 0))
    assert found.constant.tolist() == [False, False, False, True]
