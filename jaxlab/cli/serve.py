"""`jaxlab serve`: a run behind HTTP."""

from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import (
    ANY_FIELD,
    CheckpointName,
    RunPath,
    example,
    prepare,
    say,
    set_fields,
    trust_config,
)
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError


@click.command(
    epilog=example(
        "serve runs/first",
        "serve runs/first --port 9000",
        then="curl -F image=@IMAGE http://127.0.0.1:8000/predict",
    )
)
@click.argument("run", type=RunPath())
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines ask, too.")
@set_fields(ANY_FIELD)
@click.option(
    "--checkpoint", type=CheckpointName(), help="best, last or a step.  [default: best; of folds, last]"
)
@click.option("--objective", metavar="NAME", help="Predict this one of several.  [default: the first]")
@click.option(
    "--batch", type=click.IntRange(1), default=16, show_default=True, help="Images predicted at a time."
)
@click.option("--max-mb", type=click.FloatRange(0.001), default=20, show_default=True, help="Of a request.")
@click.option("--max-images", type=click.IntRange(1), default=64, show_default=True, help="In a request.")
@click.option(
    "--max-megapixels", type=click.FloatRange(0.001), default=50, show_default=True, help="Of an image."
)
@trust_config
def serve(
    run: Path,
    port: int,
    host: str,
    settings: tuple[str, ...],
    checkpoint: Any,
    objective: str | None,
    batch: int,
    max_mb: float,
    max_images: int,
    max_megapixels: float,
) -> None:
    """Predict images that are sent to http://HOST:PORT.

    POST /predict takes one image as its body, or several in a form, and answers in JSON; GET / is a page to drop an
    image on, GET /about says what predicts. Of a run that answers questions about images, the form has these in fields
    called question. Ctrl-C, or SIGTERM, ends it once what is in hand is answered.
    """
    with without_collecting():
        try:
            import python_multipart  # noqa: F401
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        except ImportError as error:
            raise UserError(f'jaxlab serve needs {error.name}: pip install "jaxlab[serve]"') from None
        from jaxlab.runs.api import load
        from jaxlab.serving.limits import MEGA, Limits
        from jaxlab.serving.server import bound
        from jaxlab.serving.server import serve as serve_run
    sizes = {"request": round(max_mb * MEGA), "pixels": round(max_megapixels * MEGA)}
    room = {"waiting": max(256, 4 * max_images), "received": max(400 * MEGA, 4 * sizes["request"])}
    limits = Limits(**sizes, **room, images=max_images, batch=batch)
    with bound(host, port) as at:
        prepare()
        loaded = load(run, settings).predicting(objective)
        for warning in loaded.unfinished():
            say(warning)
        serve_run(loaded, checkpoint, limits, at, say)
