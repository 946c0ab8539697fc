"""The scores that a run watches: to pick the best checkpoint, to stop early, to lower its rate."""

from jaxlab.core.types import UserError
from jaxlab.data.source import Opened
from jaxlab.experiment.experiment import Experiment
from jaxlab.metrics import TERM
from jaxlab.objectives import Resolved
from jaxlab.optim import Plateau


def check_watched(experiment: Experiment, objectives: tuple[Resolved, ...], opened: Opened) -> None:
    """Raises UserError for a field that names no score of the validation's."""
    training, schedule = experiment.training, experiment.optimizer.schedule
    fields = {
        "Training.metric": training.metric,
        "Training.early_stopping_metric": training.early_stopping_metric,
    }
    if isinstance(schedule, Plateau):
        fields["Plateau.metric"] = schedule.metric
    if all(metric is None for metric in fields.values()):
        return
    names = [
        [score for score in one.scores(one.start(), opened.ceiling) if not score.startswith(TERM)]
        for one in objectives
    ]
    known = [
        *names[0],
        *(f"{one.name}/{score}" for one, own in zip(objectives, names, strict=True) for score in own),
    ]
    counted = [name for name in known if not name.endswith("constant_targets")]  # a count, not a score
    shown = [name for name in counted if len(objectives) > 1 or "/" not in name]
    for field, metric in fields.items():
        if metric is not None and metric not in shown:
            raise UserError(f"{field}: expected one of {', '.join(shown)}, found {metric!r}")
