"""The validation of a checkpoint by its network, as `jaxlab evaluate --pending` has it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxlab.core.config import differences, identity
from jaxlab.core.types import UserError
from jaxlab.runs import api
from jaxlab.runs.checks import recorded
from jaxlab.runs.network.run import NetworkRun
from jaxlab.training import elsewhere
from jaxlab.training.rundir import RunDirectory


class Networks:
    """Validates one checkpoint after another. The network of the last run stays compiled, its images decoded.

    settings: overrides of where data lie, as `data.root=FOLDER`.
    """

    def __init__(self, settings: Iterable[str] = ()):
        self._settings = tuple(settings)
        self._loaded: NetworkRun | None = None

    def __call__(self, run: Path, step: int) -> tuple[Mapping[str, Any], Mapping[str, float]]:
        """The checkpoint's meta.json, and its validation scores, of images as they are.

        Raises UserError for a damaged checkpoint, other data than the run's, and settings that change what it is.
        """
        network = self._network(run)
        checkpoint = network.checkpoint(step)
        meta = checkpoint.meta()
        scores = network.score(network.on_devices(checkpoint), "validation")
        metric = meta.get(elsewhere.AWAITS)
        if metric is not None and metric not in scores:
            raise UserError(f"metric {metric!r} is not among the validation's: {', '.join(scores)}")
        return meta, scores

    def _network(self, run: Path) -> NetworkRun:
        if self._loaded is not None and self._loaded.rundir.path == run:
            return self._loaded
        self._loaded = None  # its images go before others come
        network: NetworkRun = api.load(run, self._settings).network
        if changes := differences(identity(recorded(RunDirectory(run))), identity(network.experiment)):
            raise UserError(
                f"{run}: --pending validates runs as they are; --set may say where their data lie, and would change "
                f"{'; '.join(changes)}"
            )
        if not network.has_its_data(network.experiment.fingerprint(network.opened)):
            raise UserError(f"{run}: the data are not those that it was trained on (--set data.root=FOLDER)")
        self._loaded = network
        return network
