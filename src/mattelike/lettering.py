"""Small letters drawn into pictures, so that no font is needed: capitals, digits and a few signs, 5 x 7."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mattelike.values import Bool

HEIGHT, WIDTH = 7, 5

# Seven rows a letter, one hexadecimal pair a row; the lowest five bits are the pixels, the leftmost highest.
_LETTERS = {
    "A": "0E11111F111111",
    "B": "1E11111E11111E",
    "C": "0E11101010110E",
    "D": "1E11111111111E",
    "E": "1F10101E10101F",
    "F": "1F10101E101010",
    "G": "0E11101711110F",
    "H": "1111111F111111",
    "I": "0E04040404040E",
    "J": "0702020202120C",
    "K": "11121418141211",
    "L": "1010101010101F",
    "M": "111B1515111111",
    "N": "11191513111111",
    "O": "0E11111111110E",
    "P": "1E11111E101010",
    "Q": "0E11111115120D",
    "R": "1E11111E141211",
    "S": "0F10100E01011E",
    "T": "1F040404040404",
    "U": "1111111111110E",
    "V": "11111111110A04",
    "W": "11111115151B11",
    "X": "11110A040A1111",
    "Y": "11110A04040404",
    "Z": "1F01020408101F",
    "0": "0E11131519110E",
    "1": "040C040404040E",
    "2": "0E11010204081F",
    "3": "1F02040201110E",
    "4": "02060A121F0202",
    "5": "1F101E0101110E",
    "6": "0608101E11110E",
    "7": "1F010204080808",
    "8": "0E11110E11110E",
    "9": "0E11110F01020C",
    ".": "00000000000404",
    ",": "00000000040408",
    ":": "00040400040400",
    "-": "0000001F000000",
    "+": "0004041F040400",
    "=": "00001F001F0000",
    "/": "01010204081010",
    "%": "18190204081303",
    "(": "02040808080402",
    ")": "08040202020408",
    "'": "04040800000000",
    "_": "0000000000001F",
    "~": "00000815020000",
}


def lettered(text: str, scale: int = 2) -> Bool:
    """Text as a mask; small letters become capitals, signs that are not known stay empty.

    Args:
        text: One line.
        scale: Pixels a dot.

    Returns:
        bool ``(7 scale, (6 n - 1) scale)`` for n letters; ``(7 scale, 0)`` for none.
    """
    columns: list[NDArray[np.bool_]] = []
    for letter in text.upper():
        rows = bytes.fromhex(_LETTERS.get(letter, "00" * HEIGHT))
        bits = np.unpackbits(np.frombuffer(rows, np.uint8)[:, None], axis=1)[:, 8 - WIDTH :]
        columns += [bits.astype(np.bool_), np.zeros((HEIGHT, 1), np.bool_)]
    line = np.concatenate(columns[:-1], axis=1) if columns else np.zeros((HEIGHT, 0), np.bool_)
    whole: Bool = np.kron(line, np.ones((scale, scale), np.bool_)).astype(np.bool_)
    return whole


def write_text(
    canvas: NDArray[np.uint8],
    text: str,
    row: int,
    column: int,
    *,
    scale: int = 2,
    ink: tuple[int, int, int] = (255, 255, 255),
    outline: tuple[int, int, int] | None = None,
) -> None:
    """Writes text into a picture, cut off at its edges.

    Args:
        canvas: uint8 ``(h, w, 3)``, changed in place.
        text: One line.
        row: Of the upper left corner.
        column: Of the upper left corner.
        scale: Pixels a dot.
        ink: Colour of the letters.
        outline: Colour around them, so that they can be read on anything; None leaves it out.
    """
    letters = lettered(text, scale)
    if outline is not None:
        around = np.pad(letters, scale)
        thick = np.zeros_like(around)
        for down in (-scale, 0, scale):
            for across in (-scale, 0, scale):
                thick |= np.roll(around, (down, across), (0, 1))
        _stamp(canvas, thick, row - scale, column - scale, outline)
    _stamp(canvas, letters, row, column, ink)


def _stamp(canvas: NDArray[np.uint8], mask: Bool, row: int, column: int, ink: tuple[int, int, int]) -> None:
    top, left = max(0, -row), max(0, -column)
    bottom, right = min(mask.shape[0], canvas.shape[0] - row), min(mask.shape[1], canvas.shape[1] - column)
    if bottom > top and right > left:
        canvas[row + top : row + bottom, column + left : column + right][mask[top:bottom, left:right]] = ink
