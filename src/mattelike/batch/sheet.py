"""The contact sheet: one page beside the outputs that shows what became of every photo, the doubtful first.

The page needs nothing but its folder: no network, no server, no other file than the thumbnails in ``_sheet``.
"""

from __future__ import annotations

import base64
import html
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote

from mattelike.batch.jobs import RESULTS, Outcome, Result
from mattelike.batch.journal import Journal
from mattelike.batch.storage import is_url
from mattelike.batch.thumbnails import thumbnail_names
from mattelike.contexts import Context, Thumbnail
from mattelike.errors import OutputError
from mattelike.photos import TEMPORARY_PREFIX, TEMPORARY_SUFFIX

PAGE = "index.html"


def write_sheet(journal: Journal, context: Context) -> Path:
    """Writes ``index.html`` into the output folder, whole or not at all.

    Args:
        journal: What became of each photo.
        context: Its references are shown first.

    Returns:
        The page.

    Raises:
        OutputError: It cannot be written.
    """
    path = journal.out / PAGE
    temporary = journal.out / f"{TEMPORARY_PREFIX}page{TEMPORARY_SUFFIX}"
    try:
        temporary.write_text(page(reviewed(journal.outcomes()), context, journal.out), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def reviewed(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Failed first, then absent (the likeliest mistakes first), then unsure (the least sure first)."""
    rank = {result: place for place, result in enumerate(RESULTS)}

    def doubt(outcome: Outcome) -> float:
        presence = outcome.presence or 0.0
        if outcome.result == "absent":
            return -presence
        return presence if outcome.result == "unsure" else 0.0

    return sorted(outcomes, key=lambda each: (rank[each.result], doubt(each)))


def page(outcomes: Sequence[Outcome], context: Context, out: Path) -> str:
    """The page as text.

    Args:
        outcomes: In the order they are shown.
        context: Its references are shown first.
        out: Folder of the outputs, for the command that does some again.
    """
    counts = Counter(outcome.result for outcome in outcomes)
    here = files("mattelike.batch")
    return Template(here.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        style=here.joinpath("page.css").read_text(encoding="utf-8"),
        script=here.joinpath("page.js").read_text(encoding="utf-8"),
        title=f"{len(outcomes):,} photo{'' if len(outcomes) == 1 else 's'}",
        references="\n".join(_reference(each) for each in context.thumbnails),
        filters="\n".join(_filter(result, counts[result]) for result in RESULTS if counts[result]),
        figures="\n".join(_figure(outcome, os.path.relpath(out)) for outcome in outcomes),
        out=_text(os.path.relpath(out)),
    )


def _reference(thumbnail: Thumbnail) -> str:
    data = base64.b64encode(thumbnail.jpeg).decode("ascii")
    name = _text(Path(thumbnail.name).name or "reference")
    kind, says = ("negative", "not like") if thumbnail.negative else ("positive", "like")
    return (
        f'<figure class="reference {kind}"><img alt="{name}" src="data:image/jpeg;base64,{data}">'
        f"<figcaption><b>{says}</b> {name}</figcaption></figure>"
    )


def _filter(result: Result, count: int) -> str:
    return (
        f'<label class="chip {result}"><input type="checkbox" value="{result}" checked>'
        f"<i></i>{result}<b>{count:,}</b></label>"
    )


def _figure(outcome: Outcome, here: str) -> str:
    """One photo. What was never read has no pictures."""
    # As it can be typed where the run was started.
    source = outcome.source if is_url(outcome.source) else os.path.normpath(Path(here, outcome.source))
    name = _text(outcome.stem or Path(outcome.source).name)
    width, height = outcome.size or (4, 3)
    before, after = thumbnail_names(outcome.stem)
    pictures = (
        f'<img class="after" loading="lazy" alt="" src="{after}">'
        f'<img class="before" loading="lazy" alt="" src="{before}">'
        if outcome.outputs
        else f"<p>{_text(outcome.error)}</p>"
    )
    facts = []
    if outcome.presence is not None:
        facts.append(f"presence {outcome.presence:.2f}")
    if outcome.doubt is not None and outcome.result == "present":
        facts.append(f"doubt {min(outcome.doubt, 9.99):.2f}")
    notes = "".join(f"<li>{_text(note)}</li>" for note in outcome.notes)
    links = " ".join(
        f'<a href="{_url(name)}">{_text(_kind(name, outcome.stem))}</a>' for name in outcome.outputs
    )
    return (
        f'<figure class="photo {outcome.result}" style="--a:{width / height:.4f}" '
        f'data-size="{width} {height}" data-source="{_text(source)}" '
        f'data-doubt="{outcome.doubt or 0:.4f}">'
        f'<button class="stage" aria-label="{name}"><span class="pair">{pictures}</span></button>'
        f'<figcaption><span class="name" title="{name}">{name}</span>'
        f'<span class="badge">{outcome.result}</span><span class="facts">{" · ".join(facts)}</span>'
        f"{f'<ul>{notes}</ul>' if notes else ''}<nav>{links}</nav></figcaption></figure>"
    )


def _kind(name: str, stem: str) -> str:
    """What an output is called on the page: what its name adds to the photo's."""
    return name[len(stem) :].lstrip(".")


def _text(text: str) -> str:
    """Text for the page, whatever bytes a file name is made of."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return html.escape(shown, quote=True)


def _url(name: str) -> str:
    """A relative address that no name can turn into anything else."""
    return "./" + quote(os.fsencode(name))
