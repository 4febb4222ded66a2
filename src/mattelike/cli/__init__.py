"""The command line: one thin file a verb, found in a table, loaded when it is called.

``mattelike --help`` loads click and this file alone. Exit codes: 0 all done, 1 something failed, 2 asked for
the impossible, 130 interrupted. Nothing but results goes to standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import click

from mattelike import __version__

# verb: module and what it is for; the order is that of the help.
VERBS = {
    "matte": ("mattelike.cli.matte", "Cut the marked kind of thing out of photos."),
    "video": ("mattelike.cli.video", "Cut the marked kind of thing out of clips."),
    "mark": ("mattelike.cli.mark", "Save marked photos as a small context, to be used again."),
    "refine": ("mattelike.cli.refine", "Make the edges of a mask or trimap follow the photo."),
    "explain": ("mattelike.cli.explain", "Draw what was matched, and where."),
    "evaluate": ("mattelike.cli.evaluate", "Measure methods on a benchmark."),
    "score": ("mattelike.cli.score", "Score a folder of mattes against their truths."),
    "compare": ("mattelike.cli.compare", "Compare two methods picture by picture."),
    "train": ("mattelike.cli.train", "Train the embedded network from a recipe."),
    "models": ("mattelike.cli.models", "List the models, check their files, say where they are."),
    "doctor": ("mattelike.cli.doctor", "Say what is installed, which device is used, what is wrong."),
}

EXAMPLES = """\
\b
mattelike mark cat.jpg --grid -o grid.png              where is pixel 412,310?
mattelike matte photos/ --like cat.jpg --point 412,310 -o mattes/
mattelike mark cat.jpg --mask cat.png -o cat.context   mark once, use for ever
mattelike matte more-photos/ --context cat.context -o more-mattes/
"""


class Verbs(click.Group):
    """A group whose commands are imported when they are called, and whose errors are one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(VERBS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the verbs from the table, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, summary) for verb, (_, summary) in VERBS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs; by default ends the process with the right code."""

        def call() -> Any:
            return super(Verbs, self).main(args, prog_name, complete_var, standalone_mode=False, **extra)

        if not standalone_mode:
            return call()
        sys.exit(_run(call))


def _run(call: Callable[[], Any]) -> int:
    """The exit code of a call; errors are told in one line."""
    try:
        code = call()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("mattelike: interrupted", err=True)
        return 130
    except BrokenPipeError:
        # Whoever read our output has heard enough. Nothing is to be flushed into the broken pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the last place where a traceback can be kept from a user
        return _told(error)


def _told(error: Exception) -> int:
    from mattelike import errors

    if os.environ.get("MATTELIKE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    asked = (errors.UsageError, errors.DeviceError, errors.MissingExtraError, errors.OutputError)
    if isinstance(error, errors.MattelikeError):
        click.echo(f"mattelike: {' '.join(str(error).split())}", err=True)
        return 2 if isinstance(error, (*asked, errors.ModelNotFoundError)) else 1
    click.echo(
        f"mattelike: unexpected {type(error).__name__}: {' '.join(str(error).split())} "
        "(--debug shows where; please report it)",
        err=True,
    )
    return 1


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        os.environ["MATTELIKE_DEBUG"] = "1"


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="VERB ...",
    epilog=EXAMPLES,
    help="Mark one thing in one photo, get precise mattes of the same kind of thing in all the others.",
)
@click.version_option(__version__, "-V", "--version", message="mattelike %(version)s")
@click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_debug,
    help="Show a traceback of unexpected errors.",
)
def main() -> None:
    """Entry point of the console script."""
