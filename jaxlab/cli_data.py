"""`jaxlab data ...`: commands about the data alone."""

import click


@click.group()
def data() -> None:
    """Prepare and examine data."""
