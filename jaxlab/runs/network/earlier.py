"""Networks of earlier versions, told by the parameters that their checkpoints hold."""

import re
from dataclasses import replace

from jaxlab.core.types import UserError
from jaxlab.experiment import Experiment
from jaxlab.heads import Head, Squashed
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory

_INNER_BIAS = re.compile(  # of readouts; a part that reads a layer may have its own
    r"head\.(?:objectives\.(?P<objective>\w+)\.)?inner\.(?!(?:.*\.)?layers\.)(?:.*\.)?bias"
)


def as_trained(experiment: Experiment, rundir: RunDirectory) -> Experiment:
    """The experiment whose network has the parameters of the run's checkpoints; itself where there are none.

    Those of jaxlab 0.1 have a bias in a `Squashed` head, before its norm, which new networks lack.
    """
    found = [match for path in _parameters(rundir) if (match := _INNER_BIAS.fullmatch(path))]
    if not found:
        return experiment
    objectives = {
        name: replace(one, head=_biased(one.head)) if name in {match["objective"] for match in found} else one
        for name, one in experiment.objectives.items()
    }
    if experiment.objectives:
        return replace(experiment, objectives=objectives)
    return replace(experiment, head=_biased(experiment.head))


def _biased(head: Head) -> Head:
    return replace(head, biased=True) if isinstance(head, Squashed) else head


def _parameters(rundir: RunDirectory) -> list[str]:
    """Paths, in the newest checkpoint that says so."""
    for checkpoint in reversed(saved(rundir.checkpoints)):
        try:
            return list(checkpoint.meta()["leaves"]["params"])
        except (UserError, KeyError, TypeError):
            continue  # a damaged one, which whoever reads it names
    return []
