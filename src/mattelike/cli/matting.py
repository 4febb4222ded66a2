"""What ``mattelike matte`` does: settings and plan first, then the model, then the photos."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from mattelike import photos
from mattelike.batch.jobs import RESULTS, Engine, Job, Outcome, Settings, Task, base_key, is_colour
from mattelike.batch.journal import Journal, known_outputs
from mattelike.batch.last import LastRun
from mattelike.batch.local import LocalEngine
from mattelike.batch.names import output_names
from mattelike.batch.plan import Plan, plan_file, plan_folder
from mattelike.batch.run import Existing, Summary, carry_out
from mattelike.batch.sheet import write_sheet
from mattelike.batch.watch import Watcher
from mattelike.batch.workers import WorkersEngine
from mattelike.cli import options
from mattelike.cli.progress import Progress, failure, printable, summary_line, tell_notes
from mattelike.cli.sought import Reference, Sought, reference, sought, standard_input
from mattelike.errors import OutputError, UsageError
from mattelike.mattes import EMITS, Emit
from mattelike.predictor import Predictor

Given = Mapping[str, Any]

# What belongs to a run as it was asked for; `--only` repeats it and cannot change it.
_OF_THE_RUN = frozenset(
    (
        *("emit", "only_mask", "background", "crop", "largest", "instances", "first", "suffix", "refine"),
        *("keep_absent", "keep_hidden", "ignore_alpha", "allow_truncated", "strip", "max_pixels"),
        *("existing", "watch", "follow_links", "dry_run", "like"),
    )
)
_TRANSPARENT = {"cutout", "premultiplied"}


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
    if given["only"]:
        return _again(given, typed)
    settings = _settings(given)
    out = Path(given["output"])
    if given["output"] == "-":
        return _to_stdout(given, settings)
    if out.suffix.lower() in photos.WRITTEN_SUFFIXES and not out.is_dir():
        return _to_file(given, settings, out)
    _refuse_jpeg(settings, given["suffix"])
    return _to_folder(given, settings, out)


# --- what was asked for ------------------------------------------------------------------------------


def _settings(given: Given) -> Settings:
    background = options.colour(given["background"]) if given["background"] else ""
    if background and not is_colour(background):
        photos.header(background)
    return Settings(
        emit=_emits(given, bool(background)),
        background=background,
        margin=given["crop"],
        largest=given["largest"],
        instances=given["instances"],
        refine=given["refine"],
        keep_absent=given["keep_absent"],
        ignore_alpha=given["ignore_alpha"],
        keep_hidden=given["keep_hidden"],
        allow_truncated=given["allow_truncated"],
        strip=given["strip"],
        max_pixels=given["max_pixels"],
    )


def _emits(given: Given, background: bool) -> tuple[Emit, ...]:
    names = [name.strip() for text in given["emit"] for name in text.split(",") if name.strip()]
    if given["only_mask"]:
        if names or background:
            raise click.UsageError("--only-mask writes the alpha alone; leave --emit and --background out")
        return ("alpha",)
    if not names:
        return ("composite", "alpha") if background else ("cutout", "alpha")
    if background and "composite" not in names:
        raise click.UsageError("--background is for composites; add composite to --emit, or leave --emit out")
    unknown = [name for name in names if name not in EMITS]
    if unknown:
        raise click.UsageError(f"--emit takes {', '.join(EMITS)}, not {unknown[0]!r}")
    return tuple(emit for emit in EMITS if emit in names)


def _refuse_jpeg(settings: Settings, suffix: str) -> None:
    if suffix in ("jpg", ".jpg", ".jpeg", ".jpe") and _TRANSPARENT.intersection(settings.emit):
        raise UsageError(
            "JPEG cannot be transparent; write png or webp, or put the thing on a --background such as white"
        )


# --- one photo ---------------------------------------------------------------------------------------


def _to_stdout(given: Given, settings: Settings) -> int:
    if given["as_json"]:
        raise click.UsageError("--json and -o - both want standard output; choose one")
    if settings.instances:
        raise click.UsageError("--instances makes several files; standard output is one")
    suffix = f".{given['suffix']}"
    only = replace(settings, emit=settings.emit[:1])
    _refuse_jpeg(only, suffix)
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
    if given["watch"]:
        raise click.UsageError("--watch needs a folder with -o")
    _refuse_jpeg(replace(settings, emit=settings.emit[:1]), target.suffix)
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
    _tell_device(given, looked_for.predictor)
    base = base_key(looked_for.context, looked_for.identity, settings)
    job = Job((), looked_for.context, settings, plan.out, base, sheet=False)
    summary = _carried_out(given, job, plan, LocalEngine(looked_for.predictor), None)
    _tell_end(given, summary, None if silent else target)
    return summary.exit_code


# --- a folder ----------------------------------------------------------------------------------------


def _to_folder(given: Given, settings: Settings, out: Path) -> int:
    plan = _plan(given, settings, out)
    if given["dry_run"]:
        return _dry(plan, given)
    if not plan.tasks and not given["watch"]:
        reasons = [failure(outcome) for outcome in plan.failed] or [
            f"no photos in {', '.join(given['photos'])}"
            if given["photos"]
            else "which photos? name files or folders"
        ]
        raise UsageError("; ".join(reasons[:3]))
    with Journal(out) as journal:
        journal.sweep()
        plan, marked = _with_input(plan, given)
        looked_for = sought(given["contexts"], marked, given)
        base = base_key(looked_for.context, looked_for.identity, settings)
        LastRun(looked_for.context, base, settings, f".{given['suffix']}").save(out)
        job = Job((), looked_for.context, settings, out, base, sheet=not given["no_sheet"])
        _tell_device(given, looked_for.predictor)
        _tell_notes(given, plan.notes)
        with closing(_engine(given, looked_for)) as engine:
            if given["watch"]:
                return _watched(given, job, engine, journal)
            summary = _carried_out(given, job, plan, engine, journal)
        return _finished(given, summary, journal, job)


def _plan(given: Given, settings: Settings, out: Path) -> Plan:
    plan = plan_folder(
        given["photos"],
        out,
        settings,
        suffix=f".{given['suffix']}",
        ours=known_outputs(out),
        follow_links=given["follow_links"],
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
    return plan, reference(task.source, task.data, given)


def _engine(given: Given, looked_for: Sought) -> Engine:
    workers = given["workers"]
    if workers == 1:
        return LocalEngine(looked_for.predictor)
    from mattelike.models.runtime import quota

    threads = given["threads"] or max(1, quota() // workers)
    loader = partial(options.load, looked_for.context.model, given["options"], given["device"], threads)
    return WorkersEngine(loader, workers)


def _carried_out(given: Given, job: Job, plan: Plan, engine: Engine, journal: Journal | None) -> Summary:
    progress = Progress(len(plan.tasks) + len(plan.failed), quiet=given["quiet"] or len(plan.tasks) < 2)

    def tell(outcome: Outcome) -> None:
        progress.hear(outcome)
        if given["as_json"]:
            click.echo(json.dumps(_as_json(outcome, job.out)))

    def warn() -> None:
        progress.say("finishing what is begun; Ctrl-C again stops at once")

    existing: Existing = given["existing"] or "changed"
    summary = carry_out(job, plan, engine, journal, existing=existing, tell=tell, warn=warn)
    progress.clear()
    return summary


def _watched(given: Given, job: Job, engine: Engine, journal: Journal) -> int:
    """Does photos as they arrive, until interrupted."""
    watcher, code = Watcher(), 0
    if not given["quiet"]:
        click.echo(f"watching {', '.join(map(printable, given['photos']))}; Ctrl-C ends it", err=True)
    while True:
        try:
            plan = watcher.arrived(_plan(given, job.settings, job.out))
            if not plan.tasks:
                time.sleep(1.0)
                continue
        except KeyboardInterrupt:
            return 130
        summary = _carried_out(given, job, plan, engine, journal)
        code = _finished(given, summary, journal, job)
        if summary.interrupted or summary.fatal:
            return code


# --- once more ---------------------------------------------------------------------------------------


def _again(given: Given, typed: set[str]) -> int:
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
        _tell_device(given, looked_for.predictor)
        with closing(_engine(given, looked_for)) as engine:
            summary = _carried_out({**given, "existing": "overwrite"}, job, Plan(out, tasks), engine, journal)
        return _finished(given, summary, journal, job)


def _tasks_again(given: Given, kinds: set[str], last: LastRun, journal: Journal) -> tuple[Task, ...]:
    known = [outcome for outcome in journal.outcomes() if outcome.result in kinds and outcome.stem]
    sources = {outcome.source: journal.source(outcome.source) for outcome in known}
    wanted = {os.path.realpath(name) for name in given["photos"]}
    return tuple(
        Task(
            os.path.relpath(sources[outcome.source]),
            outcome.stem,
            output_names(outcome.stem, last.settings.emit, last.suffix),
        )
        for outcome in known
        if outcome.source != "-" and (not wanted or os.path.realpath(sources[outcome.source]) in wanted)
    )


# --- what is said ------------------------------------------------------------------------------------


def _finished(given: Given, summary: Summary, journal: Journal, job: Job) -> int:
    """Report and page are written, the end is told."""
    page: Path | None = None
    try:
        journal.finish()
        if job.sheet:
            page = write_sheet(journal, job.context)
    except OutputError as error:
        summary.fatal = summary.fatal or str(error)
    _tell_end(given, summary, page or job.out)
    return summary.exit_code


def _tell_end(given: Given, summary: Summary, where: Path | None) -> None:
    if given["as_json"]:
        about: dict[str, Any] = {
            **{str(result): summary.results[result] for result in RESULTS},
            "unchanged": summary.unchanged,
            "seconds": round(summary.seconds, 3),
            "interrupted": summary.interrupted,
            "stopped": summary.fatal,
            "exit_code": summary.exit_code,
            "where": None if where is None else str(where),
        }
        click.echo(json.dumps({"summary": about}))
    if summary.fatal:
        click.echo(f"stopped: {printable(summary.fatal)}; run the same command again to go on", err=True)
    if summary.interrupted:
        click.echo("interrupted; run the same command again to go on", err=True)
    if not given["quiet"]:
        click.echo(summary_line(summary, where), err=True)


def _as_json(outcome: Outcome, out: Path) -> dict[str, Any]:
    return {
        "source": outcome.source,
        "result": outcome.result,
        "outputs": [str(out / name) for name in outcome.outputs],
        "presence": outcome.presence,
        "doubt": outcome.doubt,
        "size": outcome.size,
        "seconds": round(outcome.seconds, 3),
        "error": outcome.error,
        "notes": outcome.notes,
        "unchanged": outcome.unchanged,
    }


def _dry(plan: Plan, given: Given) -> int:
    """Shows a plan on standard output and does nothing."""
    for task in plan.tasks:
        paths = [str(plan.out / name) for _, name in task.outputs]
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


def _tell_device(given: Given, predictor: Predictor) -> None:
    if not given["quiet"]:
        click.echo(f"model {predictor.card.name} on {predictor.device}", err=True)
