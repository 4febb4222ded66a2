"""What ``mattelike matte`` does: settings and plan first, then the model, then the photos."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from mattelike import photos
from mattelike.batch.jobs import Engine, Job, Settings, base_key
from mattelike.batch.journal import Journal, known_outputs
from mattelike.batch.last import LastRun
from mattelike.batch.plan import Plan, plan_file, plan_folder
from mattelike.batch.storage import is_url
from mattelike.batch.stored import StoredJournal
from mattelike.batch.watch import Watcher
from mattelike.cli import options
from mattelike.cli.again import again
from mattelike.cli.asked import Given, located, refuse_jpeg, settings_of
from mattelike.cli.progress import failure, printable, tell_notes
from mattelike.cli.running import carried_out, engine_for, finished, tell_device, tell_end
from mattelike.cli.sought import Reference, Sought, reference, sought, standard_input
from mattelike.errors import OutputError, UsageError


def matting(given: Given, typed: set[str]) -> int:
    """Does what the options say.

    Args:
        given: Values of all options, by name.
        typed: Names of those that were typed.

    Returns:
        The exit code.
    """
    if given["more_like"] and not given["only"]:
        raise click.UsageError("--more-like adds a reference for --only; the first one is --like")
    given = located(given)
    if given["only"]:
        return again(given, typed)
    settings = settings_of(given)
    out = Path(given["output"])
    if given["output"] == "-":
        return _to_stdout(given, settings)
    if is_url(given["output"]):
        refuse_jpeg(settings, given["suffix"])
        return _to_store(given, settings, given["output"])
    if out.suffix.lower() in photos.WRITTEN_SUFFIXES and not out.is_dir():
        return _to_file(given, settings, out)
    refuse_jpeg(settings, given["suffix"])
    return _to_folder(given, settings, out)


# --- one photo ---------------------------------------------------------------------------------------


def _to_stdout(given: Given, settings: Settings) -> int:
    if given["as_json"]:
        raise click.UsageError("--json and -o - both want standard output; choose one")
    if settings.instances:
        raise click.UsageError("--instances makes several files; standard output is one")
    suffix = f".{given['suffix']}"
    only = replace(settings, emit=settings.emit[:1])
    refuse_jpeg(only, suffix)
    with tempfile.TemporaryDirectory(prefix="mattelike-") as folder:
        target = Path(folder) / f"result{suffix}"
        code = _to_file(given, only, target, silent=True)
        if target.is_file():
            sys.stdout.buffer.write(target.read_bytes())
    return code


def _to_file(given: Given, settings: Settings, target: Path, *, silent: bool = False) -> int:
    named = given["photos"]
    if len(named) != 1 or Path(named[0]).is_dir():
        raise UsageError(
            f"{target.name} is one file, but {len(named)} photos or folders are named; give a folder with -o"
        )
    for option in ("watch", "all_frames"):
        if given[option]:
            raise click.UsageError(f"--{option.replace('_', '-')} needs a folder with -o")
    refuse_jpeg(replace(settings, emit=settings.emit[:1]), target.suffix)
    plan = plan_file(named[0], target, settings)
    if os.path.realpath(named[0]) == os.path.realpath(target):
        raise UsageError(f"{target} is the photo itself; write the result somewhere else")
    if given["dry_run"]:
        return _dry(plan, given)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target.parent}: cannot be made ({error.strerror or error})") from error
    plan, marked = _with_input(plan, given)
    looked_for = sought(given["contexts"], marked, given)
    plan = _with_glance(plan, looked_for)
    tell_device(given, looked_for.predictor)
    base = _base(looked_for, settings)
    job = Job((), looked_for.context, settings, plan.out, base, sheet=False)
    # A photo is one task: a process of its own for it, if it has a limit, and never a cluster.
    with closing(engine_for({**given, "workers": 1, "engine": "local"}, looked_for, 1)) as engine:
        summary = carried_out(given, job, plan, engine, None)
    tell_end(given, summary, None if silent else target)
    return summary.exit_code


def _base(looked_for: Sought, settings: Settings) -> str:
    return base_key(looked_for.context, looked_for.identity, settings, looked_for.predictor.card.settings)


# --- a folder ----------------------------------------------------------------------------------------


def _to_folder(given: Given, settings: Settings, out: Path) -> int:
    plan = _plan(given, settings, out, known_outputs(out))
    if given["dry_run"]:
        return _dry(plan, given)
    if not given["watch"]:
        _refuse_nothing(plan, given)
    with Journal(out) as journal:
        journal.sweep()
        plan, marked = _with_input(plan, given)
        looked_for = sought(given["contexts"], marked, given)
        plan = _with_glance(plan, looked_for)
        base = _base(looked_for, settings)
        LastRun(looked_for.context, base, settings, f".{given['suffix']}").save(out)
        job = Job((), looked_for.context, settings, out, base, sheet=not given["no_sheet"])
        tell_device(given, looked_for.predictor)
        _tell_notes(given, plan.notes)
        with closing(engine_for(given, looked_for, 0 if given["watch"] else len(plan.tasks))) as engine:
            if given["watch"]:
                return _watched(given, job, engine, journal)
            summary = carried_out(given, job, plan, engine, journal)
        return finished(given, summary, journal, job)


def _to_store(given: Given, settings: Settings, store: str) -> int:
    """As `_to_folder`, for a folder of an object store: without a page, whose pictures would be elsewhere."""
    with (
        tempfile.TemporaryDirectory(prefix="mattelike-") as folder,
        StoredJournal(Path(folder), store) as journal,
    ):
        plan = _plan(given, settings, journal.out, journal.outputs(), store)
        if given["dry_run"]:
            return _dry(plan, given)
        _refuse_nothing(plan, given)
        plan, marked = _with_input(plan, given)
        looked_for = sought(given["contexts"], marked, given)
        plan = _with_glance(plan, looked_for)
        base = _base(looked_for, settings)
        job = Job((), looked_for.context, settings, journal.out, base, sheet=False, store=store)
        tell_device(given, looked_for.predictor)
        _tell_notes(given, plan.notes)
        with closing(engine_for(given, looked_for, len(plan.tasks))) as engine:
            summary = carried_out(given, job, plan, engine, journal)
        return finished(given, summary, journal, job)


def _refuse_nothing(plan: Plan, given: Given) -> None:
    if not plan.tasks:
        reasons = [failure(outcome) for outcome in plan.failed] or [
            f"no photos in {', '.join(given['photos'])}"
            if given["photos"]
            else "which photos? name files or folders"
        ]
        raise UsageError("; ".join(reasons[:3]))


def _plan(given: Given, settings: Settings, out: Path, ours: set[str], store: str = "") -> Plan:
    plan = plan_folder(
        given["photos"],
        out,
        settings,
        suffix=f".{given['suffix']}",
        ours=ours,
        follow_links=given["follow_links"],
        all_frames=given["all_frames"],
        store=store,
    )
    return plan if given["first"] is None else replace(plan, tasks=plan.tasks[: given["first"]])


def _with_input(plan: Plan, given: Given) -> tuple[Plan, Reference | None]:
    """The plan and the marked reference, with standard input read for whichever of them wants it."""
    data = standard_input() if "-" in (*given["photos"], given["like"]) else None
    tasks = tuple(replace(task, data=data) if task.source == "-" else task for task in plan.tasks)
    plan = replace(plan, tasks=tasks)
    if given["like"]:
        return plan, reference(given["like"], data if given["like"] == "-" else None, given)
    if options.prompt(given) is None:
        return plan, None
    if given["contexts"] or len(plan.tasks) != 1 or given["watch"]:
        raise UsageError("which photo are the marks on? name it with --like PHOTO")
    task = plan.tasks[0]
    return plan, reference(task.source, task.data, given, itself=True)


def _with_glance(plan: Plan, looked_for: Sought) -> Plan:
    """The plan, where its photo is its own reference and was looked at for that, with the answer to it."""
    if looked_for.seen is None:
        return plan
    predictor, context = looked_for.predictor, looked_for.context
    glance = predictor.glance(looked_for.seen, context)
    return replace(plan, tasks=tuple(replace(task, glance=glance) for task in plan.tasks))


def _watched(given: Given, job: Job, engine: Engine, journal: Journal) -> int:
    """Does photos as they arrive, until interrupted."""
    watcher, code = Watcher(), 0
    if not given["quiet"]:
        click.echo(f"watching {', '.join(map(printable, given['photos']))}; Ctrl-C ends it", err=True)
    while True:
        try:
            plan = watcher.arrived(_plan(given, job.settings, job.out, known_outputs(job.out)))
            if not plan.tasks:
                time.sleep(1.0)
                continue
        except KeyboardInterrupt:
            return 130
        summary = carried_out(given, job, plan, engine, journal)
        code = finished(given, summary, journal, job)
        if summary.interrupted or summary.fatal:
            return code


def _dry(plan: Plan, given: Given) -> int:
    """Shows a plan on standard output and does nothing."""
    for task in plan.tasks:
        paths = [plan.where(name) for _, name in task.outputs]
        if given["as_json"]:
            click.echo(json.dumps({"source": task.source, "outputs": paths}))
        else:
            click.echo(f"{printable(task.source)} -> {', '.join(map(printable, paths))}")
    for outcome in plan.failed:
        click.echo(f"failed: {failure(outcome)}", err=True)
    _tell_notes(given, plan.notes)
    return 1 if plan.failed else 0


def _tell_notes(given: Given, notes: tuple[str, ...]) -> None:
    if not given["quiet"]:
        tell_notes(notes)
