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

import importlib
import sys
from typing import TYPE_CHECKING, Any

from submit.aliases import Aliases

if TYPE_CHECKING:
    from submit import ensemble, metrics
    from submit.alignment import align
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

_MODULES = {  # `from submit.algonauts import write` means the same as `submit.algonauts.write`
    **{f"submit.{name}": f"submit.formats.{name}" for name in (
        "algonauts", "algonauts2021", "kaggle", "sensorium", "vizwiz_results", "vqa_results")},
    "submit.bootstrap": "submit.scores.bootstrap",
    "submit.ceilings": "submit.metrics.ceilings",
}  # fmt: skip
_HOMES = {
    "ClassScores": "scores.scoring",
    "Labels": "labels",
    "Predictions": "predictions",
    "Scores": "scores.scoring",
    "SubmissionError": "errors",
    "align": "alignment",
    "check": "formats.table",
    "load_ceiling": "scores.scoring",
    "mean": "ensemble",
    "rank_average": "ensemble",
    "score": "scores.scoring",
    "trimmed_mean": "ensemble",
    "weighted": "ensemble",
    "write": "formats.kaggle",
}


def __getattr__(name: str) -> Any:
    """Names are imported when first used: a command that wants one part need not wait for pandas and scipy."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"submit.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"submit.{name}")
    raise AttributeError(f"module 'submit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


sys.meta_path.append(Aliases(_MODULES))
