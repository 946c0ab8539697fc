"""Algonauts 2023: the zip of predictions, subj01 to subj08/{lh,rh}_pred_test.npy, written and checked.

Rows are the test images in the order of their file names, columns all vertices of the hemisphere. One array is in
memory at a time beside the predictions of its subject.
"""

import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from submit.blocks import progress
from submit.errors import SubmissionError, named, refuse
from submit.files.atomic import atomic, atomic_folder
from submit.files.zips import open_zip
from submit.formats.algonauts_layout import (
    HEMISPHERES,
    MOST_BYTES,
    Subject,
    array_header,
    file_name,
    file_names,
    layout,
)
from submit.formats.format import Format
from submit.formats.subjects import (
    PredictionsOrFile,
    Repeats,
    area_values,
    by_subject,
    subject_faults,
    subject_part,
    value_faults,
)
from submit.provenance.record import keep

_ROWS = 64  # written at a time
_Add = Callable[[str, np.ndarray], None]


def write(
    predictions: Mapping[str, PredictionsOrFile | Sequence[PredictionsOrFile]] | PredictionsOrFile,
    path: str | Path,
    root: str | Path | None = None,
) -> Path:
    """Writes the submission: a zip where `path` ends in .zip, otherwise a new folder of the same files.

    predictions: for each subject (`subj01`) its predictions or their npz, or several that share its vertices out among
    them, such as one a hemisphere; or a folder of subj01.npz, ...; or predictions of all subjects' targets. Targets
    are named by hemisphere and vertex, `lh.00042` or `subj01.lh.00042`, samples by the stems of the test images' files.
    root: the challenge's data, which give the subjects, the ids and the sizes; without it the challenge's sizes hold,
    and rows are sorted by id. With it, predictions of another subject are recognised by their ids.

    A vertex without a prediction is a fault: the challenge asks for all and takes no constant column in its place. So
    are equal values for two subjects, whose images differ.
    Raises SubmissionError with every fault, and then writes nothing. float32 takes 318 MB for the challenge's eight
    subjects, more than it allows; deflated, a zip has 295 MB.
    """
    subjects, members, seen = layout(root), by_subject(predictions), Repeats()
    faults = subject_faults(members, list(subjects))
    provenance: dict[str, Any] = {}
    wanted = [name for name in subjects if name in members]
    with _destination(Path(path), faults) as add:
        for name in progress(wanted, len(wanted), f"writing {Path(path).name}"):
            _add_subject(name, subjects[name], members[name], add, seen, faults, provenance)
    keep(path, {"format": FORMAT.name, "subjects": provenance})
    return Path(path)


def check(path: str | Path, root: str | Path | None = None) -> list[str]:
    """Every fault of a zip or folder: files missing or too many, a folder around them, shapes, dtype, values, size.

    root: as for `write`. Raises SubmissionError only for a root that cannot be used.
    """
    path, expected = Path(path), file_names(layout(root))
    try:
        with _contents(path) as files:
            return _size_faults(path) + _file_faults(files, expected)
    except SubmissionError as error:
        return [str(error)]


def _add_subject(
    name: str,
    subject: Subject,
    sources: Iterable[PredictionsOrFile],
    add: _Add,
    seen: Repeats,
    faults: list[str],
    provenance: dict[str, Any],
) -> None:
    """Both hemispheres, or their faults."""
    try:
        parts = [subject_part(source, name, HEMISPHERES, subject.images, subject.names) for source in sources]
    except SubmissionError as error:
        faults.append(str(error))
        return
    provenance[name] = [dict(part.provenance) for part in parts]
    for hemisphere in HEMISPHERES:
        file = file_name(name, hemisphere)
        values, found = area_values(parts, hemisphere, *subject.shape(hemisphere))
        found = found or value_faults(values) + seen.faults(file, name, values)
        faults += [f"{file}: {fault}" for fault in found]
        if not faults:
            add(file, values)


@contextmanager
def _destination(path: Path, faults: list[str]) -> Iterator[_Add]:
    """What takes each array; raises at the end, without leaving anything, where there are faults."""
    if path.suffix.lower() == ".zip":
        with atomic(path) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                yield partial(_add_to_zip, archive)
            if file.tell() > MOST_BYTES:
                faults.append(_too_large(file.tell()))
            refuse(path, faults)
    else:
        with atomic_folder(path) as folder:
            yield partial(_add_to_folder, folder)
            refuse(path, faults)


def _add_to_zip(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    entry = zipfile.ZipInfo(name)  # with no date: the same predictions make the same file
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    with archive.open(entry, "w") as file:
        _write_array(file, values)


def _add_to_folder(folder: Path, name: str, values: np.ndarray) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    with (folder / name).open("wb") as file:
        _write_array(file, values)


def _write_array(file: IO[bytes], values: np.ndarray) -> None:
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
    for start in range(0, len(values), _ROWS):
        file.write(values[start : start + _ROWS].tobytes())


def _too_large(size: int) -> str:
    return f"the zip has {size / 1e6:,.0f} MB; the challenge takes at most {MOST_BYTES / 1e6:,.0f} MB"


_Open = Callable[[], Any]  # a file of bytes
_Files = list[tuple[str, _Open]]


@contextmanager
def _contents(path: Path) -> Iterator[_Files]:
    """The files in a zip or a folder: names with /, and what opens each."""
    if path.is_dir():
        paths = sorted(file for file in path.rglob("*") if file.is_file())
        yield [(file.relative_to(path).as_posix(), partial(file.open, "rb")) for file in paths]
        return
    if not path.is_file():
        raise SubmissionError(f"{path}: there is no such file.")
    with open_zip(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        yield [(entry.filename, partial(archive.open, entry)) for entry in entries]


def _size_faults(path: Path) -> list[str]:
    size = path.stat().st_size if path.is_file() else 0  # of a folder, the zip is yet to come
    return [_too_large(size)] if size > MOST_BYTES else []


def _file_faults(files: _Files, expected: Mapping[str, tuple[int, int]]) -> list[str]:
    names = [name for name, _ in files]
    around = _folder_around(names, expected)
    faults = []
    if around:
        faults.append(f"the files lie in a folder {around!r}: zip what is in it, not the folder itself")
    inner = [name.removeprefix(around) for name in names]
    again = [name for name, count in Counter(inner).items() if count > 1]
    missing = [name for name in expected if name not in inner]
    extra = [name for name in dict.fromkeys(inner) if name not in expected]
    if missing:
        faults.append(f"{len(missing)} of {len(expected)} files are missing: {named(missing, len(missing))}")
    if extra:
        faults.append(f"{len(extra):,} files do not belong in it: {named(extra, len(extra))}")
    if again:
        faults.append(f"{len(again):,} files are in it more than once: {named(again, len(again))}")
    ours = [(name, open_it) for name, (_, open_it) in zip(inner, files, strict=True) if name in expected]
    seen = Repeats()
    for name, open_it in progress(ours, len(ours), "checking"):
        faults += [f"{name}: {fault}" for fault in _array_faults(name, open_it, expected[name], seen)]
    return faults


def _folder_around(names: Sequence[str], expected: Mapping[str, object]) -> str:
    """What stands before the expected names where none stands by itself: `submission/`."""
    if any(name in expected for name in names):
        return ""
    return next(
        (name.removesuffix(end) for name in names for end in expected if name.endswith(f"/{end}")), ""
    )


def _array_faults(name: str, open_it: _Open, expected: tuple[int, int], seen: Repeats) -> list[str]:
    try:
        with open_it() as file:
            shape, fortran, dtype = array_header(file)
            faults = [] if shape == expected else [f"expected shape {expected}, found {shape}"]
            if dtype != np.float32:
                faults.append(f"expected float32, found {dtype}")
            size = prod(shape) * dtype.itemsize
            if dtype.kind not in "fiu" or len(shape) != 2 or not 0 < size <= MOST_BYTES:
                return faults
            content = file.read(size + 1)
            if len(content) != size:
                found = "more" if len(content) > size else f"{len(content):,}"
                return [*faults, f"expected {size:,} bytes of values, found {found}"]
            values = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    except Exception as error:  # of zipfile, what unpacks, and numpy, by what is damaged
        return [f"the file is damaged or no .npy array ({error})"]
    return faults + value_faults(values) + seen.faults(name, name.partition("/")[0], values)


FORMAT = Format(
    name="algonauts2023",
    writes=(".zip", ""),
    reads=(".zip", ""),
    recognise=lambda file: (file.suffix == ".zip" or file.path.is_dir()) and not file.is_csv,
    write=lambda predictions, path, root: [write(predictions, path, root)],
    check=check,
    against="the challenge's data",
    title="a zip or folder of Algonauts 2023",
    usage=(
        "a zip, or a folder. PREDICTIONS: subj01=FILE ... subj08=FILE,",
        "or a folder of subj01.npz ...; a subject may have several",
        "files, such as one a hemisphere.",
        "--against the folder of subj01, ..., which also tells one",
        "subject's predictions from another's, by their images",
    ),
    by_subject=True,
)
