"""What the site says of components is so: each is on a page, with the fields that it has, and its line makes one."""

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from docsite import components, docstrings
from docsite.docstrings import Code, Paragraph, Said

from jaxlab.core.config import Component
from jaxlab.data import Images, Shift
from jaxlab.heads import LowRank
from jaxlab.models import LeNet5, ResNet, ShallowCNN

PUBLIC = components.public()
PAGES = components.pages()


def test_every_name_that_a_room_offers_is_on_a_page():
    offered = {
        name
        for room in components.ROOMS
        for name, value in vars(sys.modules[room]).items()
        if isinstance(value, type) and issubclass(value, Component) and not name.startswith("_")
    }
    headed = {name for page in PAGES.values() for name in re.findall(r"^#+ (\w+)", page, re.MULTILINE)}
    assert offered - {"Component"} <= headed
    assert {"ResNet", "DINOv2", "Algonauts", "Tokenizer", "Ridge", "CutMix"} <= headed


def test_what_only_others_build_on_has_no_page():
    headed = {name for page in PAGES.values() for name in re.findall(r"^#+ (\w+)", page, re.MULTILINE)}
    assert not headed & {"VisionTransformer", "Readout", "SpatialReadout"}


def test_a_field_stands_with_type_default_and_what_is_said_of_it():
    assert "| `blur: bool = False` | anti-aliased strides (Zhang 2019)" in PAGES["models.md"]
    assert "| `depth: Literal[18, 34, 50, 101] = 18` | 18, 34 (basic blocks), 50 or 101" in PAGES["models.md"]
    assert "| `rank: int` | dimensions between each layer" in PAGES["heads.md"]
    assert "| `experiment: Experiment = Experiment()` |" in PAGES["experiment.md"]
    assert "| `pretrained: path \\| None = None` |" in PAGES["models.md"]


def test_a_field_is_said_by_the_base_where_the_class_says_nothing():
    said = {name: text for name, _, _, text in components.fields(LowRank)}
    assert said["dropout"] == "share of the features dropped in training."
    assert [name for name, *_ in components.fields(LowRank)] == [
        field.name for field in dataclasses.fields(LowRank)
    ]


def test_every_field_is_said_something_of():
    unsaid = [
        f"{name}.{field}"
        for name, cls in PUBLIC.items()
        for field, *_, said in components.fields(cls)
        if not said
    ]
    assert not unsaid, f"their classes' docstrings lack `field: what it is`: {', '.join(unsaid)}"


def test_layers_are_those_of_the_module():
    assert components.layers(ShallowCNN).startswith('Features in order: "level1" (stride 2)')


def test_a_name_is_imported_from_the_room_that_offers_it():
    assert components.home(ResNet) == "jaxlab.models"
    assert components.home(Shift) == "jaxlab.data"
    assert components.home(PUBLIC["Tokenizer"]) == "jaxlab.data.readers.tokens"


def named() -> dict[str, Any]:
    """All names a config may import, and the objects that other lines speak of."""
    encoder = PUBLIC["ImageEncoder"](model=LeNet5(), images=Images(size=(32, 32)), layers=("level1",))
    return {**PUBLIC, "encoder": encoder}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_line_makes_what_it_stands_for(name):
    line = components.example(PUBLIC[name])
    made = eval(re.sub(r"^\w+ = ", "", line), named())
    made = made[0] if isinstance(made, tuple) else made
    assert isinstance(made, PUBLIC[name])


def test_no_line_is_left_over():
    assert components.EXAMPLES.keys() <= PUBLIC.keys()


def test_docstrings_come_apart():
    doc = """A readout.

layer: one or several. dropout, rate: shares,
    of what is dropped.
Not of anything else.

As this:
    Linear(layer="a")

- one,
  of two
- the other
"""
    assert docstrings.blocks(doc, ["layer", "dropout", "rate"]) == [
        Paragraph("A readout."),
        Said(("layer",), "one or several."),
        Said(("dropout", "rate"), "shares, of what is dropped."),
        Paragraph("Not of anything else."),
        Paragraph("As this:"),
        Code('Linear(layer="a")'),
        Paragraph("- one, of two"),
        Paragraph("- the other"),
    ]


def test_prose_is_not_taken_for_markup():
    assert (
        docstrings.as_rst("p * q of a_ and `x|y`, **twice**.", [])[0]
        == r"p \* q of a\_ and ``x|y``, \*\*twice\*\*."
    )
    assert components._cell("r *= [a] <b> `c*` |d|") == r"r \*= \[a\] \<b> `c*` \|d\|"
