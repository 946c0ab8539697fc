"""Which of the inputs an experiment has: images, images with texts, or cached features."""

from jaxlab.encode import Loaded
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.inputs import FeatureInput, ImageInput, Input
from jaxlab.experiment.questions import QuestionInput
from jaxlab.experiment.task import Task


def input_of(
    experiment: Experiment, task: Task, encoders: tuple[Loaded, ...] | None = None, run: str = "this run"
) -> Input:
    """What the experiment's network sees. encoders: where they are loaded already. run: its name, for messages."""
    if task.encoders:
        return FeatureInput(experiment, task, encoders, run)
    return (QuestionInput if task.language else ImageInput)(experiment, task)
