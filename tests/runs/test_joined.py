from types import SimpleNamespace

import jax
import numpy as np
import pytest
from tiny import tiny
from told import each

from jaxlab.core.types import UserError
from jaxlab.experiment import Folds
from jaxlab.runs.joined import check_joined
from jaxlab.runs.kinds import kind_of
from jaxlab.training.hosts.arrays import shared_out


def refused(configs, run="runs/x", source="", allow=(False, False)):
    """What each of two processes is told."""

    def check(group):
        own = configs[group.index % len(configs)]
        kinds = (kind_of(own), kind_of(getattr(own, "experiment", own)))
        check_joined(
            own, kinds, run, source or f"{group.index}" * (source is None), allow[group.index], group
        )

    found = each(2, check)
    assert str(found[0]) == str(found[1])
    return found[0]


def test_processes_with_the_same_config_train(tmp_path):
    assert refused([tiny(tmp_path)]) is None
    assert refused([Folds(experiment=tiny(tmp_path), folds=2)]) is None
    assert refused([tiny(tmp_path / "a"), tiny(tmp_path / "b")]) is None  # data may lie elsewhere


def test_the_field_that_differs_is_named(tmp_path):
    error = refused([tiny(tmp_path), tiny(tmp_path, "seed=3", "optimizer.lr=0.5")])
    assert isinstance(error, UserError)
    assert str(error) == (
        "the 2 processes have different configs: optimizer.lr: 0.01 -> 0.5; seed: 0 -> 3 (process 0 -> process 1); "
        "give all of them the same config and the same --set"
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"source": None}, "differ in the SHA-256 of the config file and its modules"),
        (
            {"allow": (False, True)},
            "differ in --allow-config-change: process 0 has False, process 1 has True",
        ),
        (
            {"run": "s3://bucket/run"},
            "expected a run directory on a disk that all 2 processes see, found a bucket",
        ),
    ],
)
def test_what_else_has_to_be_the_same(tmp_path, more, words):
    assert words in str(refused([tiny(tmp_path)], **more))


def test_what_one_process_makes_is_refused(tmp_path):
    for kinds in (("Folds", True, False), ("Experiment", False, False)):
        name, *joined = kinds
        config = tiny(tmp_path) if name == "Experiment" else Folds(experiment=tiny(tmp_path), folds=2)
        found = each(
            2,
            lambda group, config=config, joined=joined: check_joined(
                config, [SimpleNamespace(joined=one) for one in joined], "x", None, False, group
            ),
        )
        assert all(
            "Experiment(...): is made by one process, and 2 train together" in str(error) for error in found
        )


def devices(*of):
    """As many of each process, in an order that is not theirs."""
    return [
        SimpleNamespace(process_index=k, id=(k, n))
        for n in range(max(of))
        for k in range(len(of))
        if n < of[k]
    ]


@pytest.mark.parametrize(("rows", "group", "each_"), [(8, 1, 2), (4, 2, 1), (6, 1, 1), (2, 1, 1), (16, 2, 2)])
def test_each_process_takes_as_many_rows(rows, group, each_):
    found = [device.id for device in shared_out(devices(2, 2), rows, group)]
    assert found == [(k, n) for k in range(2) for n in range(each_)]


def test_rows_that_do_not_divide_by_processes_are_refused():
    with pytest.raises(UserError, match=r"= 9: expected a multiple of the 2 processes"):
        shared_out(devices(2, 2), 9)
    with pytest.raises(UserError, match=r"= 6: expected a multiple of 2 times the 2 processes"):
        shared_out(devices(1, 1), 6, group=2)
    with pytest.raises(UserError, match="as many of each process, found process 0 2, process 1 1"):
        shared_out(devices(2, 1), 8)


def test_a_process_that_nobody_joined_trains_alone(tmp_path, monkeypatch):
    from jaxlab.training.hosts import Group

    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(
        UserError, match=r"has 2 processes here, which do not train as one yet: call jaxlab.join"
    ):
        check_joined(tiny(tmp_path), (), "x", None, False, Group())


def test_one_process_takes_its_rows_of_each_batch():
    """Those of two processes make the whole batch, in order, for every way to draw one."""
    from jaxlab.data.balance import MirrorCopies
    from jaxlab.data.pipeline import Batches, evaluation_batches

    images = np.arange(40 * 4, dtype=np.uint8).reshape(40, 2, 2, 1)
    label = (np.arange(40) % 4 == 0).astype(np.int32)
    halves = (slice(0, 4), slice(4, 8))
    for more in ({}, {"batch_of": np.repeat([0, 1], 20)}, {"balance": MirrorCopies(), "label": label}):
        whole, *parts = (
            Batches(images, {"y": label}, 8, 3, **more, rows=rows) for rows in (slice(None), *halves)
        )
        for step in (0, 7, 40):
            both = [part[step] for part in parts]
            np.testing.assert_array_equal(
                whole[step]["image"], np.concatenate([one["image"] for one in both])
            )
            np.testing.assert_array_equal(
                whole[step]["index"], np.concatenate([one["index"] for one in both])
            )
            np.testing.assert_array_equal(
                whole[step]["truth"]["y"], np.concatenate([one["truth"]["y"] for one in both])
            )
    masks = [
        np.concatenate([batch["mask"] for batch in batches])
        for batches in zip(*(evaluation_batches(images[:13], {}, 8, rows) for rows in halves), strict=True)
    ]
    assert [mask.sum() for mask in masks] == [8, 5]
