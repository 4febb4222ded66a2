"""Several references and a counter-example, a folder, another background, and a context kept as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mattelike as ml

HERE = Path(__file__).parent
OUT = HERE.parent / "demo" / "advanced"
PHOTOS = HERE / "photos" / "vase"


def learnt(predictor: ml.Predictor) -> ml.Context:
    """The vase, seen from two sides and against the tray that stands beside it in other photos."""
    return predictor.encode(
        [
            (PHOTOS / "03.jpg", ml.Mask(HERE / "marks" / "vase.png")),
            (PHOTOS / "02.jpg", ml.Box(190, 110, 300, 430)),
        ],
        negatives=[(PHOTOS / "05.jpg", ml.Box(255, 395, 375, 460))],
    )


def cut_out(
    predictor: ml.Predictor, paths: Sequence[Path], context: ml.Context, background: ml.Photo
) -> None:
    """A cut-out of every photo, empty where there is no vase; where there is, another background, too."""
    for path, matte in zip(paths, predictor.mattes(paths, context, workers=2), strict=True):
        print(f"{path.name}: {matte.status} ({matte.presence:.2f})")
        name = f"{path.parent.name}-{path.stem}"
        matte.or_empty().save(OUT / f"{name}.png")
        if matte.status != "absent":
            matte.save(OUT / f"{name}.in-the-park.jpg", emit="composite", background=background)


def main() -> None:
    """Learns the vase, keeps what was learnt, and cuts it out of its group and of a photo without it."""
    OUT.mkdir(parents=True, exist_ok=True)
    predictor = ml.load()
    learnt(predictor).save(OUT / "vase.context")

    # Another day, or another machine with the same model.
    context = ml.Context.load(OUT / "vase.context")
    paths = [*sorted(PHOTOS.glob("*.jpg")), HERE / "photos" / "chow" / "00.jpg"]
    cut_out(predictor, paths, context, ml.read_image(HERE / "photos" / "sloth" / "00.jpg"))
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
