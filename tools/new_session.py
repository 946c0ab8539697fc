"""A new session with few images: on a core that other sessions have trained, or by itself.

    python tools/new_session.py OUT FOLDER NEW --pretrained lite0.pth [--counts 50,200,800] [--core RUN] [--only TEXT]

FOLDER holds Kaggle folders, a session each, as configs/pooled.py takes them; NEW is one of them, with a solution.csv.
The core is that config, trained on all others (or RUN, which must not have seen NEW). Each variant learns from the
first 50, 200 and 800 images of NEW, in an order by hash, and is scored on its test images, with intervals and
differences to the first variant that are paired over images. Nothing is chosen by a test score: of networks the last
checkpoint predicts. Of fewer than 400 images there are as many more epochs. Started again, it trains what is missing.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pandas as pd

import jaxlab
from jaxlab.core.config import load_file, override
from jaxlab.data import KaggleTable, Pooled, fingerprint
from jaxlab.optim import Freeze
from submit.cli.tables import show_compared
from submit.scores.compare import compare

CONFIGS = Path(__file__).parents[1] / "configs"
USUAL = 400  # images at which a config's epochs are as they are; of fewer there are more
SHARES = (0.0, 0.25, 0.5, 0.75)


def subset(session: Path, count: int, out: Path) -> Path:
    """A Kaggle folder of the first `count` training images, in an order by hash, and all test images."""
    table = pd.read_csv(session / "train.csv", dtype=str, keep_default_na=False)
    order = table.iloc[:, 0].map(lambda name: hashlib.sha256(name.encode()).hexdigest()).argsort()
    if count > len(table):
        raise click.UsageError(f"{session}: expected {count} training images or more, found {len(table)}")
    out.mkdir(parents=True, exist_ok=True)
    table.iloc[order[:count]].to_csv(out / "train.csv", index=False)
    for name in ("train", "test", "images", "sample_submission.csv"):
        if (session / name).exists() and not (out / name).exists():
            (out / name).symlink_to((session / name).resolve())
    return out


def variants(few: Path, count: int, others: Pooled, core: str, pretrained: str) -> Iterator[tuple[str, Any]]:
    """(name, config); the first is what the others are compared with."""
    first, second = "data.root=", "data.data.root="

    def made(name: str, weights: str, *settings: str) -> Any:
        return override(load_file(CONFIGS / f"{name}.py"), [*settings, weights])

    def ridge(weights: str) -> Any:
        encoders = readout(weights).data.encoders
        own: Any = override(load_file(CONFIGS / "ridge.py"), [f"{first}{few}"])
        return replace(
            own, encoders=tuple(replace(one, dtype="bfloat16") for one in encoders), combine="banded"
        )

    def readout(weights: str) -> Any:
        encoder = "data.encoders.0"
        bicubic = f"{encoder}.images.filter=bicubic"
        return made("cached_readout", f"{encoder}.model.pretrained={weights}", bicubic, f"{second}{few}")

    def tuned(weights: str) -> Any:
        bicubic = "images.filter=bicubic"
        return made("efficientnet_finetune", f"model.pretrained={weights}", bicubic, f"{first}{few}")

    pool = Pooled(sources={**others.sources, "new": KaggleTable(root=str(few))})
    yield "ridge", ridge(pretrained)
    yield "ridge on the core", ridge(core)
    yield "ridge with others", replace(ridge(pretrained), data=pool, shared=SHARES)
    yield "ridge on the core with others", replace(ridge(core), data=pool, shared=SHARES)
    yield "readout", longer(readout(pretrained), count)
    yield "readout of the core", longer(readout(core), count)
    yield "tuned", longer(tuned(pretrained), count)
    yield "core tuned", longer(tuned(core), count)


def longer(experiment: Any, count: int) -> Any:
    """With more epochs where there are fewer images, and rules of what trains that wait as much longer."""
    times = max(1.0, USUAL / count)
    training = replace(
        experiment.training, epochs=round(times * experiment.training.epochs), batch_size=min(32, count // 3)
    )
    rules = [
        replace(rule, until_epoch=round(times * rule.until_epoch))
        if isinstance(rule, Freeze) and rule.until_epoch
        else rule
        for rule in experiment.finetune.rules
    ]
    return replace(experiment, training=training, finetune=replace(experiment.finetune, rules=tuple(rules)))


def check_core(core: Path, session: Path) -> None:
    """Raises UsageError for a run that was trained on the session, by its data or its name."""
    trained = jaxlab.load(core)
    own = fingerprint(KaggleTable(root=str(session)).open())
    if own in trained.info["data"].get("subjects", {}).values() or session.name in trained.subjects:
        raise click.UsageError(
            f"--core {core}: was trained on {session.name}; expected a run that has not seen it"
        )


def predicted(run: Path) -> Path:
    """The file of its predictions of the new session's test images."""
    loaded = jaxlab.load(run)
    return (loaded.subject("new") if loaded.subjects else loaded).kept_as("test", "last").file


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("new")
@click.option("--pretrained", required=True, help="Weights of the Lite0: a file, or a hub id.")
@click.option("--counts", default="50,200,800", show_default=True)
@click.option("--core", type=click.Path(path_type=Path, exists=True), help="A run that has not seen NEW.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Of the core's config.")
@click.option("--only", multiple=True, help="Of the variants, those with this in their name.")
def main(
    out: Path,
    folder: Path,
    new: str,
    pretrained: str,
    counts: str,
    core: Path | None,
    settings: tuple[str, ...],
    only: tuple[str, ...],
) -> None:
    """Train what is missing and print a table for each count."""
    jaxlab.prepare()
    names = [
        path.name for path in sorted(folder.iterdir()) if (path / "train.csv").is_file() and path.name != new
    ]
    others = Pooled(sources={name: KaggleTable(root=str(folder / name)) for name in names})
    if core is None:
        config: Any = load_file(CONFIGS / "pooled.py")
        config = override(replace(config, data=others), [f"model.pretrained={pretrained}", *settings])
        core = jaxlab.train(config, out / "core", name=f"core without {new}")
    else:
        check_core(core, folder / new)
    for count in (int(count) for count in counts.split(",")):
        few = subset(folder / new, count, out / f"data/{new}-{count}")
        files: list[Path] = []
        for name, experiment in variants(few, count, others, str(core), pretrained):
            if only and not any(text in name for text in only):
                continue
            run = jaxlab.train(
                experiment, out / f"{count}" / name.replace(" ", "_"), name=f"{name}, {count} images"
            )
            files.append(predicted(run))
        if len(files) > 1:
            show_compared(compare(files, folder / new / "solution.csv"))


if __name__ == "__main__":
    main()
