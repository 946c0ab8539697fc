"""Modules under the names that they had in jaxlab 0.1, which config files and runs of then import."""

from submit.aliases import Aliases

MOVED = {
    "jaxlab.config": "jaxlab.core.config",
    "jaxlab.types": "jaxlab.core.types",
    "jaxlab.tree": "jaxlab.core.tree",
    "jaxlab.rng": "jaxlab.core.rng",
    "jaxlab.norm": "jaxlab.nn.norm",
    "jaxlab.folds": "jaxlab.experiment.folds",
    **{f"jaxlab.models.{name}": f"jaxlab.nn.{name}" for name in ("attention", "convolution", "layers", "positions")},
    **{f"jaxlab.data.{name}": f"jaxlab.data.device.{name}" for name in ("augment", "channels", "mix")},
    "jaxlab.data.files": "jaxlab.data.readers.image_files",
    "jaxlab.data.quickstart": "jaxlab.data.sources.kaggle_or_simulated",
    **{
        f"jaxlab.data.{name}": f"jaxlab.data.sources.{name}"
        for name in (
            "algonauts", "arrays", "easyvqa", "folders", "masks", "mnist", "nx414", "sensorium", "simulated", "table",
            "tfds", "vqa",
        )
    },
}  # fmt: skip

moved = Aliases(MOVED)
