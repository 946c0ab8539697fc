"""What `jaxlab predict` does with runs of several subjects: a file for each, in one folder."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxlab.core.types import UserError
from jaxlab.data.source import Source, examples
from jaxlab.runs.predict import Predicted, predict_loaded
from jaxlab.runs.predict_checks import check_names, check_out
from jaxlab.runs.run import Run, Which
from jaxlab.runs.submit_together import packed_at, write_together


def predict_subjects(
    runs: Sequence[Run],
    out: Path | None,
    which: Which | None,
    split: str,
    log: Callable[[str], None],
    objective: str | None,
) -> Predicted:
    """Predict a split of each subject with each run, and write their means to `out`/SUBJECT.csv.

    A subject that the data do not have, or that has no test images, is told and left out. A file is there whole or not
    at all, so that the same call after one that was killed leaves every one.
    Raises UserError before anything is predicted where that can be known.
    """
    subjects, log = _common(runs), _once(log)
    _check_folder(out, runs[0], subjects)
    own = {name: [run.subject(name) for run in runs] for name in subjects}
    there = _there(runs[0], own, split, log)
    for name in there:
        sample = own[name][0].test[1] if split == "test" and out is not None else None
        if sample is not None and objective is None:
            check_names(own[name][0], sample)
    forms = {
        name: own[name][0].source.submits if out is not None and split == "test" else "" for name in there
    }
    if out is not None:
        if any(forms.values()):
            check_out(packed_at(out), (".zip",))
        out.mkdir(parents=True, exist_ok=True)
    done = {
        name: predict_loaded(
            own[name], None if out is None else out / f"{name}.csv", which, split, log, objective
        )
        for name in there
        if not forms[name]
    }
    for form in filter(None, dict.fromkeys(forms.values())):
        assert out is not None
        together = {name: own[name] for name in there if forms[name] == form}
        done |= write_together(form, together, out, which, log)
    return Predicted({}, out=out, subjects=done)


def _once(log: Callable[[str], None]) -> Callable[[str], None]:
    """Of a run that all subjects share the same is said but once."""
    said: set[str] = set()

    def say(line: str) -> None:
        if line not in said:
            said.add(line)
            log(line)

    return say


def _common(runs: Sequence[Run]) -> tuple[str, ...]:
    """The subjects of all runs. Raises UserError where they have not the same."""
    first, *others = (run.subjects for run in runs)
    for run, subjects in zip(runs[1:], others, strict=True):
        if set(subjects) != set(first):
            raise UserError(
                f"{run.rundir.path} predicts {examples(subjects, 20) or 'one subject'}, and {runs[0].rundir.path} "
                f"{examples(first, 20) or 'one subject'}, so they have no mean; with --subject NAME one of both"
            )
    return first


def _check_folder(out: Path | None, run: Run, subjects: Sequence[str]) -> None:
    if out is None:
        return
    if out.suffix in (".csv", ".npz", ".json", ".parquet") and not out.is_dir():
        raise UserError(
            f"--out {out}: {run.rundir.path} predicts {len(subjects)} subjects, of which each has a file of its own: "
            f"give a folder (--out {out.with_suffix('')}), or one subject (--subject {subjects[0]})"
        )
    above = next(parent for parent in (out.absolute(), *out.absolute().parents) if parent.exists())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise UserError(f"--out {out}: nothing can be written in {above}")


def _there(run: Run, own: dict[str, list[Run]], split: str, log: Callable[[str], None]) -> list[str]:
    """The subjects that there is something to predict of."""
    sources = run.source.of_subjects()
    found = []
    for name in own:
        if name not in sources:
            log(f"{name}: the data have no such subject; it is left out")
        elif not own[name][0].has_samples(split):
            log(f"{name}: its data have no {split} images to predict; it is left out")
        else:
            found.append(name)
    if unknown := [name for name, source in sources.items() if name not in own and _has_images(source)]:
        log(f"warning: {run.rundir.path} knows nothing of {examples(unknown, 20)}, whom the data have too")
    if not found:
        raise UserError(
            f"{run.rundir.path}: predicts {examples(own, 20)}, of whom the data have no images to predict; they have "
            f"{examples(sources, 20)}"
        )
    return found


def _has_images(source: Source) -> bool:
    """Whether there are some to predict; a folder beside the subjects' may be anything."""
    try:
        return source.open_test()[0] is not None
    except UserError:
        return False
