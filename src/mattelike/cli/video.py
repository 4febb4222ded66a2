"""``mattelike video``: a clip in, a clip with transparency out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from mattelike.cli import options

if TYPE_CHECKING:
    from mattelike.cli.sought import Reference
    from mattelike.mattes import Background
    from mattelike.video import Clip, ClipJob, Summary, Target

FORMATS = ("mov", "webm", "mkv", "mp4", "png", "exr")


@click.command(
    short_help="Cut the marked kind of thing out of clips.",
    epilog="""\
\b
mattelike video dance.mp4 --like first --point 412,310 -o dance.mov
mattelike video dance.mp4 --context dancer.context --audio opus -o dance.webm
mattelike video dance.mp4 --context dancer.context --emit alpha -o matte.mp4
mattelike video a.mp4 b.mp4 --like dancer.jpg --mask dancer.png --format png -o frames/
""",
)
@click.argument("clips", nargs=-1, required=True, metavar="CLIP...", type=options.FILE)
@click.option("--context", "-c", "contexts", multiple=True, type=options.FILE, help="Marked references.")
@click.option(
    "--like", metavar="FRAME|PHOTO|first", help="What is marked: a frame's number, a photo, the first frame."
)
@options.marks
@click.option(
    "--output", "-o", required=True, help="x.mov, x.webm, x.mkv, x.mp4, or a folder, with --format."
)
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="What to write in a folder.  [default: mov]"
)
@click.option(
    "--emit",
    "-e",
    "picture",
    type=click.Choice(["cutout", "alpha", "composite"]),
    help="What to write of each frame.  [default: cutout]",
)
@click.option("--background", "-b", metavar="COLOUR|PICTURE", help="Put the thing on this instead.")
@click.option(
    "--steady/--no-steady", default=True, help="Use the frame before each frame.  [default: steady]"
)
@click.option(
    "--audio",
    "sound",
    type=click.Choice(["copy", "opus", "none"]),
    default="copy",
    show_default=True,
    help="Sound as it is, coded again as Opus, or none.",
)
@click.option(
    "--broken",
    type=click.Choice(["last", "clear", "stop"]),
    default="last",
    show_default=True,
    help="What is shown for a frame that cannot be read: the last matte, nothing; or stop there.",
)
@click.option("--refine/--no-refine", default=True, help="Bring edges to the clip's own resolution.")
@click.option("--keep-absent", is_flag=True, help="Show what was found even where the kind seems absent.")
@click.option("--first", "most", type=click.IntRange(1), metavar="N", help="Only the first N frames.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@options.model
@click.option("--json", "as_json", is_flag=True, help="One JSON object a clip on standard output.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def command(**given: Any) -> int:
    """Cut the marked kind of thing out of every frame of CLIP; timing, rotation, colours and sound are kept.

    What to look for is a --context, or marks on a frame or photo that it is --like. A run that was killed
    goes on where it was when the same command is given again.
    """
    from mattelike.cli.sought import sought
    from mattelike.video import carry_out, probe

    clips = [probe(path) for path in given["clips"]]
    picture = _background(given["background"])
    targets = [_target(clip, given, picture is not None, len(clips) > 1) for clip in clips]
    looked_for = sought(given["contexts"], _reference(clips[0], given), given)
    if not given["quiet"]:
        click.echo(f"model {looked_for.predictor.card.name} on {looked_for.predictor.device}", err=True)
    code = 0
    for clip, target in zip(clips, targets, strict=True):
        job = _job(clip, target, given, looked_for.context, looked_for.identity, picture)
        with _bar(clip, given) as bar:
            summary = carry_out(job, looked_for.predictor, lambda number, bar=bar: bar.update(1))  # type: ignore[misc]
        _tell(job, summary, given)
        code = max(code, 1 if summary.broken or summary.fault else 0)
    return code


def _target(clip: Clip, given: Mapping[str, Any], background: bool, many: bool) -> Target:
    """Where a clip's result goes; all that can be refused is refused here, before a model is loaded."""
    from mattelike.cli.progress import tell_notes
    from mattelike.errors import UsageError
    from mattelike.video.targets import check, check_place, existing, target_for

    target = target_for(
        given["output"], clip, given["picture"], background, given["kind"], given["sound"], many
    )
    notes = check(target, clip)
    if not given["quiet"]:
        tell_notes(notes)
    if existing(target) and not given["overwrite"]:
        raise UsageError(f"{target.path} is there already; --overwrite replaces it")
    check_place(target, clip)
    return target


def _reference(clip: Clip, given: Mapping[str, Any]) -> Reference | None:
    """The marked frame or photo."""
    import json
    from pathlib import Path

    from mattelike import prompts
    from mattelike.batch.jobs import content_hash
    from mattelike.cli.sought import Reference, reference
    from mattelike.errors import UsageError
    from mattelike.photos import read
    from mattelike.video import frame_at

    like = given["like"]
    if like is None:
        if options.prompt(given) is not None:
            raise UsageError("which frame are the marks on? --like first, --like 120, or --like PHOTO")
        return None
    if like != "first" and not (like.isdigit() and not Path(like).exists()):
        return reference(like, None, given)
    prompt = options.prompt(given)
    if prompt is None:
        raise UsageError(f"nothing is marked on frame {like}: add --point x,y, --box x0,y0,x1,y1 or --mask")
    photo = frame_at(clip, 0 if like == "first" else int(like))
    prompts.resolve(prompt, photo, read)
    marks = {name: given[name] for name in options.MARK_NAMES}
    files = [content_hash(Path(path).read_bytes()) for path in options.mark_files(given)]
    said = json.dumps([content_hash(photo.pixels.tobytes()), files, marks])
    return Reference(photo, prompt, content_hash(said.encode()))


def _background(text: str | None) -> Background | None:
    from mattelike import photos
    from mattelike.batch.jobs import is_colour

    if text is None:
        return None
    chosen = options.colour(text)
    return tuple(int(level) for level in chosen.split(",")) if is_colour(chosen) else photos.read(chosen)


def _job(
    clip: Clip,
    target: Target,
    given: Mapping[str, Any],
    context: Any,
    identity: str,
    picture: Background | None,
) -> ClipJob:
    from mattelike.video import ClipJob

    return ClipJob(
        clip=clip,
        target=target,
        context=context,
        identity=identity,
        background=picture,
        steady=given["steady"],
        refine=given["refine"],
        keep_absent=given["keep_absent"],
        broken=given["broken"],
        most=given["most"],
    )


def _bar(clip: Clip, given: Mapping[str, Any]) -> Any:
    """A bar on standard error; click shows none where that is no terminal."""
    import io
    import sys

    from mattelike.cli.progress import printable

    count = clip.frames or round(clip.seconds * clip.rate)
    length = min(count, given["most"] or count) or None
    hidden = given["quiet"] or not sys.stderr.isatty()
    stream = io.StringIO() if hidden else sys.stderr
    return click.progressbar(length=length, label=printable(clip.path.name), file=stream, show_pos=True)


def _tell(job: ClipJob, summary: Summary, given: Mapping[str, Any]) -> None:
    """What became of a clip, for people on standard error, for machines on standard output."""
    import json

    from mattelike.cli.progress import printable

    if given["as_json"]:
        about = {
            "clip": str(job.clip.path),
            "output": str(job.target.path),
            "frames": summary.frames,
            "resumed": summary.resumed,
            **{kind: summary.statuses[kind] for kind in ("present", "unsure", "absent")},
            "broken": summary.broken,
            "cuts": summary.cuts,
            "fault": summary.fault,
        }
        click.echo(json.dumps(about))
    if summary.broken:
        shown = ", ".join(map(str, summary.broken[:20])) + (", ..." if len(summary.broken) > 20 else "")
        instead = "nothing is shown" if job.broken == "clear" else "the last matte is shown"
        click.echo(f"broken frames, where {instead}: {shown}", err=True)
    if summary.fault:
        click.echo(f"note: {printable(summary.fault)}", err=True)
    if not given["quiet"]:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(summary.statuses.items()))
        went = f"; {summary.resumed} of them from an earlier run" if summary.resumed else ""
        click.echo(f"{summary.frames} frames: {counts}{went} -> {printable(str(job.target.path))}", err=True)
