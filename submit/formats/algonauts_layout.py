"""What a submission to Algonauts 2023 holds: two arrays a subject, (test images, vertices) float32."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from submit.errors import SubmissionError
from submit.files.npy import array_header

HEMISPHERES = ("lh", "rh")
MOST_BYTES = 300_000_000  # of the zip
_IMAGES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class Subject:
    """images: number of test images. vertices: of each hemisphere.

    names: (images,) the stems of the test images' files in the order of the rows; None where only the number is known.
    """

    images: int
    vertices: Mapping[str, int]
    names: np.ndarray | None = None

    def shape(self, hemisphere: str) -> tuple[int, int]:
        return self.images, self.vertices[hemisphere]


# (test images, vertices of lh and rh) as in the challenge's data
CHALLENGE = {
    f"subj{number:02d}": Subject(images, {"lh": lh, "rh": rh})
    for number, (images, lh, rh) in enumerate(
        [
            (159, 19004, 20544),
            (159, 19004, 20544),
            (293, 19004, 20544),
            (395, 19004, 20544),
            (159, 19004, 20544),
            (293, 18978, 20220),
            (159, 19004, 20544),
            (395, 18981, 20530),
        ],
        start=1,
    )
}


def layout(root: str | Path | None) -> dict[str, Subject]:
    """Each subject by its name: of the challenge, or those in the folder `root` (subj01, ...) of the challenge's data.

    root may be one subject's folder too. Raises SubmissionError with everything that a folder of data lacks.
    """
    if root is None:
        return CHALLENGE
    root, problems = Path(root), list[str]()
    folders = [root] if (root / "training_split").is_dir() else []
    folders = folders or sorted(path.parent for path in root.glob("subj*/training_split"))
    if not folders:
        raise SubmissionError(
            f"{root}: expected the challenge's data, a folder a subject (subj01/training_split, ...); found none."
        )
    found = {folder.name: _subject(folder, problems) for folder in folders}
    if problems:
        raise SubmissionError("; ".join(problems) + ".")
    return found


def file_name(subject: str, hemisphere: str) -> str:
    return f"{subject}/{hemisphere}_pred_test.npy"


def file_names(subjects: Mapping[str, Subject]) -> dict[str, tuple[int, int]]:
    """The shape of each file that a submission holds."""
    return {file_name(name, side): one.shape(side) for name, one in subjects.items() for side in HEMISPHERES}


def _subject(folder: Path, problems: list[str]) -> Subject:
    images = folder / "test_split" / "test_images"
    there = sorted(path.name for path in images.glob("[!.]*") if path.suffix.lower() in _IMAGES)
    if not there:
        problems.append(f"{images}: expected the test images, found none")
    vertices = {}
    for hemisphere in HEMISPHERES:
        path = folder / "training_split" / "training_fmri" / f"{hemisphere}_training_fmri.npy"
        try:
            with path.open("rb") as file:
                shape = array_header(file)[0]
            vertices[hemisphere] = shape[1]
        except (OSError, ValueError, IndexError) as error:
            problems.append(f"{path}: expected an array (images, vertices) ({error})")
    return Subject(len(there), vertices, np.array([Path(name).stem for name in there], np.str_))
