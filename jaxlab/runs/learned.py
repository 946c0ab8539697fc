"""What pretrained weights may have learned already of the samples that a run validates on."""

import numpy as np

from jaxlab.core.config import Component, locations
from jaxlab.core.types import UserError
from jaxlab.data.source import Opened, same_data
from jaxlab.experiment import Experiment
from jaxlab.experiment.sides import positions_of
from jaxlab.runs.checks import recorded
from jaxlab.training.ancestor import is_run, located
from jaxlab.training.rundir import RunDirectory


def learned_before(config: Component, opened: Opened, validate: np.ndarray) -> list[str]:
    """A warning for each run, among the pretrained weights in `config`, that was trained on some of the samples.

    validate: their positions. Nothing is said of runs on other data, and of those that learned without labels.
    """
    named = (source for path, source in locations(config).items() if path.endswith("pretrained"))
    return [
        f"warning: the weights of {source} were trained on {both:,} of the {len(validate):,} samples for validation, "
        "so that scores are too good; a run by the same split and split.seed, or one on other data, has not seen them"
        for source in dict.fromkeys(named)
        if is_run(source)
        if (both := int(np.isin(validate, _learned(RunDirectory(located(source)), opened)).sum()))
    ]


def _learned(rundir: RunDirectory, opened: Opened) -> np.ndarray:
    """Positions in `opened` of what the run was trained on, with labels; none of other data."""
    nothing = np.array([], int)
    try:
        config = recorded(rundir)
        if not isinstance(config, Experiment) or config.pretext is not None:
            return nothing
        if not same_data(rundir.info()["data"]["fingerprint"], config.fingerprint(opened)):
            return nothing
        return positions_of(config, opened)[0]
    except UserError:  # parts that are not known here, or columns that are not there: it is of other data
        return nothing
