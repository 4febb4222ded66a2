"""Clips: one frame or photo is the reference, every frame a target (section 4.5 of the paper); on PyAV.

::

    clip ── frames ─► glance ─► steadied ─► matte ─► pieces ─► result, with the clip's own sound
     probe            (model)   (frame before)       (killed runs go on from the last whole piece)

`probe` reads a clip's header, `carry_out` makes its result. PyAV is loaded when a clip is opened, not before.
"""

from __future__ import annotations

from mattelike.video.clips import Clip, probe
from mattelike.video.jobs import ClipJob, Summary
from mattelike.video.making import carry_out
from mattelike.video.reading import Frame, frame_at, frames
from mattelike.video.targets import Target

__all__ = ["Clip", "ClipJob", "Frame", "Summary", "Target", "carry_out", "frame_at", "frames", "probe"]
