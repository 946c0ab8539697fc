"""Readouts and losses beside each other on features of a frozen EfficientNet-Lite0, by cross-validation.

    python tools/readouts_and_losses.py OUT --data FOLDER --pretrained lite0.pth [--epochs 15] [--folds 3]

FOLDER: a Kaggle folder. Each variant is trained in folds, and its out-of-fold predictions of the training images are
compared with the first's, with intervals paired over images. OUT/NAME is a run of folds that `jaxlab predict` and
`submit ensemble` take; started again, the tool trains what is missing. Rates of learning and dropout were chosen in the
same way, on the training images of two sessions, for each readout.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

import jaxlab
from jaxlab.core.config import load_file, override
from jaxlab.experiment import Experiment
from jaxlab.experiment.folds import in_folds
from jaxlab.heads import Attention, Rates, RetinaMap, Sum
from jaxlab.losses import Mse, NegativePearson, Poisson, SmoothL1, Spread, WeightedSum
from submit.cli.tables import show_compared
from submit.scores.compare import compare

CONFIG = Path(__file__).parents[1] / "configs" / "cached_readout.py"


def variants(base: Experiment) -> Iterator[tuple[str, Experiment]]:
    """(name, experiment); `base` has a Factorized readout of several layers."""
    factorized: Any = base.head
    layers = factorized.layer
    retina = RetinaMap(layer=layers, dropout=0.5, noise=0.2, width=16)

    def rated(lr: float, **more: object) -> Experiment:
        return replace(base, optimizer=replace(base.optimizer, lr=lr), **more)

    def with_mse(loss: NegativePearson | Spread, weight: float) -> Experiment:
        return replace(base, loss=WeightedSum(losses=(Mse(), loss), weights=(1.0, weight)))

    yield "factorized", base
    yield "smooth L1", replace(base, loss=SmoothL1())
    yield "spread 0.3", with_mse(Spread(), 0.3)
    yield "negative Pearson 0.5", with_mse(NegativePearson(), 0.5)
    yield "SAM", replace(base, optimizer=replace(base.optimizer, sam=0.05))
    yield "rates, Poisson", rated(3e-3, head=Rates(head=factorized), loss=Poisson())
    yield "retina map", rated(2e-2, head=retina)
    yield "attention", rated(2e-2, head=Attention(layer=layers, dropout=0.5))
    beside = replace(retina, dropout=0.8, width=32)
    yield (
        "factorized and retina map",
        rated(3e-3, head=Sum(heads=(factorized, beside))),
    )


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--pretrained", required=True, help="Weights of the Lite0: a file, or a hub id.")
@click.option("--epochs", default=15, show_default=True)
@click.option("--folds", default=3, show_default=True)
@click.option("--only", multiple=True, help="Of the variants, this one; several times for several.")
def main(out: Path, data: Path, pretrained: str, epochs: int, folds: int, only: tuple[str, ...]) -> None:
    """Train what is missing and print the comparison."""
    jaxlab.prepare()
    settings = [
        f"data.data.root={data}",
        f"data.encoders.0.model.pretrained={pretrained}",
        f"training.epochs={epochs}",
        "optimizer.sam=none",  # a variant of its own
    ]
    base = override(load_file(CONFIG), settings)
    kept: list[Path] = []
    for name, experiment in variants(base):
        if only and name not in only:
            continue
        run = jaxlab.train(
            in_folds(experiment, folds), out / name.replace(" ", "_").replace(",", ""), name=name
        )
        kept.append(run / "predictions" / "out_of_fold.npz")
    if len(kept) > 1:
        show_compared(compare(kept, data / "train.csv"))


if __name__ == "__main__":
    main()
