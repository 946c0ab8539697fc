"""From predictions to a submission: match by id, combine, score, check, write. Needs numpy, pandas, scipy and pyarrow,
never JAX.

In a Kaggle notebook:

    import submit

    a = submit.Predictions.load("resnet/predictions/test.npz")
    b = submit.Predictions(ids=test["image_id"], values=ridge.predict(x), targets=neurons)  # ids are strings
    both = submit.weighted([a, b], [0.7, 0.3])                       # matched by id and target name
    best = submit.ensemble.best([a_validation, b_validation], truth)  # weights learned, cross-validated
    best.apply([a, b])
    submit.write(both, "submission.csv", "sample_submission.csv")   # refuses, with every fault, or writes it all

    submit.check("other.csv", "sample_submission.csv")              # a list of faults, empty when there are none
    submit.algonauts.write({"subj01": "a.npz", ...}, "out.zip")      # also algonauts2021, sensorium, vqa_results ...
    submit.score("validation.npz", "validation.csv").median         # median Pearson r over targets
    submit.ceilings.signal_share(repeats)                           # (images, repeats, targets) -> a --ceiling

    submit.bootstrap.difference(ours, theirs, truth)                # arrays: mean Pearson r, its 95 % interval

The same from a shell: `python -m submit score | rosetta | compare | probe | check | explain | ensemble | calibrate |
write | vqa`.
"""

import sys

from submit import ensemble, metrics
from submit.align import align
from submit.ensemble import mean, rank_average, trimmed_mean, weighted
from submit.errors import SubmissionError
from submit.formats import algonauts, algonauts2021, kaggle, sensorium, vizwiz_results, vqa_results
from submit.formats.kaggle import write
from submit.formats.table import check
from submit.labels import Labels
from submit.metrics import ceilings
from submit.predictions import Predictions
from submit.scores import bootstrap
from submit.scores.scoring import ClassScores, Scores, load_ceiling, score

__all__ = [
    "ClassScores",
    "Labels",
    "Predictions",
    "Scores",
    "SubmissionError",
    "algonauts",
    "algonauts2021",
    "align",
    "bootstrap",
    "ceilings",
    "check",
    "ensemble",
    "kaggle",
    "load_ceiling",
    "mean",
    "metrics",
    "rank_average",
    "score",
    "sensorium",
    "trimmed_mean",
    "vizwiz_results",
    "vqa_results",
    "weighted",
    "write",
]

# `from submit.algonauts import write` means the same as `submit.algonauts.write`.
for _module in (
    algonauts,
    algonauts2021,
    bootstrap,
    ceilings,
    kaggle,
    sensorium,
    vizwiz_results,
    vqa_results,
):
    sys.modules[f"submit.{_module.__name__.rpartition('.')[2]}"] = _module
