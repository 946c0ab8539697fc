"""What several processes that train as one have to have in common."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from jaxlab.core.config import Component, differences, identity
from jaxlab.core.passwords import without_passwords
from jaxlab.core.remote.store import url_of
from jaxlab.core.types import UserError
from jaxlab.experiment.study import innermost
from jaxlab.training.hosts import Group


def check_joined(
    experiment: Component,
    kinds: tuple[Any, ...],
    run: str | Path,
    source: str | None,
    allow_change: bool,
    hosts: Group,
) -> None:
    """Raises UserError, in each of them, where they have different configs, or what one process has to train.

    kinds: of the experiment, and of what it is a study of. source: text of the config file.
    """
    if hosts.count == 1:
        if jax.distributed.is_initialized() and jax.process_count() > 1:
            raise UserError(
                f"jax.distributed has {jax.process_count()} processes here, which do not train as one yet: call "
                "jaxlab.join() in each of them first"
            )
        return
    if not all(kind.joined for kind in kinds):
        raise UserError(
            f"{type(innermost(experiment) if kinds[0].joined else experiment).__name__}(...): is made by one process, "
            f"and {hosts.count} train together here; start it without --coordinator"
        )
    if (url := url_of(run)) is not None:
        raise UserError(
            f"{without_passwords(url)}: expected a run directory on a disk that all {hosts.count} processes see, "
            "found a bucket; train on a shared disk, and copy the run when it is done"
        )
    texts = hosts.gathered("the config", json.dumps(identity(experiment)))
    odd = next((k for k, text in enumerate(texts) if text != texts[0]), None)
    if odd is not None:
        changes = differences(json.loads(texts[0]), json.loads(texts[odd]))
        raise UserError(
            f"the {hosts.count} processes have different configs: {'; '.join(changes)} (process 0 -> process {odd}); "
            "give all of them the same config and the same --set"
        )
    text = json.dumps([source, getattr(source, "modules", {})], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    hosts.same("the SHA-256 of the config file and its modules", digest, "give all of them the same files")
    hosts.same("--allow-config-change", str(allow_change), "give it to all of them, or to none")


def check_alike(info: Mapping[str, Any], hosts: Group) -> None:
    """Raises UserError where processes that fit together have other data or other weights."""
    same = "give all of them the same files"
    hosts.same("the data's fingerprint", info["data"]["fingerprint"][:12], f"{same} (--set data.root=FOLDER)")
    hosts.same(
        "their encoders' weights", ", ".join(one["digest"][:12] for one in info["task"]["encoders"]), same
    )
