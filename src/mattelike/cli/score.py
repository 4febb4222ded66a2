"""``mattelike score``: any folder of mattes against their truths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command(
    short_help="Score a folder of mattes against their truths.",
    epilog="""\
\b
mattelike score their-mattes/ truths/
mattelike score their-mattes/ truths/ --trimaps trimaps/ --region unknown -o scores.csv
mattelike score their-clips/ truths/ --clips           a folder a clip, a file a frame
mattelike compare scores.csv report@embedded
""",
)
@click.argument("predictions", metavar="PRED", type=click.Path(exists=True))
@click.argument("truths", metavar="GT", type=click.Path(exists=True))
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="Table, one line a picture.")
@click.option("--name", help="What to call the method; the name of PRED by default.")
@click.option("--region", type=click.Choice(["all", "unknown"]), default="all", show_default=True)
@click.option("--trimaps", type=click.Path(exists=True, file_okay=False), help="Folder of trimaps.")
@click.option("--conn", type=click.Choice(["standard", "release"]), default="standard", show_default=True)
@click.option("--clips", is_flag=True, help="Folders are clips: dtSSD and MESSDdt between frames as well.")
@click.option("--strict", is_flag=True, help="Fail when a picture has no partner, on either side.")
def command(**given: Any) -> int:
    """Score every matte in PRED against the one of the same name in GT; sizes must agree.

    A cut-out is read by its transparency, everything else by its first channel, 8 or 16 bits.
    """
    from mattelike.errors import UsageError
    from mattelike.evaluation import markdown, rows, scoring, summary
    from mattelike.evaluation.protocols import MEASURED, named
    from mattelike.evaluation.steadiness import STEADY

    found = scoring.paired(Path(given["predictions"]), Path(given["truths"]))
    for what, names in (("has no prediction", found.missing), ("has no truth", found.extra)):
        if names:
            click.echo(f"{len(names)} x {what}: {scoring.listing(names)}", err=True)
    if given["strict"] and (found.missing or found.extra):
        raise UsageError("pictures without a partner, and --strict")
    label = given["name"] or Path(given["predictions"]).stem
    protocol = named("native", region=given["region"], conn=given["conn"])
    trimaps = Path(given["trimaps"]) if given["trimaps"] else None
    scored = scoring.scored(found, label, protocol, trimaps, clips=given["clips"])
    metrics = (*MEASURED, *STEADY) if given["clips"] else MEASURED
    if given["output"]:
        rows.write(Path(given["output"]), scored, metrics)
    for part in summary.summed(scored, metrics).parts:
        if any(estimate.count for figures in part.figures.values() for estimate in figures):
            click.echo("\n".join([f"{part.title}:", "", *markdown.table(part, {}), ""]))
    return 0
