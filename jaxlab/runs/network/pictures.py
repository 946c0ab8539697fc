"""Pictures of what a pretext task shows a network, and of what it makes of that, kept in the run."""

from jaxlab.core.plots_of_images import images_side_by_side
from jaxlab.experiment import Experiment
from jaxlab.runs.network.run import NetworkRun
from jaxlab.training.rundir import RunDirectory

PLOT = "pretext"


def keep_pictures(rundir: RunDirectory, experiment: Experiment, anew: bool) -> None:
    """plots/pretext.png, of the best checkpoint. anew: what is there is of an earlier one; else it stays.

    Raises SubmissionError where the disk refuses.
    """
    path = rundir.plot(PLOT)
    if path.is_file() and not anew:
        return
    found = NetworkRun.load(rundir, experiment).reconstruct()
    images_side_by_side(found.columns(), found.words(), path)
