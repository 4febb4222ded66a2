"""``mattelike matte``: the main job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from mattelike.cli import options

EMITS = ("cutout", "alpha", "foreground", "premultiplied", "composite", "trimap", "uncertainty")


# Headings of the help, and the options that belong to them.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What to look for", ("contexts", "like", *options.MARK_NAMES)),
    ("Where to", ("output", "existing", "no_sheet", "dry_run")),
    ("Which photos", ("first", "follow_links", "all_frames", "watch", "only", "more_like")),
    (
        "What to write",
        (
            *("emit", "only_mask", "background", "crop", "largest", "instances", "suffix"),
            *("refine", "refiner", "keep_absent", "keep_hidden", "gray", "strip"),
        ),
    ),
    ("How to read photos", ("ignore_alpha", "unpremultiply", "allow_truncated", "max_pixels")),
    (
        "How to work",
        ("workers", "timeout", "engine", "model", "options", "device", "threads", "as_json", "quiet"),
    ),
)


class Matting(click.Command):
    """A command whose ``--crop`` takes a margin or leaves it out, also in front of a file's name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Writes ``--crop 5%`` as ``--crop=5%`` and ``--crop photo.jpg`` as ``--crop=0 photo.jpg``."""
        return super().parse_args(ctx, _joined(args))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by what they are about, for there are many."""
        choices = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        placed = {name for _, names in SECTIONS for name in names}
        rest = tuple(str(each.name) for each in choices if each.name not in placed)
        for title, names in (*SECTIONS, ("More", rest)):
            found = [each for name in names for each in choices if each.name == name]
            with formatter.section(title):
                formatter.write_dl([record for each in found if (record := each.get_help_record(ctx))])


def _joined(args: Sequence[str]) -> list[str]:
    joined: list[str] = []
    waiting = list(args)
    while waiting:
        arg = waiting.pop(0)
        if arg == "--":
            return [*joined, arg, *waiting]
        if arg == "--crop":
            number = waiting[0].removesuffix("%") if waiting else ""
            arg = f"--crop={waiting.pop(0)}" if number.replace(".", "", 1).isdigit() else "--crop=0"
        joined.append(arg)
    return joined


@click.command(
    cls=Matting,
    short_help="Cut the marked kind of thing out of photos.",
    epilog="""\
\b
mattelike matte photos/ --like cat.jpg --point 412,310 -o mattes/
mattelike matte *.jpg --context cat.context --background white --crop 5% -o shop/
mattelike matte cat.jpg --box 10%,5%,60%,80% -o cat.png
mattelike matte -o mattes/ --only unsure --more-like photos/7.jpg --point 90,120
""",
)
@click.argument("photos", nargs=-1, metavar="PHOTOS...")
@click.option(
    "--context",
    "-c",
    "contexts",
    multiple=True,
    type=options.FILE,
    help="Marked references, from `mattelike mark`.",
)
@click.option(
    "--like", type=click.Path(), help="A photo of the kind of thing, with marks; - for standard input."
)
@options.marks
@click.option(
    "--output",
    "-o",
    default="mattes",
    show_default=True,
    help="Folder; a file, for one photo; - for standard output.",
)
@click.option(
    "--emit",
    "-e",
    multiple=True,
    metavar="LIST",
    help=f"What to write: {', '.join(EMITS)}. [default: cutout,alpha]",
)
@click.option("--only-mask", "-om", is_flag=True, help="Write the alpha alone.")
@click.option(
    "--background",
    "--bgcolor",
    "-bgc",
    "-b",
    metavar="COLOUR|PICTURE",
    help="Put the thing on this instead of cutting it out.",
)
@click.option("--crop", metavar="[MARGIN]", help="Cut to the thing, plus a margin in pixels or percent.")
@click.option("--largest", is_flag=True, help="Only the largest thing.")
@click.option("--instances", is_flag=True, help="One file for each separate thing: x.1.png, x.2.png...")
@click.option("--first", type=click.IntRange(1), metavar="N", help="Only the first N photos.")
@click.option(
    "--format",
    "suffix",
    default="png",
    show_default=True,
    type=click.Choice(["png", "webp", "tiff", "avif", "jpg"]),
    help="Format of pictures in colour; mattes stay without loss.",
)
@click.option(
    "--refine/--no-refine",
    "--alpha-matting/--no-alpha-matting",
    "-a",
    default=True,
    help="Bring edges to the photo's own resolution.  [default: refine]",
)
@click.option(
    "--refiner",
    type=click.Choice(["learned", "closed-form"]),
    help="By the edge network, or by a solver that has learned nothing.  [default: closed-form]",
)
@click.option("--keep-absent", is_flag=True, help="Write what was found even where the kind seems absent.")
@click.option("--keep-hidden", is_flag=True, help="Keep the photo's colours where alpha is 0.")
@click.option("--gray", is_flag=True, help="Cut gray photos out as gray and alpha, not RGB and alpha.")
@click.option("--ignore-alpha", is_flag=True, help="Leave an alpha the photo already has out.")
@click.option(
    "--unpremultiply", is_flag=True, help="The photos' colours are multiplied by their alpha: undo that."
)
@click.option("--allow-truncated", is_flag=True, help="Take what is there of damaged photos.")
@click.option("--strip", is_flag=True, help="Leave EXIF, XMP, resolution and settings out.")
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    help="Refuse larger photos from their header.  [default: 300 million]",
)
@click.option("--overwrite", "existing", flag_value="overwrite", help="Do everything again.")
@click.option(
    "--skip-existing", "existing", flag_value="skip", help="Leave every photo whose results are there."
)
@click.option(
    "--only", metavar="KINDS", help="Only photos that were failed, absent, unsure or present in the last run."
)
@click.option("--more-like", type=click.Path(), help="A further reference for --only, with marks.")
@click.option("--watch", "-w", is_flag=True, help="Go on, and do photos as they come into the folders.")
@click.option("--all-frames", is_flag=True, help="Every page or frame of a file is a photo of its own.")
@click.option("--follow-links", is_flag=True, help="Follow links inside folders.")
@click.option(
    "--workers",
    "-j",
    type=click.IntRange(1),
    metavar="N",
    envvar="MATTELIKE_WORKERS",
    help="Processes to work in; by default as many as cores and memory allow.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    metavar="SECONDS",
    envvar="MATTELIKE_TIMEOUT",
    help="Give a photo up after so long; 0 is never.  [default for several workers: 600, and 10 a megapixel]",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Work on this machine, or on a cluster of Ray.",
)
@options.model
@click.option("--no-sheet", is_flag=True, help="Make no contact sheet.")
@click.option("--dry-run", is_flag=True, help="Show what would be done.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object a photo, and a last one for all, on standard output.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Cut the marked kind of thing out of PHOTOS: files, patterns, folders with all they hold, or -.

    What to look for is a --context, or a photo that is --like it with marks on it. Without either the marks
    are on the one photo itself. Coordinates are x,y in pixels of the upright photo, or percent: 41%,30%.
    """
    from click.core import ParameterSource

    from mattelike.cli.matting import matting

    typed = {name for name in given if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    return matting(given, typed)
