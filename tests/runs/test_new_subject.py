"""A new subject on a core that others have trained."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import click
import numpy as np
import pytest
from pooled_folders import TARGETS
from tiny import TINY, train

import jaxlab
from jaxlab.data import KaggleTable
from jaxlab.experiment import Training
from jaxlab.heads import Linear
from jaxlab.optim import FineTune, Freeze


def test_a_core_that_has_seen_the_session_is_refused(pooled, pooled_folders, tmp_path, monkeypatch):
    """By its data, whatever it is called."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "tools")
    from new_session import check_core

    renamed = tmp_path / "new"
    renamed.symlink_to(pooled_folders / "s2")
    with pytest.raises(click.UsageError, match="fold0: was trained on new; expected a run that has not seen"):
        check_core(pooled / "fold0", renamed)
    other = copytree(renamed, tmp_path / "other")
    table = other / "train.csv"
    table.write_text(table.read_text().replace("20.", "21."))
    check_core(pooled / "fold0", other)


def test_a_frozen_core_is_that_of_the_pooled_run_and_only_the_readout_is_new(
    pooled, pooled_folders, tmp_path
):
    core = pooled / "fold0"
    new = replace(
        TINY,
        data=KaggleTable(root=str(pooled_folders / "s10")),
        model=replace(jaxlab.load(core).experiment.model, pretrained=str(core)),
        head=Linear(layer="level1"),
        finetune=FineTune(rules=(Freeze(pattern=r"^backbone\."),), statistics="frozen"),
        training=Training(steps=2, batch_size=4),
    )
    child = jaxlab.load(train(new, tmp_path / "child"))
    taken, trained = (
        jaxlab.load(run).checkpoint(which).arrays()
        for run, which in ((core, "best"), (child.rundir.path, "last"))
    )
    used = {**(taken.get("ema") or taken["params"]), **taken["stats"]}
    kept = {**trained["params"], **trained["stats"]}
    backbone = [path for path in kept if path.startswith("backbone.")]
    assert backbone
    for path in backbone:
        np.testing.assert_array_equal(kept[path], used[path])
    readout = [
        path for path in trained["params"] if path.startswith("head.") and np.any(trained["params"][path])
    ]
    assert readout
    assert child.targets == tuple(f"n{k}" for k in range(TARGETS["s10"]))
