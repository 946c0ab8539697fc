"""The command that makes probabilities what they say: calibrate."""

from dataclasses import replace
from pathlib import Path

import click

from submit.alignment import differences
from submit.errors import SubmissionError
from submit.files.atomic import refuse_input
from submit.metrics.calibration import softmax
from submit.predictions import LABELLED, Predictions
from submit.scores.calibrated import as_logits, calibrated
from submit.scores.pairing import PairedClasses, paired

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("predictions", type=_FILE)
@click.option("--learn", type=_FILE, required=True, help="Labelled predictions of the same network, npz.")
@click.option("--truth", type=_FILE, required=True, help="The classes of their samples, as train.csv.")
@click.option("--out", type=_FILE, required=True, help="The npz of probabilities to write.")
def calibrate(predictions: Path, learn: Path, truth: Path, out: Path) -> None:
    """Write PREDICTIONS of classes with a confidence that is right.

    Their logits are divided by one number, the temperature at which those of the labelled samples have the least log
    loss (Guo et al. 2017). No class becomes another. The labelled ones are validation or out-of-fold predictions, of
    samples that the network has not learned.

    \b
    Example:
      python -m submit calibrate runs/a/predictions/test.npz \\
          --learn runs/a/predictions/validation.npz --truth train.csv \\
          --out calibrated.npz

    Then: `write calibrated.npz --format kaggle` makes a submission of it.
    """
    if out.suffix.lower() != ".npz":
        raise SubmissionError(f"--out {out}: expected a .npz file; `write` makes a submission of it.")
    refuse_input(out, [predictions, learn, truth])
    fresh, known = _of_classes(predictions), _of_classes(learn)
    if known.split not in LABELLED:
        raise SubmissionError(
            f"--learn {learn}: expected predictions of validation samples or out of fold, found split {known.split!r}; "
            "a temperature learned elsewhere says nothing of new samples."
        )
    if faults := differences(fresh.targets, known.targets, "classes", str(predictions)):
        raise SubmissionError(f"{learn} is of other classes: {'; '.join(faults)}.")
    pair = paired(known, truth)
    if not isinstance(pair, PairedClasses) or pair.scores is None:
        raise SubmissionError(f"--truth {truth}: expected class names, found numbers.")
    found = calibrated(pair.scores, pair.truth, known.kind)
    logits = as_logits(fresh.values, fresh.kind)
    made = {"temperature": found.temperature, "temperature_from": str(learn)}
    result = replace(
        fresh,
        values=softmax(logits, found.temperature),
        kind="probabilities",
        provenance={**fresh.provenance, **made},
    )
    runs = {str(one.provenance.get("run")) for one in (fresh, known)}
    if len(runs) > 1:
        click.echo(f"Warning: predictions are of different runs: {', '.join(sorted(runs))}", err=True)
    result.save(out)
    click.echo(
        f"{out}: {len(result):,} samples; temperature {found.temperature:.4g} of {len(pair.ids):,} labelled ones, "
        f"whose calibration error is {found.before.error:.4f}, and {found.after.error:.4f} with that of others of them"
    )


def _of_classes(path: Path) -> Predictions:
    found = Predictions.load(path)
    if found.kind == "regression":
        raise SubmissionError(f"{path}: expected logits or probabilities of classes, found numbers.")
    return found
