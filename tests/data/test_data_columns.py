"""Tables that are not quite what they look like: said before training, with the words that mend it.

The kinds: a column that nobody means (an index that was saved, a comma too many, a fold); a number that is a class; and
a table or its names in another form than expected (separators, decimal commas, Unicode, capitals, zeros, folders).
"""

import io
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxlab.core.types import UserError
from jaxlab.data import ImageFolders, KaggleTable, WithMasks
from jaxlab.data.source import Opened
from submit.near_names import difference

IDS, TEST = [f"a{k:03d}" for k in range(8)], ["b000", "b001"]


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "png")
    return buffer.getvalue()


PICTURE = picture()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kaggle(tmp_path)
    return tmp_path


def kaggle(folder: Path, ids: list[str] = IDS, test: list[str] = TEST) -> None:
    for name, members in (("train", ids), ("test", test)):
        for member in members:
            path = folder / name / f"{member}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(PICTURE)
    table(ids).to_csv(folder / "train.csv", index=False)
    table(test).to_csv(folder / "sample_submission.csv", index=False)


def table(ids: list[str]) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(len(ids), 2)).round(4)
    return pd.DataFrame({"image_id": ids, "n0": values[:, 0], "n1": values[:, 1]})


def opened(folder: Path, **fields: object) -> Opened:
    return KaggleTable(root=str(folder), **fields).open()


# -- columns that nobody means ---------------------------------------------------------------------------------

NAMELESS = {
    "an index": lambda t: t.to_csv(),
    "named as pandas does": lambda t: t.reset_index(names="Unnamed: 0").to_csv(index=False),
    "twice": lambda t: t.assign(**{"Unnamed: 0": range(8)}).to_csv(),
    "a comma too many": lambda t: "".join(line + ",\n" for line in t.to_csv(index=False).splitlines()),
    "two commas": lambda t: "".join(line + ",,\n" for line in t.to_csv(index=False).splitlines()),
    "in between": lambda t: (
        t.assign(x=0)[["image_id", "n0", "x", "n1"]].to_csv(index=False).replace(",x,", ",,")
    ),
    "of two levels": lambda t: t.reset_index(names="Unnamed: 0_level_0").to_csv(index=False),
}


@pytest.mark.parametrize("case", NAMELESS)
@pytest.mark.parametrize("sampled", [True, False])
def test_columns_without_a_name_are_left_out(folder: Path, case: str, sampled: bool) -> None:
    (folder / "train.csv").write_text(NAMELESS[case](table(IDS)))
    if not sampled:
        (folder / "sample_submission.csv").unlink()
    data = opened(folder)
    assert data.targets == ("n0", "n1")
    assert data.train.ids.tolist() == IDS
    np.testing.assert_allclose(data.train.target, table(IDS)[["n0", "n1"]], rtol=1e-6)
    assert len(data.notes) == 1
    assert "has no name and is left out" in data.notes[0]


def test_a_sample_with_an_index(folder: Path) -> None:
    table(TEST).to_csv(folder / "sample_submission.csv")
    assert opened(folder).test.ids.tolist() == TEST


@pytest.mark.parametrize("column", ["index", "fold", "subject_age", " n0"])
def test_columns_that_the_sample_does_not_ask_for_are_refused(folder: Path, column: str) -> None:
    table(IDS).assign(**{column: np.arange(8) % 5}).to_csv(folder / "train.csv", index=False)
    with pytest.raises(
        UserError, match=r"1 column would be trained on that sample_submission\.csv does not ask for"
    ) as e:
        opened(folder)
    assert f"data.columns=({column!r},)" in str(e.value)
    assert opened(folder, columns=(column,)).targets == ("n0", "n1")
    assert opened(folder, targets=("n0", "n1", column)).targets == ("n0", "n1", column)
    (folder / "sample_submission.csv").unlink()
    data = opened(folder)
    assert data.targets == ("n0", "n1", column)


def test_an_index_that_no_sample_tells_of(folder: Path) -> None:
    table(IDS).reset_index().to_csv(folder / "train.csv", index=False)
    (folder / "sample_submission.csv").unlink()
    data = opened(folder, id_column="image_id")
    assert data.targets == ("index", "n0", "n1")
    assert "column 'index' counts the rows" in data.notes[0]


@pytest.mark.parametrize("numbers", [np.arange(8) % 4, (np.arange(8) > 3) * 1.0])
def test_a_fold_that_no_sample_tells_of(folder: Path, numbers: np.ndarray) -> None:
    table(IDS).assign(part=numbers).to_csv(folder / "train.csv", index=False)
    (folder / "sample_submission.csv").unlink()
    data = opened(folder)
    assert data.targets == ("n0", "n1", "part")
    assert "column 'part' holds few whole numbers" in data.notes[0]
    assert "data.columns=('part',)" in data.notes[0]
    assert opened(folder, columns=("part",)).notes == ()


def test_counts_of_spikes_are_targets(folder: Path) -> None:
    counts = np.random.default_rng(0).integers(0, 3, (8, 3))
    pd.DataFrame(counts, columns=list("abc")).assign(image_id=IDS).to_csv(folder / "train.csv", index=False)
    (folder / "sample_submission.csv").unlink()
    assert opened(folder, id_column="image_id").notes == ()


@pytest.mark.parametrize(
    ("written", "words"), [("N1", "in capital letters"), (" n1", "in spaces"), ("n01", "in zeros")]
)
def test_columns_that_nearly_are_the_samples(folder: Path, written: str, words: str) -> None:
    table(IDS).rename(columns={"n1": written}).to_csv(folder / "train.csv", index=False)
    with pytest.raises(UserError, match=f"does not ask for '{written}'; they differ {words}") as e:
        opened(folder)
    assert "where there is 'n1'" in str(e.value)


def test_samples_of_other_forms_are_no_fault(folder: Path) -> None:
    """Rows for an image and a target each; a column for each class."""
    pairs = pd.DataFrame({"image_id": [f"{i}_{t}" for i in TEST for t in ("n0", "n1")], "value": 0.0})
    pairs.to_csv(folder / "sample_submission.csv", index=False)
    assert opened(folder).targets == ("n0", "n1")
    pd.DataFrame({"image_id": TEST, "cat": 0.5, "dog": 0.5}).to_csv(
        folder / "sample_submission.csv", index=False
    )
    pd.DataFrame({"image_id": IDS, "kind": ["cat", "dog"] * 4}).to_csv(folder / "train.csv", index=False)
    data = opened(folder)
    assert (data.kind, data.targets, data.notes) == ("classification", ("cat", "dog"), ())


def test_ids_in_a_column_without_a_name(folder: Path) -> None:
    table(IDS).set_index("image_id").rename_axis(None).to_csv(folder / "train.csv")
    with pytest.raises(
        UserError, match=r"no id column 'image_id'.*The first has no name: where it holds the ids, write"
    ):
        opened(folder)


@pytest.mark.parametrize(
    ("rows", "why"),
    [("a000,1,2,\n", "a comma at the end of each line"), ("0,a000,1,2\n", "an index in front")],
)
def test_rows_longer_than_the_header(folder: Path, rows: str, why: str) -> None:
    (folder / "train.csv").write_text("image_id,n0,n1\n" + rows)
    with pytest.raises(UserError, match=rf"4 cells, more than the 3 columns of the header: {why}"):
        opened(folder)


def test_images_without_a_row_are_told_of(folder: Path) -> None:
    """As beside a table of which half is missing."""
    table(IDS[:5]).to_csv(folder / "train.csv", index=False)
    data = opened(folder)
    assert len(data.train) == 5
    assert data.notes == (
        f"{folder / 'train'}: 3 of its 8 images have no row in train.csv, and are left out",
    )
    assert not opened(
        folder, test_images="train", sample="none"
    ).notes  # of one folder for both nothing is known


# -- numbers that are classes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [[0, 1, 2, 0, 1, 2, 0, 1], [1.0, 2.0] * 4, [-1, 1] * 4, [10, 20, 30, 40] * 2]
)
def test_whole_numbers_are_said_to_be_no_classes(folder: Path, values: list[float]) -> None:
    pd.DataFrame({"image_id": IDS, "label": values}).to_csv(folder / "train.csv", index=False)
    pd.DataFrame({"image_id": TEST, "label": 0}).to_csv(folder / "sample_submission.csv", index=False)
    data = opened(folder)
    assert data.kind == "regression"
    count = len(set(values))
    assert f"column 'label' holds {count} different whole numbers" in data.notes[0]
    assert "--set data.label=label" in data.notes[0]
    chosen = opened(folder, label="label")
    assert (chosen.kind, len(chosen.targets), chosen.notes) == ("classification", count, ())
    assert opened(folder, targets=("label",)).notes == ()  # named: so they are numbers


@pytest.mark.parametrize("values", [np.arange(8), np.linspace(0, 1, 8), np.zeros(8), [0.5, 1] * 4])
def test_other_numbers_are_not_asked_about(folder: Path, values: object) -> None:
    pd.DataFrame({"image_id": IDS, "label": values}).to_csv(folder / "train.csv", index=False)
    pd.DataFrame({"image_id": TEST, "label": 0}).to_csv(folder / "sample_submission.csv", index=False)
    assert opened(folder).notes == ()


# -- other separators ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("separator", "words"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("name", ["train.csv", "sample_submission.csv"])
def test_other_separators_are_named_with_what_mends_them(
    folder: Path, separator: str, words: str, decimal: str, name: str
) -> None:
    source = table(IDS if name == "train.csv" else TEST)
    source.to_csv(folder / name, index=False, sep=separator, decimal=decimal)
    with pytest.raises(UserError, match=f"{name}: cells are separated by {words}, expected commas") as error:
        opened(folder)
    said = str(error.value).split("; pandas")[1].replace("'ID'", "'image_id'").replace("PATH", "path")
    path = folder / name  # noqa: F841  # of the words, which are run as they stand
    exec("pd" + said.removesuffix(" rewrites it"))
    assert opened(folder).train.target.shape == (8, 2)


def test_decimal_commas(folder: Path) -> None:
    table(IDS).to_csv(folder / "train.csv", index=False, decimal=",", quotechar='"')
    with pytest.raises(UserError, match=r"Expected a point in numbers, where these have a comma"):
        opened(folder)


# -- names in another form -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_unicode_forms_of_ids_and_files(tmp_path: Path, stored: str, asked: str) -> None:
    names = ["käfer_1", "käfer_2", "übung/käfer_3", "plain"]
    kaggle(tmp_path, [unicodedata.normalize(stored, name) for name in names])
    ids = [unicodedata.normalize(asked, name) for name in names]
    table(ids).to_csv(tmp_path / "train.csv", index=False)
    data = opened(tmp_path)
    assert data.train.ids.tolist() == ids  # as the table has them
    assert data.train.read(2).shape == (4, 4, 3)
    source = KaggleTable(root=str(tmp_path))
    (tmp_path / "masks").mkdir()
    for name in ["käfer_1", "käfer_2", "plain", *TEST]:
        Image.new("L", (4, 4)).save(tmp_path / "masks" / f"{unicodedata.normalize(stored, name)}.png")
    (tmp_path / "masks" / unicodedata.normalize(stored, "übung")).mkdir()
    file = tmp_path / "masks" / unicodedata.normalize(stored, "übung/käfer_3.png")
    Image.new("L", (4, 4)).save(file)
    assert WithMasks(source=source, masks=str(tmp_path / "masks")).open().train.masks == 1


def test_two_unicode_forms_of_one_name(tmp_path: Path) -> None:
    both = [unicodedata.normalize(form, "käfer") for form in ("NFC", "NFD")]
    kaggle(tmp_path, [*both, "a"])
    with pytest.raises(UserError, match="1 ids in column 'image_id' are written in two Unicode forms"):
        opened(tmp_path)
    kaggle(tmp_path, ["a", "b", "c"])
    pd.DataFrame({"image_id": ["a", "b", "c"], "kind": [*both, "x"]}).to_csv(
        tmp_path / "train.csv", index=False
    )
    with pytest.raises(UserError, match=r"classes: käfer are written in two Unicode forms"):
        opened(tmp_path)


def test_columns_that_differ_in_their_unicode_form(folder: Path) -> None:
    here, there = (unicodedata.normalize(form, "grün") for form in ("NFD", "NFC"))
    table(IDS)[["image_id", "n0"]].rename(columns={"n0": here}).to_csv(folder / "train.csv", index=False)
    table(TEST)[["image_id", "n0"]].rename(columns={"n0": there}).to_csv(
        folder / "sample_submission.csv", index=False
    )
    with pytest.raises(UserError, match=r"other columns than .*in the Unicode form of their letters alone"):
        opened(folder)
    (folder / "sample_submission.csv").unlink()
    with pytest.raises(UserError, match=r"no column 'grün'.*Unicode form"):
        opened(folder, targets=(there,))


def test_class_folders_in_another_unicode_form(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("val", "NFD")):
        for name in ("käfer", "hund"):
            (tmp_path / split / unicodedata.normalize(form, name)).mkdir(parents=True)
            (tmp_path / split / unicodedata.normalize(form, name) / "1.png").write_bytes(PICTURE)
    with pytest.raises(UserError, match=r"not among the classes of 'train'; they differ from .*Unicode form"):
        ImageFolders(root=str(tmp_path)).open()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda name: f"train/{name}",
            r"in the folder before them: 'train/a000' where there is 'a000'.*='\.'",
        ),
        (lambda name: f"C:\\data\\{name}.png", r"in several ways|in the folder before them"),
        (lambda name: name.replace("a00", "a"), r"in zeros before numbers.*'a0' where there is 'a000'"),
        (str.upper, r"in capital letters: 'A000' where there is 'a000'"),
        (lambda name: f"{name} ", r"in spaces around them"),
        (lambda name: f"{name}.jpg", r"in what follows the point: 'a000\.jpg' where there is 'a000"),
    ],
)
def test_ids_that_nearly_match_are_explained(folder: Path, change, words: str) -> None:
    table([change(name) for name in IDS]).to_csv(folder / "train.csv", index=False)
    with pytest.raises(UserError, match=f"no image for 8 of 8 ids.*they differ {words}"):
        opened(folder)


def test_what_is_said_of_a_folder_helps(folder: Path) -> None:
    table([f"train/{name}" for name in IDS]).to_csv(folder / "train.csv", index=False)
    data = opened(folder, train_images=".")
    assert data.train.read(0).shape == (4, 4, 3)


def test_unlike_names_have_no_explanation() -> None:
    assert difference(["x1", "x2"], ["a", "b"]) == ""
    assert difference(["/./.", ".", ""], ["a", ".b"]) == ""
    assert difference(["1.0", "2.0"], ["1", "2", "30"]).startswith("they differ in what follows the point")
    assert difference(["A/X07.PNG"], ["x7"]).startswith("they differ in several ways: 'A/X07.PNG'")
    assert difference(["7", "8"], ["0007", "0008"]) == (
        "they differ in zeros before numbers, which a spreadsheet takes away: '7' where there is '0007'"
    )
