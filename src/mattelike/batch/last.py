"""What the last run into an output folder was asked for, so that some of it can be done again, better."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mattelike.batch.jobs import Settings
from mattelike.batch.names import SHEET
from mattelike.contexts import Context
from mattelike.errors import OutputError, UsageError
from mattelike.photos import TEMPORARY_PREFIX, TEMPORARY_SUFFIX


@dataclass(frozen=True, slots=True, eq=False)
class LastRun:
    """A run as it can be repeated.

    Attributes:
        context: What was looked for.
        base: See `mattelike.batch.jobs.base_key`.
        settings: What was made of each photo.
        suffix: Format of the pictures in colour.
    """

    context: Context
    base: str
    settings: Settings
    suffix: str

    def save(self, out: Path) -> None:
        """Writes it into an output folder.

        Raises:
            OutputError: It cannot be written.
        """
        about = {"base": self.base, "suffix": self.suffix, "settings": asdict(self.settings)}
        path, temporary = out / SHEET / "run.json", out / SHEET / f"{TEMPORARY_PREFIX}run{TEMPORARY_SUFFIX}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.context.save(out / SHEET / "run.context")
            temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error

    @staticmethod
    def load(out: Path) -> LastRun:
        """Reads it from an output folder.

        Raises:
            UsageError: There is none, or it is damaged.
            ContextError: Its context is damaged.
        """
        path = out / SHEET / "run.json"
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            settings = {**about["settings"], "emit": tuple(about["settings"]["emit"])}
            context = Context.load(out / SHEET / "run.context")
            return LastRun(context, str(about["base"]), Settings(**settings), str(about["suffix"]))
        except OSError as error:
            raise UsageError(f"{out}: no earlier run to go on with; name photos and a reference") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: damaged; name photos and a reference again") from error
