"""Several processes, threads here, fit what scikit-learn does, and what one process fits."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference
from test_ridge_math import FOLD, TARGETS, best_penalty, config, feature_set, maps, out_of_fold, problem
from told import each

from jaxlab.core.types import UserError
from jaxlab.encode import fitted
from jaxlab.encode.joint import Joint, say_of_cache
from jaxlab.encode.ridge import fit
from jaxlab.runs.joined import check_alike


def fitted_by(count, folder, settings, targets, **arrays):
    """What the first of so many processes has; nothing is left of what they told one another."""

    def one(group):
        joint = Joint(group, folder / "fitting")
        found = fit(settings, feature_set(**arrays), targets, FOLD, lambda _: None, joint)
        group.meet("all have it")
        joint.end()
        return found

    first, *_ = found = each(count, one)
    assert not [error for error in found if isinstance(error, Exception)]
    assert not list(folder.iterdir())
    return first


@pytest.mark.parametrize(("width", "processes"), [(9, 2), (200, 3)])
def test_processes_fit_what_scikit_learn_does(width, processes, tmp_path):
    """Columns of features, and their kernel; bands of one layer each, weighed alike, of two and three processes."""
    x, y = problem(width)
    parts = {"a": x[:, :4], "b": x[:, 4:]}
    outcome = fitted_by(processes, tmp_path, config(), y, **parts)
    assert [row.name for row in outcome.rows] == ["a", "b", "sum"]
    sizes = [np.sqrt(2 * np.square(part - part.mean(0)).sum(1).mean()) for part in parts.values()]
    scaled = np.concatenate(
        [(part - part.mean(0)) / size for part, size in zip(parts.values(), sizes, strict=True)], 1
    )
    alpha = best_penalty(scaled, y)
    assert outcome.fitted.alpha.tolist() == pytest.approx(alpha.tolist())
    guess = np.empty_like(y)
    for target in range(TARGETS):
        guess[:, target] = out_of_fold(scaled, y, alpha[target])[0][:, target]
        expected = Reference(alpha=alpha[target]).fit(scaled, y[:, target]).predict(scaled)
        ours = outcome.fitted.predict(feature_set(**parts))[:, target]
        np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(outcome.out_of_fold, guess, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("processes", "fields", "rows"),
    [
        (3, {"combine": "banded", "standardize": True, "blur": (0.0, 0.3)}, True),
        (2, {"combine": "best", "score": "r2"}, False),
        (TARGETS + 1, {"combine": "sum"}, False),  # more than there are targets, or bands
    ],
)
def test_processes_fit_what_one_does(processes, fields, rows, tmp_path, monkeypatch):
    if rows:
        monkeypatch.setattr(fitted, "PRIMAL_BYTES", 0)
    arrays, y = {"a": maps(0), "b": problem(30, 2)[0]}, problem(4)[1]
    y[:, 1] = 7
    alone = fit(config(**fields), feature_set(**arrays), y, FOLD, lambda _: None)
    found = fitted_by(processes, tmp_path, config(**fields), y, **arrays)
    assert [row.name for row in found.rows] == [row.name for row in alone.rows]
    for mine, theirs in zip(found.rows, alone.rows, strict=True):
        np.testing.assert_array_equal(mine.alpha, theirs.alpha)
        np.testing.assert_allclose(mine.score, theirs.score, atol=1e-5)
        assert mine.alpha.dtype == theirs.alpha.dtype
    np.testing.assert_allclose(found.out_of_fold, alone.out_of_fold, atol=1e-4)
    for kind, leaves in alone.fitted.to_arrays().items():
        mine = found.fitted.to_arrays()[kind]
        assert list(mine) == list(leaves)
        for name, leaf in leaves.items():
            assert (mine[name].shape, mine[name].dtype) == (leaf.shape, leaf.dtype)
            np.testing.assert_allclose(mine[name], leaf, rtol=1e-4, atol=1e-4 * np.abs(leaf).max())
    assert found.fitted.record() == alone.fitted.record()


@pytest.mark.parametrize("count", [0, 1, 3, 7, 61])
def test_shares_are_all_of_it_once(count, tmp_path):
    found = each(3, lambda group: np.arange(count)[Joint(group, tmp_path).own(count)])
    assert np.concatenate(found).tolist() == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_a_run_directory_that_not_all_see_is_refused(tmp_path):
    def one(group):
        Joint(group, tmp_path / str(min(group.index, 1)) / "fitting")

    found = each(3, one)
    assert [type(error) for error in found] == [UserError] * 3
    assert "expected a run directory on a disk that all 3 processes see, found that some do not" in str(
        found[0]
    )


def test_a_disk_that_refuses_is_said(tmp_path, monkeypatch):
    joint = each(1, lambda group: Joint(group, tmp_path))[0]
    assert (
        joint.exchanged("x", [np.arange(3)], lambda parts: parts[0][0].sum()) == 3
    )  # alone, nothing is written

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)

    def one(group):
        joint = Joint(group, tmp_path / "fitting")
        joint.exchanged("x", [np.arange(3)], lambda parts: None)

    assert all("could not be written (No space left on device)" in str(error) for error in each(2, one))


def test_a_folder_that_cannot_be_written_is_refused_by_all(tmp_path):
    (tmp_path / "run").write_text("a file")
    found = each(2, lambda group: Joint(group, tmp_path / "run/fitting"))
    assert all("run/fitting could not be written by process 0" in str(error) for error in found)


def test_of_a_cache_that_nobody_may_write_to_nothing_is_said(tmp_path, monkeypatch):
    said = []
    (tmp_path / "features").write_text("a file")
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path))
    assert each(2, lambda group: say_of_cache(group, said.append)) == [None, None]
    assert said == []


@pytest.mark.parametrize("processes", [1, 2])
def test_what_killed_processes_left_is_removed(processes, tmp_path):
    (tmp_path / "fitting/old/1-0").mkdir(parents=True)
    (tmp_path / "fitting/old/1-0/0.npy").write_bytes(b"torn")
    x, y = problem(9)
    assert len(fitted_by(processes, tmp_path, config(), y, a=x).rows) == 1


def test_caches_of_their_own_are_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path))
    each(2, lambda group: say_of_cache(group, said.append))
    assert said == []
    monkeypatch.setattr("jaxlab.encode.joint.seen", lambda *_: [True, False])
    each(2, lambda group: say_of_cache(group, said.append))
    assert len(said) == 2
    assert "not all processes keep features where process 0 does (others: 1)" in said[0]
    assert not list((tmp_path / "features").iterdir())


@pytest.mark.parametrize(
    ("key", "words"), [("data", "the data's fingerprint"), ("digest", "their encoders' weights")]
)
def test_processes_with_other_data_or_weights_are_refused(key, words):
    def one(group):
        own = {key: f"{group.index}" * 20}
        info = {"data": {"fingerprint": own.get("data", "a")}, "task": {"encoders": [{"digest": "b", **own}]}}
        check_alike(info, group)

    assert all(
        f"the 2 processes differ in {words}: process 0 has 000000000000," in str(e) for e in each(2, one)
    )
