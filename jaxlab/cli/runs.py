"""`jaxlab runs`: what was trained, and what is being trained."""

from pathlib import Path

import click

from jaxlab.cli.arguments import example, registry_option, say


@click.command(
    epilog=example(
        "runs --sort pearson",
        "runs FOLDER --differences",
        then="jaxlab evaluate --pending",
    )
)
@click.argument("folder", type=click.Path(path_type=Path, readable=False), required=False)
@click.option(
    "--where", metavar="EXPRESSION",
    help="Only runs for which it holds: names of scores, of fields of the config, of what --json has.",
)  # fmt: skip
@click.option(
    "--sort", metavar="NAME", help="By a score, the best first, or by a field.  [default: the newest first]"
)
@click.option("--differences", is_flag=True, help="In which fields of their configs the runs differ.")
@click.option("--rescan", is_flag=True, help="Make the registry anew of the run directories.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@registry_option
def runs(
    folder: Path | None, where: str | None, sort: str | None, differences: bool, rescan: bool, as_json: bool
) -> None:
    """List the runs in FOLDER (default: runs) with their scores.

    The newest first, those of a study below it. EXPRESSION is such as "pearson > 0.6 and model = 'ResNet'". What a
    registry beside the runs has is shown; what it does not know is looked up in the run directories.
    """
    from jaxlab.core.remote.paths import fetched_folder
    from jaxlab.report import runs as report
    from jaxlab.runs.registry.listing import chosen, lines_of, opened

    registry, name = opened(folder and fetched_folder(folder), rescan, say)
    every = lines_of(registry, name)
    lines = chosen(every, where, sort)
    if as_json:
        click.echo(report.as_json(lines, differences))
        return
    if not lines:
        where_ = folder or "runs"
        click.echo(f"{where_}: none of the {len(every)} runs is such" if every else f"{where_}: no runs")
    elif differences:
        report.show_differences(report.console(), lines)
    else:
        report.show(report.console(), lines, sort, as_nested=where is None and sort is None)
