"""Components, overrides, JSON and config files."""

import copy
import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlab.core.config import (
    Component,
    Location,
    differences,
    from_json,
    identity,
    load_file,
    override,
    short_hash,
    to_json,
)
from jaxlab.core.types import UserError


@dataclass(frozen=True, kw_only=True)
class Leaf(Component):
    rate: float = 0.5
    count: int = 3
    name: str = "a"
    on: bool = False
    kind: Literal["up", "down"] = "up"
    sizes: tuple[int, ...] = (1, 2)
    limit: int | None = None
    root: Location | None = None

    def check(self) -> None:
        if self.limit is not None and self.limit < self.count:
            raise UserError(f"Leaf: expected limit >= count, found {self.limit} and {self.count}")


@dataclass(frozen=True, kw_only=True)
class OtherLeaf(Leaf):
    extra: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Tree(Component):
    leaf: Leaf = Leaf()
    many: tuple[Leaf, ...] = ()
    pair: tuple[Leaf, Leaf] = (Leaf(), Leaf())
    seed: int = 0


LEAVES = st.builds(
    Leaf,
    rate=st.floats(allow_nan=False, allow_infinity=False),
    count=st.integers(-(10**9), 0),
    name=st.text(),
    on=st.booleans(),
    kind=st.sampled_from(["up", "down"]),
    sizes=st.lists(st.integers(), max_size=4).map(tuple),
    limit=st.none() | st.integers(0, 10**9),
    root=st.none() | st.text(),
)
TREES = st.builds(Tree, leaf=LEAVES, many=st.lists(LEAVES, max_size=3).map(tuple), seed=st.integers())


@given(TREES)
def test_json_and_back(tree):
    assert from_json(json.loads(json.dumps(to_json(tree)))) == tree


@given(TREES, st.none() | st.text(min_size=1))
def test_identity_does_not_see_where_things_lie(tree, root):
    if (tree.leaf.root is None) == (root is None):
        moved = replace(tree, leaf=replace(tree.leaf, root=root))
        assert identity(moved) == identity(tree)
        assert short_hash(moved) == short_hash(tree)


@given(TREES, TREES)
def test_identities_without_a_difference_are_equal(one, other):
    found = differences(identity(one), identity(other))
    assert (found == []) == (identity(one) == identity(other))


@given(LEAVES)
def test_every_value_can_be_set_as_text(leaf):
    settings = [
        f"leaf.{name}={getattr(leaf, name)}" for name in ("rate", "count", "on", "kind", "sizes", "limit")
    ]
    assert override(Tree(), settings).leaf == replace(leaf, name="a", root=None)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("leaf.rate=3e-4", {"rate": 3e-4}),
        ("leaf.rate=2", {"rate": 2.0}),
        ("leaf.count=-7", {"count": -7}),
        ("leaf.on=true", {"on": True}),
        ("leaf.on=False", {"on": False}),
        ("leaf.on=FALSE", {"on": False}),
        ("leaf.limit=none", {"limit": None}),
        ("leaf.limit=null", {"limit": None}),
        ("leaf.limit=9", {"limit": 9}),
        ("leaf.name=plain words = and more", {"name": "plain words = and more"}),
        ("leaf.name='quoted'", {"name": "quoted"}),
        ("leaf.name=12", {"name": "12"}),
        ("leaf.name=None", {"name": "None"}),
        ("leaf.name=true", {"name": "true"}),
        ("leaf.name=", {"name": ""}),
        ("leaf.kind=down", {"kind": "down"}),
        ("leaf.sizes=(4, 6, 8)", {"sizes": (4, 6, 8)}),
        ("leaf.sizes=[4]", {"sizes": (4,)}),
        ("leaf.sizes=()", {"sizes": ()}),
        ("leaf.sizes.1=7", {"sizes": (1, 7)}),
        ("leaf.root=/data/v4", {"root": "/data/v4"}),
    ],
)
def test_override(setting, expected):
    start = Tree(leaf=Leaf(limit=5))
    assert override(start, [setting]).leaf == replace(start.leaf, **expected)


def test_override_of_a_position_leaves_the_others():
    start = Tree(many=(Leaf(), OtherLeaf(), Leaf()))
    changed = override(start, ["many.1.extra=2.5", "many.2.rate=0.1", "seed=4"])
    assert changed == Tree(many=(Leaf(), OtherLeaf(extra=2.5), Leaf(rate=0.1)), seed=4)
    assert start.many[1].extra == 1.0


def test_overrides_are_checked_together_and_the_last_of_a_field_counts():
    """limit=2 alone contradicts count=3, whichever comes first."""
    for settings in (["leaf.limit=2", "leaf.count=1"], ["leaf.count=1", "leaf.limit=2"]):
        assert override(Tree(), settings).leaf == Leaf(limit=2, count=1)
    assert override(Tree(), ["seed=1", "seed=2"]).seed == 2
    with pytest.raises(UserError, match="expected limit >= count, found 2 and 3"):
        override(Tree(), ["leaf.limit=2"])


def test_epochs_give_way_to_steps():
    from jaxlab.experiment import Experiment

    changed = override(Experiment(), ["training.steps=7", "training.epochs=none"])
    assert (changed.training.steps, changed.training.epochs) == (7, None)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("leaf.raet=1", ["Leaf has no field 'raet'", "nearest: rate"]),
        ("laef.rate=1", ["Tree has no field 'laef'", "nearest: leaf"]),
        ("zzz=1", ["Tree has no field 'zzz'", "leaf, many, pair, seed"]),
        ("rate=1", ["Tree has no field 'rate'; nearest: leaf.rate"]),
        ("leaf.count=2.5", ["Leaf.count: expected int, found '2.5'"]),
        ("leaf.count=many", ["Leaf.count: expected int, found 'many'"]),
        ("leaf.count=true", ["Leaf.count: expected int, found 'true'"]),
        ("leaf.limit=true", ["Leaf.limit: expected int | None, found 'true'"]),
        ("leaf.rate=true", ["Leaf.rate: expected float, found 'true'"]),
        ("leaf.on=2", ["Leaf.on: expected bool, found '2'"]),
        ("leaf.kind=sideways", ["Leaf.kind", "sideways", "'up' or 'down'"]),
        ("leaf.sizes=4", ["Leaf.sizes: expected tuple[int, ...], found '4'"]),
        ("leaf.sizes=(1, 'x')", ["Leaf.sizes: expected tuple[int, ...]"]),
        ("leaf={'rate': 1.0}", ["Tree.leaf: expected Leaf"]),
        ("leaf=OtherLeaf", ["Tree.leaf: expected Leaf, found 'OtherLeaf'", "chosen in the config file"]),
        ("many=(Leaf(rate=1),)", ["Tree.many: expected tuple[Leaf, ...]", "chosen in the config file"]),
        ("pair.0=Leaf(rate=1)", ["a part is chosen in the config file, --set changes fields of it"]),
        ("many.0.rate=1", ["'0' is not a position in a list of 0"]),
        ("many.00.rate=1", ["'00' is not a position"]),
        ("leaf.sizes.0=x", ["Leaf.sizes: expected tuple[int, ...], found ('x', 2)"]),
        ("many.x=1", ["'x' is not a position"]),
        ("leaf.rate.more=1", ["0.5 has no fields"]),
        ("seed", ["expected field=value"]),
    ],
)
def test_override_refuses(setting, words):
    with pytest.raises(UserError) as refused:
        override(Tree(), [setting])
    assert all(word in str(refused.value) for word in words)
    assert setting.startswith("leaf.sizes.") or f"--set {setting}" in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [{"rate": "fast"}, {"count": 1.5}, {"count": True}, {"on": 1}, {"kind": "left"}, {"sizes": (1, "x")}],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_refused_in_python_too(fields):
    (name,) = fields
    with pytest.raises(UserError, match=rf"Leaf\.{name}: expected .*, found"):
        Leaf(**fields)


def test_lists_become_tuples_and_whole_numbers_floats():
    leaf = Leaf(sizes=[4, 6], rate=2)
    assert leaf.sizes == (4, 6)
    assert isinstance(leaf.rate, float)
    assert hash(leaf) == hash(Leaf(sizes=(4, 6), rate=2.0))


def test_a_subclass_keeps_its_type_and_fields_inside_another():
    tree = Tree(leaf=OtherLeaf(extra=3.0))
    assert isinstance(tree.leaf, OtherLeaf)
    assert to_json(tree)["leaf"]["type"] == "OtherLeaf"
    assert override(tree, ["leaf.extra=4"]).leaf == OtherLeaf(extra=4.0)


def test_identity_says_whether_a_location_is_set():
    assert identity(Leaf())["root"] is False
    assert identity(Leaf(root="/a"))["root"] is True
    assert short_hash(Leaf()) != short_hash(Leaf(root="/a"))


def test_differences_name_each_field():
    old = Tree(many=(Leaf(), Leaf()))
    new = Tree(many=(Leaf(), OtherLeaf(rate=0.1)), leaf=Leaf(name="b"), seed=1)
    assert differences(identity(old), identity(new)) == [
        'leaf.name: "a" -> "b"',
        'many.1.type: "Leaf" -> "OtherLeaf"',
        "many.1.rate: 0.5 -> 0.1",
        "many.1.extra: null -> 1.0",
        "seed: 0 -> 1",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "Laef"}, ["'Laef' that is not defined", "Leaf"]),
        ({"raet": 1.0}, ["Leaf has no field", "raet", "nearest: rate"]),
        ({"count": "x"}, ["Leaf.count: expected int, found 'x'"]),
    ],
)
def test_json_of_another_version_is_refused(change, words):
    with pytest.raises(UserError) as refused:
        from_json({**to_json(Leaf()), **change})
    assert all(word in str(refused.value) for word in words)


# -- config files ----------------------------------------------------------------------------------------


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


HEAD = "from jaxlab.optim import AdamW, Cosine\n"


def test_a_config_file_gives_its_experiment(tmp_path):
    path = written(tmp_path, HEAD + "experiment = AdamW(lr=0.5, schedule=Cosine(epochs=3))\n")
    assert load_file(path).schedule.epochs == 3


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("experiment = AdamW(\n    lrr=0.5,\n)\n", 2, "AdamW has no field 'lrr'; nearest: lr"),
        ("experiment = AdamW(schedule=Cosine(epochs=1,\n  wramup_steps=3))\n", 2, "nearest: warmup_steps"),
        ("\nexperiment = AdamW(lr='fast')\n", 3, "AdamW.lr: expected float, found 'fast'"),
        ("\nexperiment = AdamW(schedule=Cosine(epochs=1, steps=2))\n", 3, "expected epochs or steps"),
        ("\n\nexperiment = Adamm()\n", 4, "name 'Adamm' is not defined"),
        ("experiment = AdamW(\n", 2, "'(' was never closed"),
        (
            "from jaxlab.data import GroupedSplit\nexperiment = GroupedSplit()\n",
            3,
            "GroupedSplit needs 'column'",
        ),
        ("from jaxlab.optim import Adamm\n", 2, "cannot import name 'Adamm'"),
        ("from jaxlab.losses import MSE\n", 2, "cannot import name 'MSE' from 'jaxlab.losses'; nearest: Mse"),
        (
            "experiment = COSINE(epochs=3)\n",
            2,
            "name 'COSINE' is not defined; nearest: Cosine of jaxlab.optim",
        ),
        (
            "import jaxlab.losses as l\nl.MSE()\n",
            3,
            "module 'jaxlab.losses' has no attribute 'MSE'; nearest: Mse",
        ),
        ("import jaxlab.optim as o\no.Mse()\n", 3, "has no attribute 'Mse': from jaxlab.losses import Mse"),
        ("AdamW.lrr\n", 2, "type object 'AdamW' has no attribute 'lrr'"),
        ("def f():\n    return AdamW(lr=-1.0)\nexperiment = f()\n", 3, "AdamW.lr: expected more than 0"),
    ],
)
def test_a_mistake_names_the_file_and_line(signatures_off, tmp_path, body, line, words):
    path = written(tmp_path, HEAD + body)
    with pytest.raises(UserError) as refused:
        load_file(path)
    assert f"config {path}, line {line}: " in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize("body", ["", "experiment = 3\n", "experiments = AdamW()\n"])
def test_a_file_without_an_experiment_is_refused(tmp_path, body):
    with pytest.raises(UserError, match="expected a variable `experiment = Experiment"):
        load_file(written(tmp_path, HEAD + body))


def test_a_mistyped_field_in_python_is_both_a_users_error_and_a_type_error():
    """The kind: a name of ours that is misspelt, in a config, a script or a notebook."""
    from jaxlab.optim import AdamW

    for kind in (UserError, TypeError):
        with pytest.raises(kind, match="AdamW has no field 'lrr'; nearest: lr"):
            AdamW(lrr=0.5)
    with pytest.raises(UserError, match=r"AdamW: expected fields by name, as AdamW\(lr=...\), found 0.5"):
        AdamW(0.5)
    with pytest.raises(UserError, match="has no field 'lrr'"):
        replace(AdamW(), lrr=1.0)
    assert copy.copy(AdamW()) == pickle.loads(pickle.dumps(AdamW())) == AdamW()


def test_a_component_with_a_constructor_of_its_own_takes_what_it_says():
    @dataclass(frozen=True, kw_only=True)
    class Counted(Component):
        count: int = 0

        def __init__(self, *items, **more):
            object.__setattr__(self, "count", len(items) + len(more))

    assert Counted(1, 2, three=3).count == 3


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.py: no such file"):
        load_file(tmp_path / "nowhere.py")


# -- one component of a name -----------------------------------------------------------------------------


OWN = """
from dataclasses import dataclass
from jaxlab.core.config import Component

@dataclass(frozen=True, kw_only=True)
class {name}(Component):
    size: int = {size}

    def twice(self):
        return 2 * self.size

experiment = {name}()
"""


def folder_file(folder: Path, name: str, text: str) -> Path:
    path = folder / name / "config.py"
    path.parent.mkdir()
    path.write_text(text)
    return path


def test_a_component_of_jaxlabs_name_is_refused(tmp_path):
    from jaxlab.heads import Linear

    text = "from jaxlab.heads import Head\nclass Linear(Head):\n    pass\nexperiment = Linear()\n"
    path = written(tmp_path, text)
    with pytest.raises(UserError) as refused:
        load_file(path)
    assert f"config {path}, line 2: class Linear: expected one component of each name" in str(refused.value)
    for word in ("jaxlab.heads.linear.Linear", "choose another name"):
        assert word in str(refused.value)
    assert isinstance(from_json({"type": "Linear"}), Linear)


def test_a_file_loaded_again_and_the_runs_copy_of_it_define_the_same_component(tmp_path):
    text = OWN.format(name="Mine", size=3)
    path, copy = folder_file(tmp_path, "own", text), folder_file(tmp_path, "run", text)
    moved = folder_file(
        tmp_path, "moved", "# a comment\n" + text.replace("\n    def", "\n    # another\n    def")
    )
    first = load_file(path)
    for again in (path, copy, moved, copy):
        loaded = load_file(again)
        assert to_json(loaded) == to_json(first)
        assert type(from_json(to_json(first))) is type(loaded)


def test_a_file_that_was_edited_replaces_what_it_defined(tmp_path):
    path = folder_file(tmp_path, "own", OWN.format(name="Edited", size=3))
    load_file(path)
    path.write_text("\n" + OWN.format(name="Edited", size=4))
    assert load_file(path).size == 4


@pytest.mark.parametrize(
    "change", [("= 4", "= 5"), ("2 * self", "3 * self"), ("Twice(Component)", "Twice(Other)")]
)
def test_two_components_of_one_name_in_two_files_are_refused(tmp_path, change):
    text = OWN.format(name="Twice", size=4)
    text = text.replace("\n@dataclass", "\nclass Other(Component): pass\n\n@dataclass", 1)
    one, two = folder_file(tmp_path, "one", text), folder_file(tmp_path, "two", text.replace(*change, 1))
    load_file(one)
    with pytest.raises(UserError) as refused:
        load_file(two)
    for place in (f"({one}, line 8)", f"({two}, line 8)", "class Twice:", "choose another name"):
        assert place in str(refused.value), refused.value
    assert load_file(one).size == 4


def test_two_components_of_one_name_in_one_file_are_refused(tmp_path):
    text = OWN.format(name="Double", size=1)
    with pytest.raises(
        UserError, match=r"line 18: class Double: .*, line 6\) beside this one \(.*, line 18\)"
    ):
        load_file(written(tmp_path, text + text.replace("= 1", "= 2")))


def test_a_class_typed_again_replaces_the_one_before():
    session = {"__name__": "__main__"}  # as an interpreter's or a notebook's, which have no __file__
    for size in (1, 2):
        exec(OWN.format(name="Typed", size=size), session)
    assert from_json({"type": "Typed"}).size == 2
    with pytest.raises(UserError, match="line 6 of an interactive session"):
        exec(OWN.format(name="Typed", size=3), {"__name__": "elsewhere"})


def test_a_module_of_jaxlabs_may_be_reloaded():
    import importlib

    from jaxlab.optim import schedules

    before = dict(Component.types), dict(Component.definitions)
    importlib.reload(schedules)
    assert Component.types["Cosine"] is schedules.Cosine
    Component.types.update(before[0])
    Component.definitions.update(before[1])
