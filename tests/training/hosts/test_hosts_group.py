import sys

import pytest
from told import Service, each

from jaxlab.core.types import UserError
from jaxlab.training.hosts import Agreement, Group, join


def test_each_hears_what_all_say_in_their_order():
    def talk(group):
        return [group.gathered("k", f"{k}{group.index}\n") for k in range(3)], group.any(
            "x", group.index == 2
        )

    assert each(3, talk) == [([[f"{k}0\n", f"{k}1\n", f"{k}2\n"] for k in range(3)], True)] * 3


def test_what_was_said_is_forgotten():
    """A run of weeks agrees once a second: keys must not pile up where the coordinator keeps them."""
    service = Service(1)
    group = Group(0, 2, service)
    service.wait_at_barrier = lambda *_: None
    for k in range(5):
        service.values[f"jaxlab/{k + 1}/00000001"] = "x\n"
        group.meet("x")
    assert sorted(service.values) == ["jaxlab/5/00000000", "jaxlab/5/00000001"]


def test_what_differs_is_refused_in_every_process():
    found = each(3, lambda group: group.same("the seed", str(group.index // 2), "give all the same"))
    assert all(isinstance(error, UserError) for error in found)
    assert {str(error) for error in found} == {
        "the 3 processes differ in the seed: process 0 has 0, process 2 has 1; give all the same"
    }


def test_processes_that_go_different_ways_are_told_so():
    found = each(2, lambda group: group.meet("the end" if group.index else "the first step"))
    assert all("differ in what they do next: process 0 has the first step" in str(error) for error in found)


def test_one_alone_asks_nobody():
    group = Group()
    assert (group.writes, group.gathered("x", "mine"), group.any("y", False)) == (True, ["mine"], False)
    agree = Agreement(group)
    assert agree(lambda: True, lambda: pytest.fail("asked")) == (True, False)
    assert agree(lambda: False, lambda: True) == (False, True)


@pytest.mark.parametrize(("asked", "late"), [(7, None), (None, 40)])
def test_all_stop_at_the_same_step_within_about_a_second(asked, late):
    """Steps take 0.1 s in one process and 0.125 s in the other: they agree at most 8 steps apart, after a few."""

    def run(group):
        clock = [0.0]
        agree = Agreement(group, clock=lambda: clock[0])
        assert agree(lambda: False, lambda: False, now=True) == (False, False)
        for step in range(1, 100):
            clock[0] += (0.1, 0.125)[group.index]
            signalled = group.index == 1 and asked is not None and step >= asked
            over = group.index == 0 and late is not None and step >= late
            found = agree(lambda signalled=signalled: signalled, lambda over=over: over)
            if any(found):
                return step, found
        return None

    first, second = each(2, run)
    assert first == second
    assert 0 <= first[0] - (asked or late) <= 8
    assert first[1] == (asked is not None, late is not None)


@pytest.mark.parametrize("address", ["node0", "node0:", "node0:0", "node0:65536", "node0:99999"])
def test_an_address_that_is_none_is_refused_before_anybody_waits(address):
    with pytest.raises(UserError, match="--coordinator: expected HOST:PORT of process 0, as node0:8476"):
        join(address, 2, 1)


@pytest.mark.parametrize(
    ("asked", "words"), [((4, None), "--processes .* says, 2; found 4"), ((2, 0), "--process .* 1; found 0")]
)
def test_numbers_that_the_launcher_does_not_say_are_refused(monkeypatch, asked, words):
    monkeypatch.setattr(sys.modules[join.__module__], "_detected", lambda timeout: ("node0:8476", 2, 1, None))
    with pytest.raises(UserError, match=rf"--coordinator auto: expected no {words}"):
        join("auto", *asked)
