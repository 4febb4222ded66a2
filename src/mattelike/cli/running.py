"""A run as the command line sees it: an engine, a bar, and what is said at the end."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from mattelike.batch.cores import workers_for
from mattelike.batch.jobs import RESULTS, Engine, Job, Outcome
from mattelike.batch.journal import Journal
from mattelike.batch.local import LocalEngine
from mattelike.batch.plan import Plan
from mattelike.batch.run import Existing, Summary, carry_out
from mattelike.batch.sheet import write_sheet
from mattelike.batch.workers import WorkersEngine
from mattelike.cli import options
from mattelike.cli.asked import Given
from mattelike.cli.progress import Progress, printable, summary_line
from mattelike.cli.sought import Sought
from mattelike.errors import OutputError
from mattelike.models.runtime import quota
from mattelike.predictor import Predictor


def engine_for(given: Given, looked_for: Sought, tasks: int) -> Engine:
    """Threads of this process, several processes that share its cores, or actors of Ray."""
    workers = given["workers"] or workers_for(tasks, looked_for.predictor.device)
    if given["engine"] == "ray":
        return _ray_engine(given, looked_for, workers)
    # Threads of this process cannot be ended: who wants a limit gets a process even for one worker.
    if workers == 1 and not given["timeout"]:
        return LocalEngine(looked_for.predictor)
    threads = given["threads"] or max(1, quota() // workers)
    loader = partial(options.load, looked_for.context.model, given["options"], given["device"], threads)
    return WorkersEngine(loader, workers, timeout=given["timeout"])


def _ray_engine(given: Given, looked_for: Sought, workers: int) -> Engine:
    from mattelike.batch.ray import RayEngine

    threads = given["threads"] or max(1, quota() // workers)
    loader = partial(options.load, looked_for.context.model, given["options"], given["device"], threads)
    gpus = float(looked_for.predictor.device == "cuda")
    return RayEngine(loader, workers, threads=threads, gpus=gpus, timeout=given["timeout"])


def carried_out(given: Given, job: Job, plan: Plan, engine: Engine, journal: Journal | None) -> Summary:
    """Carries a plan out, with a bar, and with a line of JSON a photo if that is wanted."""
    progress = Progress(len(plan.tasks) + len(plan.failed), quiet=given["quiet"] or len(plan.tasks) < 2)

    def tell(outcome: Outcome) -> None:
        progress.hear(outcome)
        if given["as_json"]:
            click.echo(json.dumps(_as_json(outcome, job)))

    def warn() -> None:
        progress.say("finishing what is begun; Ctrl-C again stops at once")

    existing: Existing = given["existing"] or "changed"
    summary = carry_out(job, plan, engine, journal, existing=existing, tell=tell, warn=warn)
    progress.clear()
    return summary


def finished(given: Given, summary: Summary, journal: Journal, job: Job) -> int:
    """Report and page are written, the end is told."""
    page: Path | None = None
    try:
        journal.finish()
        if job.sheet:
            page = write_sheet(journal, job.context)
    except OutputError as error:
        summary.fatal = summary.fatal or str(error)
    tell_end(given, summary, page or job.store or job.out)
    return summary.exit_code


def tell_end(given: Given, summary: Summary, where: Path | str | None) -> None:
    """Says what a run came to, for people on standard error, for machines on standard output."""
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


def _as_json(outcome: Outcome, job: Job) -> dict[str, Any]:
    return {
        "source": outcome.source,
        "result": outcome.result,
        "outputs": [job.where(name) for name in outcome.outputs],
        "presence": outcome.presence,
        "doubt": outcome.doubt,
        "size": outcome.size,
        "seconds": round(outcome.seconds, 3),
        "error": outcome.error,
        "notes": outcome.notes,
        "frame": outcome.frame,
        **({"settings": json.loads(outcome.settings)} if outcome.settings else {}),
        "unchanged": outcome.unchanged,
    }


def tell_device(given: Given, predictor: Predictor) -> None:
    """Says once which model runs on which device."""
    if not given["quiet"]:
        click.echo(f"model {predictor.card.name} on {predictor.device}", err=True)
