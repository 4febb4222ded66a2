"""Draws the masks of the example references, ``examples/marks/*.png``, from outlines clicked by hand.

    python recipes/example_marks.py [--look FOLDER]

Outlines are ``x,y`` in half pixels of the 512-pixel photos (as clicked on a view at twice the size); the
masks are drawn at that size and shrunk, so that their edges are soft. With ``--look``, the photos with their
masks over them are written there too. Needs Pillow (group ``check``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw

EXAMPLES = Path(__file__).parent.parent / "examples"
OUTLINES = {
    "chow/01": """
        440,205 448,175 465,148 485,138 508,146 525,165 560,168 600,168 612,155 635,138 660,142 690,165
        720,190 740,210 790,225 830,260 865,300 890,340 905,380 925,430 932,480 938,520 935,570 945,620
        958,670 965,710 955,760 940,790 925,830 910,860 880,870 850,860 815,835 780,845 740,850 715,815
        690,850 665,870 600,880 580,895 550,900 515,890 500,880 470,862 430,865 385,870 340,862 290,860
        200,855 150,850 110,830 92,790 90,740 92,710 110,685 140,665 180,640 215,618 240,600 245,560 250,520
        262,490 275,450 285,420 300,390 325,350 345,310 370,280 395,255 415,235
    """,
    "sloth/00": """
        375,218 400,208 435,204 465,210 500,230 520,255 535,295 537,335 525,370 508,390 510,405 540,440
        570,480 590,520 610,560 622,590 624,615 610,640 598,655 580,645 560,640 535,615 525,590 515,570
        505,600 490,625 460,645 430,662 385,668 340,665 322,650 310,668 300,675 280,668 255,660 225,645
        205,620 198,590 205,565 190,572 176,568 178,530 185,500 200,475 230,440 265,405 300,385 335,376
        320,350 305,320 302,290 310,262 325,240 345,225
    """,
    "vase/03": """
        622,42 645,36 668,36 670,75 690,95 712,102 728,95 722,130 720,170 722,210 735,260 750,320 770,390
        795,455 815,515 832,575 842,630 849,700 851,760 848,850 840,930 832,1000 800,1008 740,1012 650,1011
        590,1008 555,1002 548,950 538,880 532,800 531,720 535,650 543,590 560,510 580,445 608,380 625,320
        640,260 650,200 652,160 650,110 640,75
    """,
}


def mask(outline: str, size: tuple[int, int]) -> Image.Image:
    """The inside of an outline, white on black."""
    corners = [(int(x), int(y)) for x, y in (corner.split(",") for corner in outline.split())]
    drawn = Image.new("L", (2 * size[0], 2 * size[1]), 0)
    ImageDraw.Draw(drawn).polygon(corners, fill=255)
    return drawn.resize(size, Image.Resampling.BOX)


def main() -> None:
    """Writes all masks."""
    parser = argparse.ArgumentParser(description="Draws the masks of the example references.")
    parser.add_argument("--look", type=Path, help="folder for photos with their masks over them")
    look: Path | None = parser.parse_args().look
    for name, outline in OUTLINES.items():
        photo = Image.open(EXAMPLES / "photos" / f"{name}.jpg").convert("RGB")
        drawn = mask(outline, photo.size)
        drawn.save(EXAMPLES / "marks" / f"{name.partition('/')[0]}.png", optimize=True)
        if look is not None:
            look.mkdir(parents=True, exist_ok=True)
            paler = Image.blend(photo, Image.new("RGB", photo.size, "cyan"), 0.7)
            Image.composite(photo, paler, drawn).save(look / f"{name.replace('/', '-')}.png")


if __name__ == "__main__":
    main()
