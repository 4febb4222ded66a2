"""From a coarse alpha, or a trimap, to an alpha at the photo's own size whose edges follow the photo."""

from mattelike.refinement.learned import EdgeNetwork, from_trimap
from mattelike.refinement.levels import DOUBT, Refine, Refined, check_refine, refine
from mattelike.refinement.solver import closed_form
from mattelike.refinement.trimaps import trimap
from mattelike.refinement.windows import guided

__all__ = [
    "DOUBT",
    "EdgeNetwork",
    "Refine",
    "Refined",
    "check_refine",
    "closed_form",
    "from_trimap",
    "guided",
    "refine",
    "trimap",
]
