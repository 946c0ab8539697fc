"""From predictions to a submission: match by id, combine, score, check, write. Needs numpy, pandas, scipy and pyarrow,
never JAX.

In a Kaggle notebook:

    import submit

    a = submit.Predictions.load("resnet/predictions/test.npz")
    b = submit.Predictions(ids=test["image_id"], values=ridge.predict(x), targets=neurons)  # ids are strings
    both = submit.weighted([a, b], [0.7, 0.3])                       # matched by id and target name
    submit.write(both, "submission.csv", "sample_submission.csv")   # refuses, with every fault, or writes it all

    submit.check("other.csv", "sample_submission.csv")              # a list of faults, empty when there are none
    submit.score("validation.npz", "validation.csv").median         # median Pearson r over targets
    submit.ceilings.signal_share(repeats)                           # (images, repeats, targets) -> a --ceiling

The same from a shell: `python -m submit score | check | explain | ensemble`.
"""

from submit import ceilings
from submit.align import align
from submit.ensemble import mean, weighted
from submit.errors import SubmissionError
from submit.kaggle import check, write
from submit.labels import Labels
from submit.predictions import Predictions
from submit.scoring import ClassScores, Scores, load_ceiling, score

__all__ = [
    "ClassScores",
    "Labels",
    "Predictions",
    "Scores",
    "SubmissionError",
    "align",
    "ceilings",
    "check",
    "load_ceiling",
    "mean",
    "score",
    "weighted",
    "write",
]
