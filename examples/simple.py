"""Mark one photo, get the matte of another: three lines."""

from pathlib import Path

import mattelike as ml

HERE = Path(__file__).parent
OUT = HERE.parent / "demo" / "simple.png"
OUT.parent.mkdir(exist_ok=True)

predictor = ml.load()
context = predictor.encode(HERE / "photos/chow/01.jpg", ml.Mask(HERE / "marks/chow.png"))
predictor.matte(HERE / "photos/chow/02.jpg", context).save(OUT)

print(f"written: {OUT}")
