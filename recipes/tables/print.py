"""One of the paper's tables 2 to 8, run here: our numbers beside the printed ones.

python recipes/tables/print.py 4 --data ICM-57=icm-57:/data/ICM57 -o runs/table4

``--set source=FOLDER`` gives IconMatting its diffusion model. ``--ours METHOD`` puts another method in its
place, such as ``embedded``; ``--data NAME=mini`` runs a table on any benchmark, whose numbers then do not
compare with the printed ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import click

from mattelike.cli.options import model_options
from mattelike.errors import MattelikeError, UsageError
from mattelike.evaluation import benchmarks, layouts, naming, tables
from mattelike.evaluation.benchmarks import Benchmark
from mattelike.evaluation.tables import Experiment

HERE = Path(__file__).parent


def main() -> None:
    """Runs what can run, prints the table, writes it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=int, choices=range(2, 9))
    parser.add_argument("--data", action="append", default=[], metavar="NAME=BENCHMARK")
    parser.add_argument("--groups", type=Path, help="table of groups, for AIM-500")
    parser.add_argument("--alphas", type=Path, help="edited alphas, for AIM-500")
    parser.add_argument("--ours", metavar="NAME[:KEY=VALUE,...]", help="in the place of IconMatting")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("-o", "--output", type=Path, help="folder; runs/table<N> by default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    experiment = tables.load(HERE / f"table{given.table}.toml")
    if given.ours:
        method = naming.typed(given.ours)
        experiment = tables.replaced(experiment, method.use, method.options)
    experiment = tables.changed(experiment, model_options(tuple(given.changes)))
    extra = layouts.Extra(given.groups, given.alphas)
    data = dict(_opened(text, experiment, extra) for text in given.data)
    folder = given.output or Path("runs") / f"table{given.table}"
    found = tables.run(
        experiment,
        data,
        folder,
        device=given.device,
        threads=given.threads,
        tell=lambda line: print(line, file=sys.stderr),
    )
    written = tables.text(experiment, found)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(written, encoding="utf-8")
    print(written, end="")


def _opened(text: str, experiment: Experiment, extra: layouts.Extra) -> tuple[str, Benchmark]:
    name, equals, place = text.partition("=")
    if not equals or not place:
        raise UsageError(f"--data takes NAME=BENCHMARK, not {text!r}")
    names = sorted({line.bench for line in experiment.lines})
    if name not in names:
        raise UsageError(f"table {experiment.table} has no data {name!r}; it is of {', '.join(names)}")
    return name, benchmarks.opened(place, extra)


if __name__ == "__main__":
    try:
        main()
    except (MattelikeError, click.UsageError) as error:
        sys.exit(f"print: {error}")
