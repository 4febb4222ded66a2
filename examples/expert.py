"""A backbone of your own: everything but how it sees is shared.

This one sees nothing but colour: a token is the histogram of its cell. It is no good where colours are shared
with the background, and it shows all that a backbone has to say. To make one a model of the package, put the
class in ``mattelike/models/`` and add a row to `mattelike.models.MODELS`: contract tests run over the rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mattelike as ml
from mattelike.models import Coarse, Role, contrastive
from mattelike.models.free import free_alpha
from mattelike.values import Features, Float32, ModelCard, RoIKind

HERE = Path(__file__).parent
OUT = HERE.parent / "demo" / "expert"
CELL = 8  # pixels
LEVELS = np.linspace(0, 1, 5, dtype=np.float32)


class Colour:
    """Colour histograms behind the contract of `mattelike.models.Model`."""

    multiple = CELL
    device = "cpu"
    card = ModelCard(
        name="colour",
        stride=CELL,
        channels=len(LEVELS) ** 3,
        temperatures=(12.0,),
        affinities=(12.0,),
        reference_side=320,
        target_side=320,
        licence="Apache-2.0",
        source="no weights",
        sha256="no weights",
    )

    def features(self, images: Float32, role: Role) -> Features:
        """Square roots of the colour histogram of each cell: ``(1, 125, h / 8, w / 8)``."""
        rgb = images[0] * 0.5 + 0.5
        # How much of each pixel's red, green and blue lies at each level; the product is its place in colour.
        red, green, blue = (
            np.maximum(0, 1 - np.abs(channel - LEVELS[:, None, None]) * (len(LEVELS) - 1)) for channel in rgb
        )
        pixels = np.einsum("rhw,ghw,bhw->rgbhw", red, green, blue, optimize=True)
        _, height, width = rgb.shape
        cells = pixels.reshape(-1, height // CELL, CELL, width // CELL, CELL).mean(axis=(2, 4))
        return Features(tokens=np.sqrt(cells)[None].astype(np.float32))

    def weigh(self, features: Features, positive: Float32, negative: Float32, kind: RoIKind) -> Float32:
        """From marks to a weight for every cell of a reference."""
        return contrastive.weigh(self.card, features, positive, negative, kind)

    def remember(
        self, features: Features, weights: Float32
    ) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """What a context stores of a reference."""
        return contrastive.remember(self.card, features, weights)

    def guide(self, features: Features, context: ml.Context) -> ml.Guidance:
        """Where the kind is in a target."""
        return contrastive.guide(self.card, features, context)

    def alpha(self, images: Float32, features: Features, guidance: ml.Guidance) -> Coarse:
        """The training-free head."""
        seen = np.clip(images[0].transpose(1, 2, 0) * 0.5 + 0.5, 0, 1)
        return Coarse(free_alpha(seen, guidance.similarity, guidance.propagated))


def main() -> None:
    """Cuts the red vase out of its group by colour alone."""
    OUT.mkdir(parents=True, exist_ok=True)
    predictor = ml.Predictor(Colour())
    vases = HERE / "photos" / "vase"
    context = predictor.encode(vases / "03.jpg", ml.Mask(HERE / "marks" / "vase.png"))
    for path in sorted(vases.glob("*.jpg")):
        matte = predictor.matte(path, context)
        print(f"{path.name}: {matte.presence:.2f}")
        matte.save(OUT / path.name.replace(".jpg", ".png"))
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
