"""The tiny experiment in three phases: the head alone, then level2 from step 5, then level1 from step 8."""

from dataclasses import replace

from tiny_config import experiment as tiny

from jaxlab.optim import FineTune, Freeze, Rate

experiment = replace(
    tiny,
    finetune=FineTune(
        rules=(
            Freeze(through="level1", until_epoch=2),
            Freeze(through="level2", until_epoch=1.25),
            Rate(pattern="bias$", factor=2.0),
        ),
        layer_decay=0.5,
    ),
)
