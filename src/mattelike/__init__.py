"""mattelike: mark one thing in one photo, get mattes of its kind in all the others.

::

    import mattelike as ml

    predictor = ml.load()
    context = predictor.encode("cat.jpg", ml.Points([(412, 310)]))
    predictor.matte("target.jpg", context).save("out.png")

Everything public is here and nowhere else. Names are looked up on first use, so that importing the package
(and ``mattelike --help``) costs nothing: no numpy, no onnxruntime, no libvips, no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mattelike import errors, metrics
    from mattelike.contexts import Context
    from mattelike.mattes import Matte
    from mattelike.photos import read as read_image
    from mattelike.predictor import Predictor, load
    from mattelike.prompts import Box, Marks, Mask, Points, Scribbles
    from mattelike.values import Guidance, Photo

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Context",
    "Guidance",
    "Marks",
    "Mask",
    "Matte",
    "Photo",
    "Points",
    "Predictor",
    "Scribbles",
    "__version__",
    "errors",
    "load",
    "metrics",
    "read_image",
]

_HOMES = {
    "Box": "mattelike.prompts:Box",
    "Context": "mattelike.contexts:Context",
    "Guidance": "mattelike.values:Guidance",
    "Marks": "mattelike.prompts:Marks",
    "Mask": "mattelike.prompts:Mask",
    "Matte": "mattelike.mattes:Matte",
    "Photo": "mattelike.values:Photo",
    "Points": "mattelike.prompts:Points",
    "Predictor": "mattelike.predictor:Predictor",
    "Scribbles": "mattelike.prompts:Scribbles",
    "errors": "mattelike.errors",
    "load": "mattelike.predictor:load",
    "metrics": "mattelike.metrics",
    "read_image": "mattelike.photos:read",
}


def __getattr__(name: str) -> object:
    """Fetches a public name from its home on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    value: object = import_module(module)
    if attribute:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, whether or not they have been used yet."""
    return sorted({*globals(), *__all__})
