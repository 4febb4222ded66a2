"""What is done so far, one file a method: a killed evaluation goes on where it was.

The first line is a fingerprint of everything that decides the answers. A journal of another evaluation is
refused, never mixed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mattelike.errors import OutputError, UsageError
from mattelike.evaluation import rows
from mattelike.evaluation.rows import Row

Key = tuple[str, int, int]


class Journal:
    """Rows of one method, appended as they come.

    Args:
        path: Its file; made if need be.
        decided: Everything that decides the answers, as JSON can hold it.
        metrics: Columns.
        overwrite: Begin anew whatever is there.

    Raises:
        UsageError: The file is of another evaluation.
        OutputError: It cannot be written.
    """

    def __init__(
        self, path: Path, decided: Mapping[str, Any], metrics: Sequence[str], *, overwrite: bool = False
    ) -> None:
        self._metrics = tuple(metrics)
        self._head = f"# {fingerprint(decided)}\n" + rows.line(rows.header(metrics))
        self.done: dict[Key, Row] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = "" if overwrite else self._kept(path)
            path.write_text(kept or self._head, encoding="utf-8", newline="")
            self._file = path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error

    def _kept(self, path: Path) -> str:
        """What of the file is whole: a killed process may have left half a line."""
        if not path.is_file():
            return ""
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if not whole.startswith(self._head):
            if self._head.startswith(whole):
                return ""
            raise UsageError(
                f"{path.parent.parent}: holds another evaluation (pictures, methods, weights or settings "
                "differ); choose another folder, or --overwrite"
            )
        found, _ = rows.parse(whole.splitlines(keepends=True)[1:], str(path))
        # What failed may succeed today.
        self.done = {row.key: row for row in found if not row.error}
        return whole

    def add(self, row: Row) -> None:
        """Takes a row, and has it on its way to the disk before the next is worked on."""
        self.done[row.key] = row
        self._file.write(rows.line(rows.cells(row, self._metrics)))
        self._file.flush()

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def fingerprint(decided: Mapping[str, Any]) -> str:
    """SHA-256 of a table, whatever its order."""
    return hashlib.sha256(json.dumps(decided, sort_keys=True, default=str).encode()).hexdigest()
