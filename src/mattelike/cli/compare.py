"""``mattelike compare``: two methods on the same pictures."""

from __future__ import annotations

import click


@click.command(
    short_help="Compare two methods picture by picture.",
    epilog="""\
\b
mattelike compare report@embedded report@imagenet
mattelike compare report@embedded scores.csv --metric sad
""",
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--metric", multiple=True, help="Only these.")
@click.option("--all", "everything", is_flag=True, help="Pictures without the thing too.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
def command(first: str, second: str, metric: tuple[str, ...], everything: bool, seed: int) -> None:
    """Paired differences of A minus B: a report's folder or a table, with @METHOD where it holds several."""
    from mattelike.errors import UsageError
    from mattelike.evaluation import comparing, markdown
    from mattelike.evaluation.summary import figure

    (one, ours, metrics), (other, theirs, also) = comparing.side(first), comparing.side(second)
    chosen = [name for name in metrics if name in also and (not metric or name in metric)]
    unknown = [name for name in metric if name not in metrics]
    if unknown:
        raise UsageError(f"{first} has no metric {unknown[0]!r}; it has {', '.join(metrics)}")
    columns = ["metric", f"A: {one}", f"B: {other}", "A - B", "95 % interval", "A better on", "better"]
    lines = [markdown.row(columns), markdown.row(["---", *["---:"] * 5, "---"])]
    found = comparing.compared(ours, theirs, chosen, seed, absent=everything)
    for line in found:
        change = line.change
        within = f"{figure(change.low)} to {figure(change.high)}"
        better = {"first": "A", "second": "B", "open": "open"}[line.verdict]
        figures = [figure(line.one), figure(line.other), figure(change.mean), within]
        lines.append(markdown.row([line.metric, *figures, f"{line.won:.0%}", better]))
    click.echo("\n".join(lines))
    click.echo(f"{found[0].change.count} pictures that both have; groups are drawn, 2000 times", err=True)
