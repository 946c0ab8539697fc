"""Numbers of several subjects in blocks, against the array with gaps that numpy makes of them."""

import numpy as np
import pytest

from jaxlab import UserError
from jaxlab.core.blocks import BlockDiagonal, blocks_of, column_of, joined, mapped, of_columns, taken
from jaxlab.core.precision import origin
from jaxlab.data.audit.target_statistics import moments
from jaxlab.objectives.learnable import gaps
from jaxlab.objectives.regression import _moments

RNG = np.random.default_rng(0)
BLOCKS = tuple(RNG.normal(k, 1, shape).astype(np.float32) for k, shape in enumerate([(5, 2), (0, 1), (4, 3)]))
FULL = tuple(RNG.normal(k, 1, shape).astype(np.float32) for k, shape in enumerate([(5, 2), (3, 1), (4, 3)]))
NAMES = tuple(f"t{k}" for k in range(6))


def dense(blocks):
    """By hand, cell by cell."""
    whole = np.full((sum(len(b) for b in blocks), sum(b.shape[1] for b in blocks)), np.nan)
    for k, block in enumerate(blocks):
        for row in range(len(block)):
            for column in range(block.shape[1]):
                first = sum(len(b) for b in blocks[:k]), sum(b.shape[1] for b in blocks[:k])
                whole[first[0] + row, first[1] + column] = block[row, column]
    return whole


@pytest.mark.parametrize("blocks", [BLOCKS, FULL], ids=["one without rows", "full"])
@pytest.mark.parametrize("rows", [0, -1, slice(2, 7), [8, 0, 0, 5], np.array([3]), np.empty(0, int)], ids=str)
def test_rows_are_those_of_the_array_with_gaps(blocks, rows):
    targets, whole = BlockDiagonal(blocks), dense(blocks)
    assert targets.shape == whole.shape == np.asarray(targets).shape
    np.testing.assert_array_equal(targets[rows], whole[rows].astype(np.float32))
    some = np.array([7, 1, 6, 2, 0])
    assert taken(targets, some).shape == (5, 6)
    np.testing.assert_array_equal(taken(targets, some)[:], whole[some].astype(np.float32))
    again = np.array([4, 0])
    np.testing.assert_array_equal(
        taken(taken(targets, some), again)[:], whole[some][again].astype(np.float32)
    )


def test_blocks_cover_what_is_known():
    chosen = np.array([10, 2, 6, 0])
    targets, whole = BlockDiagonal(FULL).taken(chosen), dense(FULL)[chosen]
    back = np.full(whole.shape, np.nan)
    for block in blocks_of(targets):
        back[block.rows, block.columns] = block.values
    np.testing.assert_array_equal(back, whole)
    assert targets.size == np.isfinite(whole).sum()
    doubled = mapped(BlockDiagonal(FULL), lambda columns, values: values * np.arange(6.0)[None, columns])
    np.testing.assert_array_equal(doubled[:], dense(FULL) * np.arange(6.0))
    np.testing.assert_array_equal(column_of(BlockDiagonal(FULL), 4), FULL[2][:, 1])


def test_blocks_may_lie_on_disk_and_beside_one_another(tmp_path):
    """Two files of one subject's rows, as its hemispheres, before another subject's array."""
    left, right = FULL[0], RNG.normal(size=(5, 3)).astype(np.float32)
    files = []
    for name, values in (("lh", left), ("rh", right)):
        np.save(tmp_path / f"{name}.npy", values)
        files.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    targets = joined([BlockDiagonal(tuple(files), ((0, 0), (0, 2))), FULL[2]])
    whole = dense((np.hstack([left, right]), FULL[2]))
    np.testing.assert_array_equal(targets[:], whole.astype(np.float32))
    np.testing.assert_array_equal(taken(targets, np.array([6, 1]))[:], whole[[6, 1]].astype(np.float32))
    np.testing.assert_allclose(_moments(targets, True)[0], np.nanmean(whole, 0), rtol=1e-6)
    order = np.array([4, 3, 7, 6])
    np.testing.assert_array_equal(of_columns(targets, order)[:], whole[:, order].astype(np.float32))


def test_columns_stay_by_subject():
    for order in ([1, 2, 5, 3], [3, 0], [2]):
        np.testing.assert_array_equal(
            of_columns(BlockDiagonal(FULL), np.array(order))[:], dense(FULL)[:, order]
        )
    order = np.array([3, 5, 4, 2, 0, 1])  # of subjects, too, as is what is found block by block
    found = _moments(of_columns(BlockDiagonal(FULL), order), True)[0]
    np.testing.assert_allclose(found, np.nanmean(dense(FULL)[:, order], 0), rtol=1e-6)
    with pytest.raises(UserError, match="expected those of one subject together"):
        of_columns(BlockDiagonal(FULL), np.array([0, 3, 1]))


def test_statistics_are_those_of_known_values():
    targets, whole = BlockDiagonal(FULL), dense(FULL)
    mean, deviation, size = _moments(targets, True)
    np.testing.assert_allclose(mean, np.nanmean(whole, 0), rtol=1e-6)
    np.testing.assert_allclose(deviation, np.nanstd(whole, 0), rtol=1e-6)
    np.testing.assert_allclose(size, np.nanmax(np.abs(whole), 0), rtol=1e-6)
    np.testing.assert_allclose(moments(targets).mean, np.nanmean(whole, 0), rtol=1e-6)
    assert origin(targets) is None
    far = BlockDiagonal(tuple(block.astype(np.float64) + 1e9 for block in FULL))
    np.testing.assert_allclose(origin(far), 1e9 + np.nanmean(whole, 0), rtol=1e-9)


def test_gaps_are_counted_within_a_subjects_samples():
    assert gaps("a", BlockDiagonal(FULL), NAMES) == []
    with_gap = FULL[2].copy()
    with_gap[1, 0] = np.nan
    (line,) = gaps("a", BlockDiagonal((*FULL[:2], with_gap)), NAMES)
    assert "1 of 25 target values for training are missing" in line
    assert "of t3 3 of 4 are known" in line
    with pytest.raises(UserError, match="1 target missing in all 9 training samples \\(t2\\)"):
        gaps("a", BlockDiagonal(BLOCKS), NAMES)


def test_no_array_of_all_fills_the_memory():
    large = np.broadcast_to(np.float32(0), (9_841, 39_548))
    eight = BlockDiagonal((large,) * 8)
    assert eight.shape == (78_728, 316_384)
    with pytest.raises(UserError, match="would take 100 GB as one array"):
        np.asarray(eight)
    assert eight[[0, -1]].shape == (2, 316_384)
