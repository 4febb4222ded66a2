"""What is to be made of a clip, and what became of it: plain values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mattelike.batch.jobs import content_hash
from mattelike.contexts import Context
from mattelike.mattes import Background
from mattelike.values import Photo
from mattelike.video.clips import Clip
from mattelike.video.segments import Done
from mattelike.video.targets import Target

Broken = Literal["last", "clear", "stop"]
"""What is shown for a frame that cannot be read: the last matte, nothing, or the run ends there."""

METHOD = "edges 1"
"""How frames are steadied: pieces made in another way are not gone on from."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipJob:
    """What is to be made of a clip.

    Attributes:
        clip: What it is made of.
        target: Where to, and as what.
        context: What to look for.
        identity: Hash of what the context comes from.
        background: Behind composites: a colour or a photo; None is white.
        steady: Use the frames before each frame.
        refine: Bring edges to the clip's own resolution.
        keep_absent: Show what was found even where the kind seems absent.
        broken: What is shown for frames that cannot be read.
        most: Only so many frames; None for all.
    """

    clip: Clip
    target: Target
    context: Context
    identity: str
    background: Background | None = None
    steady: bool = True
    refine: bool = True
    keep_absent: bool = False
    broken: Broken = "last"
    most: int | None = None

    def key(self) -> str:
        """Hash of all that the result depends on; of the clip its size and time, for it may be huge."""
        status = self.clip.path.stat()
        behind = self.background.pixels if isinstance(self.background, Photo) else self.background
        parts = (
            *(str(self.clip.path.resolve()), str(status.st_size), str(status.st_mtime_ns)),
            *(self.identity, self.context.model, self.context.sha256, self.context.settings),
            *(self.target.kind, self.target.picture, str(self.steady), str(self.refine)),
            *(str(self.keep_absent), self.broken, str(self.most)),
            METHOD,
            content_hash(np.asarray(() if behind is None else behind).tobytes()),
        )
        return content_hash("\n".join(parts).encode())


@dataclass(slots=True)
class Summary:
    """What became of a clip.

    Attributes:
        frames: How many were written, those of earlier runs included.
        resumed: How many of them an earlier run had done.
        statuses: How many were present, unsure, absent.
        broken: Numbers of those that could not be read.
        cuts: Numbers of those that begin a new scene.
        fault: Why the clip ended before its time, or empty.
    """

    frames: int = 0
    resumed: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    broken: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    fault: str = ""

    def count(self, done: Done) -> None:
        """Takes a piece into account."""
        self.frames += done.frames
        self.statuses.update(done.statuses)
        self.broken += done.broken
        self.cuts += done.cuts
