"""From a coarse alpha to one at the photo's own size, whose edges follow the photo; nothing is learned."""

from mattelike.refinement.levels import Refined, refine
from mattelike.refinement.solver import closed_form
from mattelike.refinement.trimaps import trimap
from mattelike.refinement.windows import guided

__all__ = ["Refined", "closed_form", "guided", "refine", "trimap"]
