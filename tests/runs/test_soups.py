"""Soups: what is averaged, how a greedy one is chosen, and that the outcome is a run like any other."""

import hashlib
import io
import json
import math
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.lib.stride_tricks import sliding_window_view
from rich.console import Console
from scipy.special import ndtr
from tiny import tiny, trained_run

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.data.pipeline import Batches
from jaxlab.runs import api
from jaxlab.runs.ridge import RidgeRun
from jaxlab.runs.soup.average import greedily
from jaxlab.runs.soup.soup import _deciding
from jaxlab.training import journal
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory


def made(runs, out, **options) -> tuple[str, str]:
    """The path of the soup, and what was said."""
    console = Console(file=io.StringIO(), width=200)
    path = jaxlab.soup(runs, out, console=console, **options)
    return path, console.file.getvalue()


def refused(runs, out, **options) -> str:
    with pytest.raises(UserError) as error:
        made(runs, out, **options)
    assert not out.exists()
    return str(error.value)


def altered(run, copy, file, **changes) -> str:
    """A copy of the run whose JSON file has other values at dotted paths."""
    shutil.copytree(run, copy)
    data = json.loads((copy / file).read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = data
        for name in parents:
            node = node[name]
        node[last] = value
    (copy / file).write_text(json.dumps(data))
    return copy


@pytest.fixture(scope="module")
def other(arrays_npz, tmp_path_factory):
    """As `trained`, but for its seed and its dropout."""
    run = tmp_path_factory.mktemp("other") / "run"
    return trained_run(arrays_npz, run, "seed=1", "model.dropout=0.1", "head.dropout=0.0")


@pytest.fixture(scope="module")
def averaged(trained, tmp_path_factory):
    """The soup of all checkpoints of `trained`."""
    return made([trained], tmp_path_factory.mktemp("soup") / "soup")[0]


# -- the greedy choice ---------------------------------------------------------------------------------------


def choose(members, scores):
    """By a table of scores: {members so far: score}."""
    return greedily(
        members,
        lambda first: (first,),
        lambda soup, member: (*soup, member),
        lambda soup: scores["".join(soup)],
    )


def test_greedy_takes_what_does_not_lower_the_score():
    scores = {"a": 0.5, "ab": 0.5, "abc": 0.4, "abd": 0.6, "abde": 0.59}
    soup, taken = choose("abcde", scores)
    assert soup == tuple("abd")
    assert taken == list("abd")


def test_greedy_takes_no_member_whose_score_is_not_a_number():
    assert choose("abc", {"a": 0.1, "ab": math.nan, "ac": 0.2})[1] == ["a", "c"]
    assert choose("abc", {"a": -math.inf, "ab": -math.inf, "ac": 0.2})[1] == ["a", "c"]


@pytest.mark.parametrize("undefined", [("a", "b"), ("b",)])
def test_members_without_a_score_are_compared_by_their_loss(undefined):
    """One validation sample, or constant targets or predictions: no member is better for a score that none has."""
    scores = {
        name: {"pearson": math.nan if name in undefined else 0.3, "loss": loss}
        for name, loss in {"a": 0.5, "b": 0.2}.items()
    }
    console = Console(file=io.StringIO(), width=200)
    assert _deciding("pearson", scores, console) == ("loss", {"a": 0.5, "b": 0.2})
    said = console.file.getvalue()
    assert f"warning: pearson is undefined on the validation samples for {', '.join(undefined)}" in said
    assert _deciding("loss", scores, console) == ("loss", {"a": 0.5, "b": 0.2})
    assert _deciding(None, scores, console) == (None, {})


# -- averages ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_soup_holds_the_average_of_the_arrays_that_predict(trained, averaged):
    members = [checkpoint.arrays() for checkpoint in saved(trained / "checkpoints")]
    assert len(members) >= 2
    (checkpoint,) = saved(averaged / "checkpoints")
    found = checkpoint.arrays()
    assert found["ema"] == {}
    for field, of in {"params": "ema", "constants": "constants"}.items():
        assert found[field].keys() == members[0][of].keys()
        for path, leaf in found[field].items():
            expected = np.mean([member[of][path] for member in members], 0, dtype=np.float64)
            np.testing.assert_allclose(leaf, expected, rtol=1e-7, atol=1e-9)
            assert leaf.dtype == np.float32


def convolved(x, kernel):
    """(b, h, w, o): a 3 x 3 convolution padded by 1."""
    windows = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (1, 2))
    return np.einsum("bhwcij,ijco->bhwo", windows, kernel)


def pooled(x):
    """(b, h / 2, w / 2, c): 3 x 3 maxima at stride 2, padded by 1."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    return sliding_window_view(padded, (3, 3), (1, 2)).max((-1, -2))[:, ::2, ::2]


@pytest.mark.slow
def test_batch_norms_have_the_statistics_of_the_training_images(arrays_npz, averaged):
    """Both levels in numpy: their mean over batches of batch means, and of unbiased batch variances."""
    run = jaxlab.load(averaged)
    images = np.load(arrays_npz)["images"][run.positions[0]]
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    batches = Batches(images, {}, 8, seed=0)
    assert batches.steps_per_epoch == 4
    arrays = run.checkpoint().arrays()
    params = {path: leaf.astype(np.float64) for path, leaf in arrays["params"].items()}
    sums: dict[str, np.ndarray] = {}
    for k in range(4):
        x = (batches[k]["image"] / 255 - mean) / std
        for level in ("backbone.levels.0", "backbone.levels.1"):
            x = convolved(x, params[f"{level}.conv.kernel"])
            found = {"mean": x.mean((0, 1, 2)), "var": x.var((0, 1, 2), ddof=1)}
            for name, values in found.items():
                sums[f"{level}.norm.{name}"] = sums.get(f"{level}.norm.{name}", 0) + values / 4
            x = (x - found["mean"]) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
            x = x * params[f"{level}.norm.scale"] + params[f"{level}.norm.bias"]
            x = pooled(x * ndtr(x))
    assert sums.keys() == arrays["stats"].keys()
    for path, expected in sums.items():
        np.testing.assert_allclose(arrays["stats"][path], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_soup_of_the_same_network_predicts_as_it_does(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "again")
    path, said = made([trained, tmp_path / "again"], tmp_path / "soup", greedy=True)
    assert "soup of 2" in said
    assert "measured anew" not in said
    soup, member = jaxlab.load(path), jaxlab.load(trained)
    np.testing.assert_array_equal(soup.predict_split("test").values, member.predict_split("test").values)
    assert soup.evaluate()["validation"] == member.evaluate()["validation"]


@pytest.mark.slow
def test_a_greedy_soup_of_runs_is_the_best_or_better(trained, other, tmp_path):
    """Dropout is no difference of networks; a member is taken just where the average of both is no worse."""
    both, _ = made([trained, other], tmp_path / "both", checkpoint="last")
    greedy, said = made([trained, other], tmp_path / "greedy", greedy=True, checkpoint="last")
    alone = [jaxlab.load(run).evaluate("last")["validation"]["pearson"] for run in (trained, other)]
    together = journal.read(both / "metrics.jsonl", "validation")[0]["pearson"]
    chosen = journal.read(greedy / "metrics.jsonl", "validation")[0]["pearson"]
    assert chosen == pytest.approx(max(*alone, together), rel=1e-6)
    about = json.loads((greedy / "run.json").read_text())["soup"]
    assert [member["score"] for member in about["members"]] == pytest.approx(alone, rel=1e-6)
    taken = [score == max(alone) or together >= max(alone) for score in alone]
    assert [member["taken"] for member in about["members"]] == taken
    assert (
        f"soup of {sum(taken)}: validation pearson {chosen:.4f}, the best member's {max(alone):.4f}" in said
    )


# -- a run like any other ------------------------------------------------------------------------------------


def command(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


@pytest.mark.slow
def test_a_soup_is_evaluated_predicted_and_inspected(trained, tmp_path):
    assert str(tmp_path / "soup") in command(
        "soup", trained, "--checkpoints", "last:2", "--out", tmp_path / "soup"
    )
    steps = [checkpoint.step for checkpoint in saved(trained / "checkpoints")][-2:]
    recorded = journal.read(tmp_path / "soup" / "metrics.jsonl", "validation")
    scores = json.loads(command("evaluate", tmp_path / "soup", "--json"))["0"]["validation"]
    assert {name: recorded[0][name] for name in scores} == pytest.approx(scores, rel=1e-6)
    command("predict", tmp_path / "soup", "--out", tmp_path / "out.npz")
    provenance = json.loads(np.load(tmp_path / "soup/predictions/test.npz")["provenance"].item())
    digests = [checkpoint.meta()["digest"] for checkpoint in saved(trained / "checkpoints")][-2:]
    assert [member["digest"] for member in provenance["soup"]["members"]] == digests
    assert [member["step"] for member in provenance["soup"]["members"]] == steps
    report = json.loads(command("inspect", tmp_path / "soup", "--json", "--stats"))
    assert report["checkpoints"][0]["verified"]
    assert report["best"]["value"] == pytest.approx(scores["pearson"], rel=1e-6)
    assert "average of 2 of 2 checkpoints" in command("inspect", tmp_path / "soup")


@pytest.mark.slow
def test_a_soup_of_a_soup_and_no_training_from_one(arrays_npz, trained, averaged, tmp_path):
    path, _ = made([averaged, trained], tmp_path / "soup", checkpoint="last")
    assert jaxlab.load(path).predict_split("test").values.shape == (7, 5)
    with pytest.raises(UserError, match="is a soup, an average of checkpoints: nothing trains on from it"):
        api.train(tiny(arrays_npz), averaged, console=Console(file=io.StringIO()))


@pytest.mark.slow
def test_members_of_different_folds_have_no_honest_validation(trained, tmp_path):
    fold = altered(trained, tmp_path / "fold", "config.json", experiment__split__seed=1)
    path, said = made([trained, fold], tmp_path / "soup")
    assert "no validation score: no validation image is sure to be new to all members" in said
    assert f"{fold}: split.seed: 0 -> 1" in said
    assert journal.read(path / "metrics.jsonl") == []
    soup = jaxlab.load(path)
    assert soup.evaluate_checkpoints("all")[0].keys() == {"train"}
    assert journal.read(path / "metrics.jsonl") == []
    with pytest.raises(UserError, match="were not validated on the same images"):
        soup.predict_split("validation")
    assert "split.seed: 0 -> 1" in refused([trained, fold], tmp_path / "no", greedy=True)
    error = refused([trained, path], tmp_path / "no", greedy=True)
    assert f"{path}: a soup whose members were not validated on the same images" in error


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_other_data_targets_inputs_or_networks_are_named(trained, tmp_path):
    def error(name, file, **changes):
        return refused(
            [trained, altered(trained, tmp_path / name, file, **changes)], tmp_path / "soup", greedy=True
        )

    fingerprint = jaxlab.load(trained).info["data"]["fingerprint"][:12]
    wrong = error("data", "run.json", data__fingerprint="0" * 64)
    assert f'data: "{fingerprint}" -> "{"0" * 12}"' in wrong
    names = list(jaxlab.load(trained).targets)
    assert "the same targets in another order" in error("order", "run.json", task__targets=names[::-1])
    wrong = error("targets", "run.json", task__targets=["x", *names[1:]])
    assert f"1 targets missing ({names[0]}), 1 besides (x)" in wrong
    assert "images.size.0: 16 -> 32" in error("size", "run.json", task__images__size=[32, 32])
    wrong = error("activation", "config.json", experiment__model__activation="relu")
    assert 'model.activation: "gelu" -> "relu"' in wrong


@pytest.mark.slow
def test_another_shape_is_named_by_its_arrays(trained, tmp_path):
    wider = shutil.copytree(trained, tmp_path / "wider")
    for checkpoint in saved(wider / "checkpoints"):
        meta = checkpoint.meta()
        meta["leaves"]["ema"]["backbone.levels.0.conv.kernel"] = [[3, 3, 3, 5], "float32"]
        del meta["leaves"]["stats"]["backbone.levels.1.norm.var"]
        (checkpoint.path / "meta.json").write_text(json.dumps(meta))
        _sign(checkpoint.path)
    error = refused([trained, wider], tmp_path / "soup")
    assert "lacks stats.backbone.levels.1.norm.var" in error
    expected = "params.backbone.levels.0.conv.kernel, float32[3, 3, 3, 5] instead of float32[3, 3, 3, 4]"
    assert f"differs in {expected}" in error


def _sign(checkpoint) -> None:
    """The manifest as if the files had been written so."""
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest["files"]["meta.json"] = hashlib.sha256((checkpoint / "meta.json").read_bytes()).hexdigest()
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.slow
def test_damaged_single_and_repeated_members_are_refused(trained, averaged, tmp_path):
    damaged = shutil.copytree(trained, tmp_path / "damaged")
    first = saved(damaged / "checkpoints")[0]
    (first.path / "meta.json").write_text((first.path / "meta.json").read_text() + " ")
    assert f"checkpoint {first.step} is damaged" in refused([damaged], tmp_path / "soup")
    assert "expected two checkpoints or more, found 1" in refused([averaged], tmp_path / "soup")
    again = trained / ".." / trained.name
    assert f"given more than once: {trained}" in refused([trained, again], tmp_path / "soup")
    assert "found 'last:0'" in refused([trained], tmp_path / "soup", checkpoints="last:0")
    both = {"checkpoint": "last", "checkpoints": "all"}
    assert "found both asked for" in refused([trained], tmp_path / "soup", **both)
    changed = refused([trained], tmp_path / "soup", settings=["limit=30"])
    assert "settings may say where data lie and change nothing else: limit: null -> 30" in changed


# The kind: what a kill in the middle of a soup left, by this version or the one before, or damage to it since.
LEFT = {
    "checkpoints alone": lambda soup: (soup / "config.json").unlink(),
    "an empty folder": lambda soup: [shutil.rmtree(soup), soup.mkdir()],
    "a partial folder": lambda soup: soup.rename(soup.with_name("soup.partial")),
    "a damaged checkpoint": lambda soup: (soup / "checkpoints/0/meta.json").write_text("{}"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", LEFT)
def test_what_is_not_whole_is_made_anew_by_the_same_command(trained, averaged, tmp_path, what):
    out = shutil.copytree(averaged, tmp_path / "soup", ignore=shutil.ignore_patterns("predictions", "plots"))
    LEFT[what](out)
    made([trained], out)
    assert saved(out / "checkpoints")[0].fault() is None
    assert jaxlab.load(out).checkpoint().meta() == jaxlab.load(averaged).checkpoint().meta()
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(UserError, match="soup exists already"):
        made([trained], out)


@pytest.mark.slow
def test_a_soup_that_could_not_be_written_leaves_nothing(trained, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxlab.training.rundir.write_json", full)
    assert "could not be written (No space left on device)" in refused([trained], tmp_path / "soup")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_folds_are_named_one_by_one(folded, tmp_path):
    error = refused([folded], tmp_path / "soup")
    assert f"holds a run for each of its folds; name those: {folded / 'fold0'}, {folded / 'fold1'}" in error


def test_what_is_no_trained_network_is_refused(tmp_path, monkeypatch):
    assert "is not a run directory" in refused([tmp_path / "nowhere"], tmp_path / "soup")
    ridge = RunDirectory(tmp_path / "ridge")
    ridge.create({"type": "Ridge"}, None, {})
    monkeypatch.setattr("jaxlab.runs.soup.soup.load", lambda *_: RidgeRun(ridge, None))
    assert "is no trained network" in refused([ridge.path], tmp_path / "soup")
    with pytest.raises(UserError, match="ridge exists already"):
        jaxlab.soup([tmp_path / "a"], ridge.path)
