"""Members that know other classes are combined by the names of these; what one does not know is nothing to it."""

import numpy as np
from click.testing import CliRunner
from scipy.special import softmax

from submit import Predictions
from submit.cli.main import main

ONE = Predictions(["q1", "q2"], np.array([[2.0, 1, 0], [0, 0, 3]]), ["yes", "no", "red"], "logits")
TWO = Predictions(["q2", "q1"], np.array([[0.2, 0.8], [0.9, 0.1]]), ["blue", "no"], "probabilities")


def run(folder, *options: str):
    files = [str(one.save(folder / f"{number}.npz")) for number, one in enumerate((ONE, TWO))]
    return CliRunner().invoke(main, ["ensemble", *files, "--out", str(folder / "both.npz"), *options])


def test_a_class_that_a_member_does_not_know_has_no_probability_from_it(tmp_path):
    """By hand with scipy's softmax: columns yes, no, red, blue."""
    said = run(tmp_path, "--classes", "union")
    assert said.exit_code == 0, said.output
    assert "the members know 3, 2 classes, of which 1 are the same: together 4" in said.output
    found = Predictions.load(tmp_path / "both.npz")
    assert found.targets.tolist() == ["yes", "no", "red", "blue"]
    first = np.c_[softmax(ONE.values, 1), np.zeros(2)]
    second = np.array([[0, 0.1, 0, 0.9], [0, 0.8, 0, 0.2]])
    np.testing.assert_allclose(found.values, (first + second) / 2, rtol=1e-6)


def test_without_the_option_they_are_refused_and_it_is_named(tmp_path):
    said = run(tmp_path)
    assert said.exit_code == 1
    assert "With --classes union (python -m submit ensemble) members may know other classes" in said.output
    said = run(tmp_path, "--classes", "union", "--method", "rank")
    assert "--classes goes with --method mean" in said.output
