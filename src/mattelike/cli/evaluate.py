"""``mattelike evaluate``: methods on a benchmark, as a table, a report and a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mattelike.cli import options


@click.command(
    short_help="Measure methods on a benchmark.",
    epilog="""\
\b
python recipes/mini_benchmark.py mini                  the public mini benchmark, built on the spot
mattelike evaluate mini -m embedded -m imagenet -m nearest -o report
mattelike evaluate perseg:/data/PerSeg -m embedded --protocol icm-768 -o report
mattelike evaluate mini -m remover:name=IS-Net,file=isnet.onnx,shape=isnet -o report
mattelike evaluate mini --methods recipes/methods/others.toml -o report
""",
)
@click.argument("benchmark")
@click.option(
    "--method", "-m", "typed", multiple=True, metavar="NAME[:KEY=VALUE,...]", help="Who answers; may repeat."
)
@click.option("--methods", "listed", multiple=True, type=options.FILE, help="A TOML list of methods.")
@click.option("--output", "-o", required=True, type=click.Path(file_okay=False), help="Folder of the report.")
@click.option(
    "--protocol", default="native", show_default=True, metavar="native|icm-768", help="Geometry and size."
)
@click.option(
    "--form",
    default="mask",
    show_default=True,
    metavar="FORM",
    help="How references are marked: mask, jittered, click, clicks, scribble or box.",
)
@click.option(
    "--references", type=click.IntRange(1), default=1, show_default=True, help="References of a question."
)
@click.option(
    "--choices", type=click.IntRange(1), default=1, show_default=True, help="Choices of reference to try."
)
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Rounds of simulated marks."
)
@click.option("--own", is_flag=True, help="Every picture carries its own mark, in place of a reference.")
@click.option("--reference-list", type=options.FILE, help='JSON {"group": ["name", ...]} of references.')
@click.option("--groups", type=options.FILE, help="Table name,group, for data published without groups.")
@click.option("--alphas", type=click.Path(file_okay=False), help="Folder of edited alphas.")
@click.option("--region", type=click.Choice(["all", "unknown"]), default="all", show_default=True)
@click.option("--conn", type=click.Choice(["standard", "release"]), default="standard", show_default=True)
@click.option("--float", "floats", is_flag=True, help="Measure floats, not what 8-bit files would hold.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of simulated marks.")
@click.option("--overwrite", is_flag=True, help="Begin anew whatever is in the folder.")
@click.option("--device", default="auto", metavar="auto|cpu|cuda|coreml", help="Where to run models.")
@click.option("--threads", type=click.IntRange(1), help="Threads they may use; all cores by default.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def command(**given: Any) -> int:
    """Ask methods every question of BENCHMARK: a table, a folder of groups, or LAYOUT:PATH.

    Layouts: icm-57, aim-500, perseg, fss-1000, davis, clips, folders, csv, json. A run that was stopped
    goes on where it was when the same command is given again.
    """
    import sys

    from mattelike.evaluation import report
    from mattelike.evaluation.run import evaluate

    evaluation = _asked(given)
    found = evaluate(evaluation, None if given["quiet"] else _Teller(evaluation))
    summary = report.write(evaluation, found, ["mattelike", *sys.argv[1:]])
    _told(given, summary, evaluation)
    return 1 if any(summary.failed.values()) else 0


def _asked(given: dict[str, Any]) -> Any:
    """The evaluation that was asked for; methods are loaded last, when all else is known to make sense."""
    from mattelike import baselines
    from mattelike.evaluation import benchmarks, layouts, naming, protocols, questions
    from mattelike.evaluation.run import Evaluation

    protocol = protocols.named(
        given["protocol"],
        form=given["form"],
        references=given["references"],
        choices=given["choices"],
        rounds=given["rounds"],
        own=given["own"],
        region=given["region"],
        conn=given["conn"],
        seed=given["seed"],
        depth=0 if given["floats"] else 8,
    )
    named = [naming.typed(text) for text in given["typed"]]
    for path in given["listed"]:
        named += naming.listed(Path(path))
    named = naming.distinct(named)
    extra = layouts.Extra(*(Path(p) if p else None for p in (given["groups"], given["alphas"])))
    bench = benchmarks.opened(given["benchmark"], extra)
    fixed = questions.listed(Path(given["reference_list"])) if given["reference_list"] else None
    methods = {
        method.label: baselines.load(
            method.use, device=given["device"], threads=given["threads"], **method.options
        )
        for method in named
    }
    folder = Path(given["output"])
    return Evaluation(bench, protocol, methods, folder, fixed, given["overwrite"], bench.fingerprint())


class _Teller:
    """A line a method, counting up; and one for every failure."""

    def __init__(self, evaluation: Any) -> None:
        self._counts = dict.fromkeys(evaluation.methods, 0)
        self._seconds = dict.fromkeys(evaluation.methods, 0.0)

    def __call__(self, row: Any, seconds: float) -> None:
        from mattelike.cli.progress import printable

        self._counts[row.method] += 1
        self._seconds[row.method] += seconds
        count, mean = self._counts[row.method], self._seconds[row.method] / self._counts[row.method]
        if row.error:
            click.echo(f"{row.method}, {printable(row.target)}: {printable(row.error)}", err=True)
        elif count % 10 == 0 or count == 1:
            click.echo(f"{row.method}: {count} answers, {mean:.2f} s each", err=True)


def _told(given: dict[str, Any], summary: Any, evaluation: Any) -> None:
    from mattelike.evaluation import markdown

    if not given["quiet"]:
        helps = {name: method.help for name, method in evaluation.methods.items()}
        click.echo("\n".join(markdown.table(summary.parts[0], helps)))
        click.echo(f"report: {evaluation.folder / 'index.html'}", err=True)
