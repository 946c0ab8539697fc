"""Before the first trial: whether a search can be, and its directory, which other workers may have made already."""

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from jaxlab.core.config import Component, anchored, to_json
from jaxlab.core.passwords import without_passwords
from jaxlab.core.types import UserError
from jaxlab.experiment.search import Search
from jaxlab.experiment.study import Study
from jaxlab.runs.checks import check_same
from jaxlab.runs.run import record
from jaxlab.runs.search import nevergrad, storage
from jaxlab.runs.search.alone import alone
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory


def begin(
    search: Search, rundir: RunDirectory, source: str | None, allow_change: bool, session: Session
) -> None:
    """Have the directory say what it is of, and what marks its trials.

    Raises UserError for a search of nothing, for data and a network that do not go together, for an optimizer that is
    not there, and for a directory of another config or with another storage.
    """
    _check(search, allow_change)
    fingerprint = examined(search)
    with alone(rundir.path):
        if not rundir.exists():
            found = {
                "mark": uuid.uuid4().hex,
                "storage": storage.shown(search.storage),
                "metric": search.searched,
            }
            info = record({"encoders": []}, fingerprint, jax.local_device_count(), search=found)
            rundir.create(to_json(anchored(search)), source, info)
            return
        info = rundir.info()
        check_same(search, rundir, {**info, "data": {"fingerprint": fingerprint}}, False, session)
        then, now = without_passwords(info["search"]["storage"]), storage.shown(search.storage)
        if then != now:
            raise UserError(
                f"{rundir.path} lists its trials in {then}, not in {now}: {_storage_option(then)}, or another --run"
            )
        kept = {**info, "search": {**info["search"], "storage": now}}
        if rundir.config() != to_json(anchored(search)) or kept != info:
            # more trials, data elsewhere, or a password that an earlier version left there
            rundir.create(to_json(anchored(search)), source, kept)


def _check(search: Search, allow_change: bool) -> None:
    if not search.space:
        raise UserError(
            "Search.space: expected a field or more, as {'optimizer.lr': Log(1e-5, 1e-2)}, found none; on the command "
            "line --over optimizer.lr=log(1e-5,1e-2)"
        )
    if allow_change:
        raise UserError(
            "--allow-config-change: trials of different configs tell nothing of one another; give another --run"
        )
    name, _, optimizer = search.sampler.partition(":")
    if name == "nevergrad":
        nevergrad.check(optimizer or nevergrad.USUAL)


def _storage_option(then: str) -> str:
    return "leave --storage out" if then == storage.JOURNAL else f"give --storage {then}"


def examined(search: Search) -> str:
    """The fingerprint of the data. Raises UserError where they do not go with the experiment, at its first settings."""
    from jaxlab.runs.kinds import kind_of  # which has this kind, too

    leaf = leaf_of(search.variant({name: one.ends()[0] for name, one in search.space.items()}))[0]
    if search.metric is not None and hasattr(leaf, "training"):
        leaf = replace(leaf, training=replace(leaf.training, metric=search.metric))
    if getattr(getattr(leaf, "training", None), "validate", "here") != "here":
        raise UserError(
            'Search: trials are compared by their validation, which training.validate="elsewhere" leaves to others; '
            'validate "here"'
        )
    examine = kind_of(leaf).examine
    assert examine is not None, "a leaf is no study"
    return examine(leaf, leaf.data.open())


def leaf_of(config: Component, directory: Path = Path()) -> tuple[Any, Path]:
    """The first of the runs that a config is trained as, and its directory."""
    while isinstance(config, Study):
        name, config = next(iter(config.variants().items()))
        directory /= name
    return config, directory
