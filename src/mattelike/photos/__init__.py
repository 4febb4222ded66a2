"""Photos in and out, truly: pixels upright, depth, colour space, alpha and metadata kept; on libvips.

================================================  ==================================================
`read`, `header`                                  a file, bytes, an array or a Pillow image as `Photo`
`to_srgb`, `covering`, `unpremultiply`            what a model sees; backgrounds; straight colours
`write_cutout`, `write_alpha`, `write_rgb`        whole files or none, by suffix
`encode`                                          the same, as bytes
`quantised`                                       alpha as the levels that are written
`set_threads`                                     how many threads libvips may use
================================================  ==================================================

No other part of the package knows libvips.
"""

from __future__ import annotations

from mattelike.photos.colour import covering, to_srgb, unpremultiply
from mattelike.photos.encoding import KINDS, quantised
from mattelike.photos.engine import set_threads
from mattelike.photos.limits import MAX_PIXELS
from mattelike.photos.reading import Header, header, read
from mattelike.photos.saving import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from mattelike.photos.writing import encode, write_alpha, write_cutout, write_rgb

WRITTEN_SUFFIXES = tuple(KINDS)
"""Suffixes that can be written."""

__all__ = [
    "MAX_PIXELS",
    "TEMPORARY_PREFIX",
    "TEMPORARY_SUFFIX",
    "WRITTEN_SUFFIXES",
    "Header",
    "covering",
    "encode",
    "header",
    "quantised",
    "read",
    "set_threads",
    "to_srgb",
    "unpremultiply",
    "write_alpha",
    "write_cutout",
    "write_rgb",
]
