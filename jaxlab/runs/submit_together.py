"""The file that a challenge takes of all its subjects at once, and what is in it as a folder."""

import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxlab.core.config import locations
from jaxlab.core.types import UserError
from jaxlab.runs.predict import Predicted, mean_of
from jaxlab.runs.run import Run, Which
from submit.files.atomic import atomic
from submit.formats.table import FORMATS


def write_together(
    form: str, runs: Mapping[str, Sequence[Run]], out: Path, which: Which | None, log: Callable[[str], None]
) -> dict[str, Predicted]:
    """Predict each subject, write `out`.zip in a format of `submit`, and unpack it in `out`; by subject what was done.

    runs: of each subject. Raises SubmissionError, with nothing written but what the runs keep, for predictions that the
    challenge would not take.
    """
    found = next(one for one in FORMATS if one.name == form)
    root = _root({name: own[0] for name, own in runs.items()})
    done: dict[str, Predicted] = {}
    sources: dict[str, Any] = {}
    for name, own in runs.items():
        mean, files = mean_of(own, "test", which, out, log)
        alone = len(files) == len(own) == 1
        sources[name] = next(iter(files.values())) if alone else mean
        done[name] = Predicted(files, out=out / name)
    packed = packed_at(out)
    found.write(sources, packed, root)
    if faults := found.check(packed, root):
        raise UserError(f"{packed}: {'; '.join(faults)}")
    _unpack(packed, out)
    against = f" against {root}" if root is not None else ""
    log(
        f"{packed}: {len(sources)} subjects, written as {form} and checked{against}; the same files are in {out}"
    )
    return done


def packed_at(out: Path) -> Path:
    """The file beside the folder `out`, named as it; of `.` and `..` as what they stand for."""
    folder = out if out.name.strip(".") else out.resolve()
    return folder.with_name(f"{folder.name}.zip")


def _root(runs: Mapping[str, Run]) -> Path | None:
    """The folder of all subjects' data, named as they are; None where they lie apart."""
    roots = {name: Path(next(iter(locations(run.source).values()), ".")) for name, run in runs.items()}
    above = {root.absolute().parent for root in roots.values()}
    named = all(root.name == name and (root / "training_split").is_dir() for name, root in roots.items())
    return above.pop() if named and len(above) == 1 else None


def _unpack(packed: Path, out: Path) -> None:
    """Each file whole or not at all."""
    with zipfile.ZipFile(packed) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as inside, atomic(out / entry.filename) as file:
                shutil.copyfileobj(inside, file)
