"""``mattelike matte --only``: some photos of the last run once more, with further references."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from mattelike.batch.finding import real
from mattelike.batch.jobs import RESULTS, Job, Task
from mattelike.batch.journal import Journal
from mattelike.batch.last import LastRun
from mattelike.batch.names import output_names
from mattelike.batch.plan import Plan
from mattelike.batch.storage import is_url
from mattelike.cli import options
from mattelike.cli.asked import Given
from mattelike.cli.running import carried_out, engine_for, finished, tell_device
from mattelike.cli.sought import reference, sought

# What belongs to a run as it was asked for: it is repeated and cannot be changed.
_OF_THE_RUN = frozenset(
    (
        *("emit", "only_mask", "background", "crop", "largest", "instances", "first", "suffix"),
        *("refine", "refiner"),
        *(
            "keep_absent",
            "keep_hidden",
            "gray",
            "ignore_alpha",
            "unpremultiply",
            "allow_truncated",
            "strip",
            "max_pixels",
        ),
        *("existing", "watch", "follow_links", "all_frames", "dry_run", "like"),
    )
)


def again(given: Given, typed: set[str]) -> int:
    """Does some photos of the last run again, with further references."""
    changed = sorted(typed & _OF_THE_RUN)
    if changed:
        option = changed[0].replace("_", "-").replace("as-json", "json").replace("suffix", "format")
        raise click.UsageError(f"--only does photos again as the last run did; leave --{option} out")
    kinds = {kind.strip() for kind in given["only"].split(",")}
    if not kinds <= set(RESULTS):
        raise click.UsageError(f"--only takes {', '.join(RESULTS)}, not {given['only']!r}")
    out = Path(given["output"])
    last = LastRun.load(out)
    marked = reference(given["more_like"], None, given) if given["more_like"] else None
    if marked is None and options.prompt(given) is not None:
        raise click.UsageError("which photo are the marks on? name it with --more-like PHOTO")
    with Journal(out) as journal:
        journal.sweep()
        tasks = _tasks_again(given, kinds, last, journal)
        if not tasks:
            click.echo(f"nothing to do: no photo was {' or '.join(sorted(kinds))}", err=True)
            return 0
        looked_for = sought(given["contexts"], marked, given, base=last.context)
        replace(last, context=looked_for.context).save(out)
        # The key stays that of the last run: repeating that run leaves what was bettered by hand as it is.
        job = Job((), looked_for.context, last.settings, out, last.base, sheet=not given["no_sheet"])
        tell_device(given, looked_for.predictor)
        with closing(engine_for(given, looked_for, len(tasks))) as engine:
            summary = carried_out({**given, "existing": "overwrite"}, job, Plan(out, tasks), engine, journal)
        return finished(given, summary, journal, job)


def _tasks_again(given: Given, kinds: set[str], last: LastRun, journal: Journal) -> tuple[Task, ...]:
    known = [outcome for outcome in journal.outcomes() if outcome.result in kinds and outcome.stem]
    sources = {outcome.source: journal.source(outcome.source) for outcome in known}
    wanted = {real(name) for name in given["photos"]}
    return tuple(
        Task(
            _shown(sources[outcome.source]),
            outcome.stem,
            output_names(outcome.stem, last.settings.emit, last.suffix),
            frame=outcome.frame,
        )
        for outcome in known
        if outcome.source != "-" and (not wanted or real(sources[outcome.source]) in wanted)
    )


def _shown(source: str) -> str:
    """A photo as it can be typed here."""
    return source if is_url(source) else os.path.relpath(source)
