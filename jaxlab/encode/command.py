"""What `jaxlab features` does: an experiment's encoder, or its encoders, run over all of its data; a table of it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.core.words import counted
from jaxlab.data.device.augment import Normalize
from jaxlab.data.images import Images, first_readable
from jaxlab.data.levels import settled
from jaxlab.data.source import Opened, Source
from jaxlab.encode.cached import CachedFeatures
from jaxlab.encode.encoder import Dtype, Loaded, asked_layers
from jaxlab.encode.extract import FeatureSet, features, load_all
from jaxlab.encode.image import ImageEncoder, Pool
from jaxlab.heads import Head, build_network
from jaxlab.heads.base import ReadoutModule
from jaxlab.models.base import Model


def extract(
    data: Source,
    model: Model,
    images: Images,
    normalize: Normalize | None,
    heads: Sequence[Head],
    *,
    layers: str | None = None,
    pool: Pool | None = None,
    dtype: Dtype | None = None,
    console: Console | None = None,
) -> None:
    """Store the features that an experiment of these parts reads, of labelled and test samples, and print a table.

    layers: their names with commas between them, or "all"; default: those that the head reads. Data that are
    CachedFeatures have encoders of their own, which say all of it.
    Raises UserError for unknown layers, before anything is computed, and as `features`.
    """
    console = console or Console()
    if layers not in (None, "all") and not isinstance(data, CachedFeatures):
        _check_layers(layers, model, images)
    opened = data.open()
    log = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    if isinstance(data, CachedFeatures):
        if layers or pool or dtype:
            raise UserError(
                "--layers, --pool and --dtype: the config's CachedFeatures has encoders that say all of it; change "
                "them (--set 'data.encoders.0.layers=(\"block4\",)')"
            )
        asked = [one.images.levels for one in data.encoders if isinstance(one, ImageEncoder)]
        encoders = load_all(data.encoders, settled(opened, asked, log))
    else:
        first = first_readable(opened.train, np.arange(len(opened.train)))
        levels = images.levels or settled(opened, [images.levels], log)
        sized = replace(images, size=images.size or first.shape[:2], levels=levels)
        plain = ImageEncoder(
            model=model, images=sized, normalize=normalize, pool=pool or "none", dtype=dtype or "float32"
        )
        encoders = (_with_layers(plain.load(), layers, heads, opened),)
    for encoder in encoders:
        log(f"encoder {encoder.about}")
    splits = {"labelled": opened.train, "test": opened.test}
    for name, samples in splits.items():
        if samples is not None:
            found = features(encoders, samples)
            console.print(_table(f"{name}: {counted(len(samples), 'sample')}", found))
            for folder in dict.fromkeys(kept.folder.path for kept in found.kept.values()):
                console.print(str(folder), highlight=False, markup=False, soft_wrap=True)


def _check_layers(layers: str, model: Model, images: Images) -> None:
    """Raises UserError for layers that the model has not, before data are opened; nothing is computed."""
    height, width = images.size or (224, 224)  # layers have the same names at any size
    blank = jax.ShapeDtypeStruct((1, height, width, images.channels), "float32")
    names: list[str] = []

    def traced(image: Any) -> None:
        names.extend(model.build(images.channels, nnx.Rngs(0))(image, EVALUATION))

    nnx.eval_shape(traced, blank)
    asked_layers(
        ImageEncoder(model=model, images=Images(size=(height, width)), layers=_named(layers)),
        dict.fromkeys(names, ()),
    )


def _named(layers: str) -> tuple[str, ...]:
    return tuple(layers.replace(" ", "").split(","))


def _with_layers(encoder: Loaded, layers: str | None, heads: Sequence[Head], opened: Opened) -> Loaded:
    if layers is None:
        read = {layer for head in heads for layer in read_by(head, encoder, opened.targets)}
        chosen = tuple(layer for layer in encoder.shapes if layer in read)
    else:
        chosen = tuple(encoder.shapes) if layers == "all" else _named(layers)
    if not chosen:
        raise UserError(
            "--layers: the config's head reads no layer by its name, so say which to keep (or `all`)"
        )
    encoder = replace(encoder, config=replace(encoder.config, layers=chosen))
    asked_layers(encoder.config, encoder.shapes)  # raises where one is unknown
    return encoder


def read_by(head: Head, encoder: Loaded, targets: Sequence[str]) -> tuple[str, ...]:
    """The layers of `encoder` that `head` reads, in the network's order. Raises UserError where one is unknown."""
    config: Any = encoder.config
    shape = (*config.images.size, config.images.channels)
    network = nnx.eval_shape(
        lambda: build_network(config.model, head, shape, tuple(targets), initial_rngs(0))
    )
    read = {
        name
        for _, module in nnx.iter_graph(network.head)
        if isinstance(module, ReadoutModule)
        for name in module.names
    }
    return tuple(layer for layer in encoder.shapes if layer in read)


def _table(title: str, found: FeatureSet) -> Table:
    table = Table(title=Text(title, "table.title"), title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in ("layer", "shape", "dtype"):
        table.add_column(name, no_wrap=True)
    for name in ("MB", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("file", overflow="fold")
    for name, kept in found.kept.items():
        shape = " x ".join(map(str, kept.layer.shape[1:]))
        seconds = "cached" if kept.seconds is None else f"{kept.seconds:.1f}"
        megabytes = f"{kept.layer.nbytes / 1e6:,.1f}"
        table.add_row(Text(name), shape, kept.layer.dtype, megabytes, seconds, Text(kept.layer.file))
    return table
