"""Where data do not lie at `data.root`, each source says what else there is to try."""

from dataclasses import fields
from typing import get_type_hints

import pytest

from jaxlab import data
from jaxlab.core.config import Location
from jaxlab.core.types import UserError
from jaxlab.data import NX414, Images, KaggleOrSimulated, KaggleTable, Source, WithMasks
from jaxlab.encode import CachedFeatures, ImageEncoder
from jaxlab.models import ShallowCNN

# Every source of jaxlab.data that says by `root` where it lies.
ROOTED = [
    source
    for source in vars(data).values()
    if isinstance(source, type)
    and issubclass(source, Source)
    and "root" in {field.name for field in fields(source)}
]
WAYS = ("open", "open_test")


def message(source: Source, way: str) -> str:
    with pytest.raises(UserError) as refused:
        getattr(source, way)()
    return str(refused.value)


def test_all_of_them_are_looked_at():
    """A source that is added comes along by itself, as long as its root is a Location."""
    assert {source.__name__ for source in ROOTED} == {
        "Algonauts", "Arrays", "ImageFolders", "ImageTree", "KaggleOrSimulated", "KaggleTable", "NX414", "Pooled",
        "Sensorium", "Tfds", "VQAv2", "VizWiz",
    }  # fmt: skip
    for source in ROOTED:
        assert get_type_hints(source, include_extras=True)["root"] == Location | None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", [one for one in ROOTED if one is not KaggleOrSimulated])
def test_no_root_names_the_simulation(source, way):
    said = message(source(), way)
    assert "data.root" in said
    assert "--set data.root=" in said
    assert "`jaxlab simulate FOLDER`" in said


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("source", "root"),
    [
        (source, root)
        for source in ROOTED
        for root in ("nowhere", "nowhere.npz", "nowhere.h5", "a_file")
        if (source, root) != (NX414, "a_file")  # a file that is there is said to be no HDF5
    ],
)
def test_a_root_where_nothing_fitting_lies_names_the_simulation(source, way, root, tmp_path):
    (tmp_path / "a_file").write_text("")
    said = message(source(root=str(tmp_path / root)), way)
    assert "data.root" in said
    assert str(tmp_path / root) in said
    assert "`jaxlab simulate FOLDER`" in said


@pytest.mark.parametrize("way", WAYS)
def test_sources_within_sources_name_the_field_to_set(way):
    encoder = ImageEncoder(model=ShallowCNN(), images=Images(size=(16, 16)), layers=("level1",))
    assert "--set data.data.root=" in message(CachedFeatures(data=KaggleTable(), encoders=(encoder,)), way)
    assert "--set data.source.root=" in message(WithMasks(source=KaggleTable(), masks="masks"), way)
