"""An automatic background remover from an ONNX file, as U-2-Net, IS-Net and their kin are published.

One input ``(1, 3, h, w)``, the whole photo stretched to the side the graph was made for; the first output is
a saliency map. Their own scripts stretch that map from its least to its largest value: so it is done here,
for these are their answers to measure, and ``stretch=false`` leaves the map as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from mattelike import framing, photos, resampling
from mattelike.baselines import Answer, Help, Reference
from mattelike.errors import ModelDamagedError, ModelNotFoundError
from mattelike.models import runtime
from mattelike.values import Float32, Photo

Shape = Literal["u2net", "isnet"]


class Look(NamedTuple):
    """How a family of networks is shown a photo.

    Attributes:
        side: Of the square, where the graph does not say.
        mean: Subtracted from RGB in [0, 1].
        std: Divided by.
        brightest: Whether RGB is divided by the photo's largest value first.
    """

    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    brightest: bool


LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "u2net": Look(320, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), True),
        "isnet": Look(1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), False),
    }
)
# A map flatter than this has nothing to stretch.
FLAT = 1e-6


class Remover:
    """A saliency network.

    Args:
        file: The ONNX file.
        shape: How it is shown a photo.
        stretch: Whether its map is stretched to its own extremes.
        device: As for `mattelike.models.load`.
        threads: As for `mattelike.models.load`.

    Raises:
        ModelNotFoundError: No such file or shape.
        ModelDamagedError: Not a graph of one picture in, maps out.
        DeviceError: The device is not there.
    """

    help: Help = "nothing"

    def __init__(self, file: Path, shape: str, stretch: bool, device: str, threads: int | None) -> None:
        if shape not in LOOKS:
            raise ModelNotFoundError(f"no remover has the shape {shape!r}; there are: {', '.join(LOOKS)}")
        if not file.is_file():
            raise ModelNotFoundError(f"{file}: no such file; give file=MODEL.onnx")
        self._session: Any = runtime.session(file, device, threads)
        self._look = LOOKS[shape]
        self._stretch = stretch
        self._input, self._size = _input_of(self._session, file, self._look.side)
        self._about = {
            "method": "remover",
            "weights": runtime.file_hash(file),
            "shape": shape,
            "stretch": str(stretch).lower(),
            "device": runtime.device_in_use(self._session),
        }

    @property
    def about(self) -> Mapping[str, str]:
        """Hash of the file, its shape, device."""
        return self._about

    def encode(self, references: Sequence[Reference]) -> None:
        """It is given nothing."""

    def matte(self, photo: Photo, context: None) -> Answer:
        """The map at the photo's size."""
        rgb = resampling.resize(photos.to_srgb(photo), self._size)
        if self._look.brightest:
            rgb = rgb / max(float(rgb.max()), FLAT)
        fed = framing.normalise(rgb.astype(np.float32), self._look.mean, self._look.std)
        found = np.asarray(self._session.run(None, {self._input: fed})[0], np.float32)
        alpha = resampling.resize(self._map(found), (photo.height, photo.width))
        return Answer(np.clip(alpha, 0, 1))

    def _map(self, found: Float32) -> Float32:
        if found.size != found.shape[-1] * found.shape[-2]:
            raise ModelDamagedError(f"the remover's first output has shape {found.shape}, not one map")
        saliency = found.reshape(found.shape[-2:])
        low, high = float(saliency.min()), float(saliency.max())
        if self._stretch and high - low > FLAT:
            return (saliency - np.float32(low)) / np.float32(high - low)
        return saliency


def _input_of(session: Any, file: Path, side: int) -> tuple[str, tuple[int, int]]:
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ModelDamagedError(f"{file}: not a remover; one input of (1, 3, height, width) was expected")
    height, width = (size if isinstance(size, int) else side for size in inputs[0].shape[2:])
    return inputs[0].name, (height, width)


def remover(
    *,
    device: str = "auto",
    threads: int | None = None,
    file: str = "",
    shape: str = "u2net",
    stretch: bool = True,
) -> Remover:
    """A remover from a file.

    Args:
        device: As for `mattelike.models.load`.
        threads: As for `mattelike.models.load`.
        file: The ONNX file.
        shape: ``u2net`` (320 pixels, ImageNet's colours) or ``isnet`` (1024 pixels, middle gray is 0).
        stretch: Whether the map is stretched to its own extremes, as the published scripts do.

    Raises:
        ModelNotFoundError: No such file or shape.
        ModelDamagedError: Not a graph of one picture in, maps out.
    """
    if not file:
        raise ModelNotFoundError("no file was given; give file=MODEL.onnx")
    return Remover(Path(file).expanduser(), shape, stretch, device, threads)
