"""Why a checkpoint does not go on elsewhere, from differences made by hand."""

import pytest

from jaxlab.report.loading import hindrances

SAME = {"config": [], "only_here": [], "only_there": [], "shapes": {}}


def task(*names, kind="regression"):
    return {"task": {"kind": kind, "targets": list(names)}}


def test_what_fits_is_hindered_by_nothing():
    """Nor by another dtype, which is converted, nor by fields that no array follows from."""
    diff = SAME | {
        "config": ["optimizer.lr: 0.1 -> 0.2"],
        "shapes": {"params.head.kernel": ["float32[3, 4]", "bfloat16[3, 4]"]},
    }
    assert hindrances(diff, task("a", "b"), task("a", "b")) == []
    assert hindrances(SAME, {}, {}) == []


@pytest.mark.parametrize(
    ("diff", "why", "mend"),
    [
        (
            {
                "config": ["model.channels.1: 6 -> 8", "training.epochs: 1 -> 2"],
                "shapes": {"params.backbone.conv.kernel": ["float32[3, 3, 4, 6]", "float32[3, 3, 4, 8]"]},
            },
            "the backbone: 1 array of another shape (params.backbone.conv.kernel: [3, 3, 4, 8] there, "
            "[3, 3, 4, 6] here)",
            "as there: --set model.channels.1=8",
        ),
        (
            {
                "config": ['model.name: "a" -> "b c"'],
                "only_there": [f"params.backbone.{k}" for k in range(5)],
            },
            "the backbone: 5 arrays only there (params.backbone.0, params.backbone.1, params.backbone.2 and 2 more)",
            "as there: --set 'model.name=b c'",
        ),
        (
            {
                "config": ['head.type: "Linear" -> "LowRank"', "head.rank: null -> 8"],
                "only_here": ["params.head.kernel"],
                "only_there": ["params.head.u", "params.head.v"],
            },
            "the readout: 2 arrays only there (params.head.u, params.head.v), 1 array only here (params.head.kernel)",
            "another kind of part (head.type=LowRank there): train with the config there, RUN/config.py",
        ),
        (
            {"config": [], "only_there": ["params.head.kernel"]},
            "the readout: 1 array only there (params.head.kernel)",
            "the same data and targets as there, or its backbone alone: model.pretrained=RUN",
        ),
        (
            {"config": ["optimizer.momentum: null -> 0.9"], "only_there": ["opt_state.0.trace"]},
            "the optimizer's state: 1 array only there (opt_state.0.trace)",
            "as there: --set optimizer.momentum=0.9",
        ),
    ],
    ids=["width", "depth", "head", "missing head", "optimizer"],
)
def test_parts_that_differ_are_named_with_the_fields_that_make_them_so(diff, why, mend):
    assert hindrances(SAME | diff, {}, {}) == [(why, mend)]


def test_other_targets_classes_and_subjects_are_named():
    shapes = {"params.head.kernel": ["float32[5, 2]", "float32[5, 3]"]}
    (found,) = hindrances(SAME | {"shapes": shapes}, task("a", "b"), task("a", "c", "d"))
    assert found.why == "3 targets there, 2 here: only there c, d; only here b"
    assert "model.pretrained=RUN" in found.mend
    (found,) = hindrances(SAME, task("a", "b", kind="classification"), task("b", "a", kind="classification"))
    assert found.why == "2 classes there, 2 here: the same in another order"
    found = hindrances(SAME, task("s1/n0", "s1/n1"), task("s1/n0", "s2/n0"))
    assert found[1].why == "2 subjects there, 1 here: only there s2"
