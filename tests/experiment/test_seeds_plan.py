"""The plan of seeds: which experiments it names, what it refuses, and that more seeds are the same study."""

import json

import pytest

from jaxlab.core.config import from_json, identity, short_hash, to_json
from jaxlab.core.types import UserError
from jaxlab.data import Gestures, Images, KFold, RandomSplit
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.experiment import Experiment, Folds, Seeds
from jaxlab.experiment.folds import in_folds
from jaxlab.experiment.seeds import over_seeds
from jaxlab.experiment.study import innermost, rewritten
from jaxlab.experiment.trial import trial, unnamed
from jaxlab.models import LeNet5


def test_each_variant_has_the_next_seed_and_the_same_split():
    study = Seeds(experiment=Experiment(seed=4, split=RandomSplit(seed=9)), seeds=3)
    variants = study.variants()
    assert {name: one.seed for name, one in variants.items()} == {"seed4": 4, "seed5": 5, "seed6": 6}
    assert {one.split.seed for one in variants.values()} == {9}
    assert study.title(2) == "seed 6 (3 of 3)"
    assert from_json(json.loads(json.dumps(to_json(study)))) == study


def test_further_fields_take_the_seed():
    study = Seeds(experiment=Experiment(data=Gestures()), seeds=2, vary=("split.seed", "data.seed"))
    last = study.variants()["seed1"]
    assert (last.seed, last.split.seed, last.data.seed) == (1, 1, 1)


def test_seeds_of_folds_vary_the_experiment_within():
    study = over_seeds(in_folds(Experiment(), 3), 2)
    assert isinstance(study.experiment, Folds)
    assert [innermost(one).seed for one in study.variants().values()] == [0, 1]
    assert in_folds(Seeds(seeds=2), 3).experiment.folds == 3
    assert in_folds(study, 4).experiment.folds == 4
    assert innermost(rewritten(study, lambda one: one.overridden(["limit=9"]))).limit == 9
    assert study.overridden(["training.batch_size=8"]).experiment.experiment.training.batch_size == 8


def test_more_seeds_are_the_same_study():
    few, many = Seeds(seeds=5), Seeds(seeds=20)
    assert identity(few) == identity(many)
    assert short_hash(few) == short_hash(many) != short_hash(Seeds(vary=("split.seed",)))
    assert over_seeds(few, 20) == many
    assert over_seeds(Experiment(), None) == Experiment()


def test_a_trial_and_a_smoke_test_have_two_seeds():
    study = Seeds(experiment=Experiment(data=Gestures()), seeds=9, vary=("data.seed", "split.seed"))
    assert (study.smoke().seeds, study.smoke().experiment.training.steps) == (2, 2)
    small = trial(study, lambda line: None)
    assert (small.seeds, small.vary, small.experiment.training.epochs) == (2, study.vary, 2)
    within = Seeds(experiment=Experiment(split=KFold()), vary=("split.fold",), seeds=2)
    assert within.of(Experiment()).vary == ()
    assert unnamed(study) is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Seeds(seeds=0), "Seeds.seeds: expected 1 to 10,000, found 0"),
        (lambda: Seeds(seeds=10**30), "expected 1 to 10,000, found 1000"),
        (
            lambda: Seeds(experiment=Experiment(seed=2**32 - 3)),
            "expected seeds below 2..32, found 5 from 42949",
        ),
        (lambda: Seeds(vary=("split.sed",)), "Seeds.vary: split.sed=0: RandomSplit has no field 'sed'"),
        (lambda: Seeds(vary=("seed",)), "expected fields beside seed"),
        (
            lambda: over_seeds(Experiment(), None, ("split.seed",)),
            "--vary split.seed: expected --seeds N too",
        ),
        (
            lambda: Seeds(
                experiment=Ridge(encoders=(ImageEncoder(model=LeNet5(grid=1), images=Images(size=(32, 32))),))
            ),
            r"or Folds of one, found Ridge\(\.\.\.\), in which nothing is drawn by a seed",
        ),
    ],
)
def test_what_has_no_seeds_is_refused(make, says):
    with pytest.raises(UserError, match=says):
        make()
