"""Images/s, losses and bytes a device of the ways to lay a training over devices, each in a process of its own.

    python tools/layouts.py --devices 1 --devices 2 --devices 4 --json layouts.json
    python tools/layouts.py --devices 8 --parallel single --parallel fsdp --model resnet18 --targets 39548

Devices are XLA's of this CPU. Rounds alternate between the layouts, so that what else the machine does meets all alike;
images/s are those of the fastest round. Losses have to agree to 1e-4, and the bytes of "fsdp" to 5 % with a part.
"""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from bench_process import Worker, processor

CASES = {
    "resnet18": {"size": 64, "batch": 32, "targets": 1000},
    "shallow_cnn": {"size": 64, "batch": 64, "targets": 50},
    "vit_tiny": {"size": 64, "batch": 32, "targets": 1000},
}
LAYOUTS = ("single", "pmap", "data", "fsdp")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--devices", multiple=True, type=click.IntRange(1), default=(1, 2, 4), show_default=True)
@click.option(
    "--model", "models", multiple=True, type=click.Choice(list(CASES)), default=("resnet18", "shallow_cnn")
)
@click.option("--parallel", "layouts", multiple=True, type=click.Choice(LAYOUTS), default=LAYOUTS)
@click.option("--targets", type=click.IntRange(1), help="Targets of the readout, in place of the case's.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--remat", is_flag=True, help="With training.remat.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False))
def main(
    devices: tuple[int, ...],
    models: tuple[str, ...],
    layouts: tuple[str, ...],
    targets: int | None,
    rounds: int,
    remat: bool,
    json_path: Path | None,
) -> None:
    """Measure, print a line for each, and fail where losses or bytes are not what they have to be."""
    found = []
    click.echo(
        f"{processor()}\n{'model':<12} {'devices':>7} {'layout':<7} {'images/s':>9} {'MB a device':>12}  losses"
    )
    for model in models:
        case: dict[str, Any] = {"model": model, **CASES[model]} | ({"targets": targets} if targets else {})
        for count in devices:
            new = _measured(case, count, layouts, rounds, remat)
            found += new
            for one in new:
                losses = " ".join(f"{loss:.6f}" for loss in one["losses"])
                click.echo(
                    f"{model:<12} {count:>7} {one['parallel']:<7} {one['images_per_s']:>9.1f} "
                    f"{one['held'] / 1e6:>12.2f}  {losses}"
                )
            _check(new, count)
    if json_path:
        json_path.write_text(json.dumps({"processor": processor(), "found": found}, indent=1), "utf-8")


def _measured(
    case: dict[str, Any], count: int, layouts: tuple[str, ...], rounds: int, remat: bool
) -> list[dict[str, Any]]:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    with ExitStack() as stack:
        workers = []
        for parallel in layouts:
            training = {"parallel": parallel} | ({"remat": True} if remat else {})
            workers.append(
                stack.enter_context(
                    Worker("layouts_child.py", {**case, "training": training}, XLA_FLAGS=flags.strip())
                )
            )
        steps = max(round(2 / workers[0].ask("train", 2)["seconds"] * 2), 2)  # about two seconds a round
        seconds = [[worker.ask("train", steps)["seconds"] for worker in workers] for _ in range(rounds)]
    return [
        {**case, **worker.ready, "images_per_s": steps * case["batch"] / min(took)}
        for worker, took in zip(workers, zip(*seconds, strict=True), strict=True)
    ]


def _check(found: list[dict[str, Any]], count: int) -> None:
    """Raises ClickException."""
    first = found[0]["losses"]
    for one in found:
        if any(abs(a - b) > 1e-4 * abs(b) for a, b in zip(one["losses"], first, strict=True)):
            raise click.ClickException(
                f"{one['parallel']}: losses {one['losses']}, of {found[0]['parallel']} {first}"
            )
        parts = count if one["parallel"] == "fsdp" else 1
        if not one["held"] <= 1.05 * one["whole"] / parts:
            raise click.ClickException(
                f"{one['parallel']}: {one['held']} bytes on a device, of {one['whole']} in all"
            )


if __name__ == "__main__":
    main()
