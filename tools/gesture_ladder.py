"""Networks and remedies against overfitting on simulated gestures, one after the other: a study of seeds for each.

    python tools/gesture_ladder.py FOLDER --seeds 5
    python tools/gesture_ladder.py FOLDER --seeds 1 --only lenet5 plain

FOLDER/RUNG is what `jaxlab train --seeds N --vary data.simulated.seed` makes: killed and started again, it trains what
is missing. A seed draws both the images and the first parameters. Scores are those of the last checkpoint, which
nothing chose: accuracy in training, in validation and on the test images, and of these F1 of each class; what was
confused, over all seeds, is in FOLDER/RUNG/plots.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxlab
from jaxlab.core.config import load_file
from jaxlab.data import BoxBlur
from jaxlab.data.simulation.hands import GESTURES
from jaxlab.experiment import Experiment, Seeds
from jaxlab.losses import CrossEntropy
from jaxlab.models import ShuffleNetV2

CONFIGS = Path(__file__).parents[1] / "configs"
NETWORKS = ("lenet5", "shufflenet_x0_5", "shufflenet_x1_0", "resnet18")
PIPELINE: Any = load_file(CONFIGS / "gesture_pipeline.py")
Change = Callable[[Experiment], Experiment]


def _optimizer(**fields: Any) -> Change:
    return lambda one: replace(one, optimizer=replace(one.optimizer, **fields))


# What each rung adds to the one before it, from the pipeline without any of it on.
REMEDIES: dict[str, Change] = {
    "plain": lambda one: replace(
        one,
        balance=None,
        augment=(),
        model=ShuffleNetV2(width=0.5),
        loss=CrossEntropy(),
        optimizer=replace(one.optimizer, l2=0.0),
    ),
    "blur9": lambda one: replace(one, augment=(BoxBlur(radius=8),)),
    "blur4": lambda one: replace(one, augment=(BoxBlur(radius=3),)),
    "smoothed": lambda one: replace(one, loss=PIPELINE.loss),
    "blurpool": lambda one: replace(one, model=PIPELINE.model),
    "l2": _optimizer(l2=PIPELINE.optimizer.l2),
    "balanced": lambda one: replace(one, balance=PIPELINE.balance),
    "sam": _optimizer(sam=0.05),
}


def rungs() -> dict[str, Experiment]:
    """{name: experiment} of all networks, then of the remedies, each with those before it."""
    found: dict[str, Any] = {name: load_file(CONFIGS / f"gesture_{name}.py") for name in NETWORKS}
    one = PIPELINE
    for name, change in REMEDIES.items():
        found[name] = one = change(one)
    return found


def show(name: str, run: Any) -> None:
    """A line: means over seeds and their standard deviations; F1 of the test images by class."""
    scores = run.summary().query("checkpoint == 'last'").set_index(["split", "class", "score"])
    accuracy = [scores.loc[split, "", "accuracy"] for split in ("train", "validation", "test")]
    cells = [f"{one['mean']:.3f}" + (f" ± {one['sd']:.3f}" if one["n"] > 1 else "") for one in accuracy]
    by_class = (f"{scores.loc['test', gesture, 'f1']['mean']:.2f}" for gesture in GESTURES)
    f1 = f"{scores.loc['test', '', 'f1_macro']['mean']:.3f}"
    print(" | ".join([name, str(len(run.runs)), *cells, f1, *by_class]), flush=True)


def main() -> None:
    """Train what is missing, and print a table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="0 to show what is there.")
    parser.add_argument("--only", nargs="*", default=list(rungs()), choices=list(rungs()), metavar="RUNG")
    given = parser.parse_args()
    jaxlab.prepare()
    for name in given.only if given.seeds else ():
        study = Seeds(experiment=rungs()[name], seeds=given.seeds, vary=("data.simulated.seed",))
        jaxlab.train(study, given.folder / name, name=name)
    print(" | ".join(["rung", "seeds", "train", "validation", "test", "F1 macro", *GESTURES]))
    for name in given.only:
        if (given.folder / name / "config.json").is_file():
            show(name, jaxlab.load(given.folder / name))


if __name__ == "__main__":
    main()
