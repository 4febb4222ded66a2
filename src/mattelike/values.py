"""The values that flow through mattelike: frozen, plain, in numpy. No behaviour beyond shape.

Conventions, everywhere in the package:

* images are ``(h, w, 3)`` RGB, upright (EXIF orientation already applied);
* alpha is ``float32 (h, w)`` in ``[0, 1]``;
* positions are ``[row, column]`` inside; points ``(x, y)`` exist only at the doors (`mattelike.prompts`);
* a *token* is one cell of a feature grid; ``N = h_l * w_l`` tokens in raster order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]
RoIKind = Literal["mask", "scribbles", "points", "box"]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a photo file said about itself, kept so that results can say it too.

    Attributes:
        exif: Raw EXIF block, orientation already reset to 1, or None.
        xmp: Raw XMP packet, or None.
        dpi: Horizontal and vertical resolution in dots per inch, or None.
        format: Name of the source format, such as ``"jpeg"``; empty for arrays.
        cicp: Colour code points (ITU-T H.273: primaries, transfer, matrix, full range) of a photo that is
            described by them instead of a profile, such as HDR; None for all others.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    format: str = ""
    cicp: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One upright photograph, in its own depth and its own colour space.

    Attributes:
        pixels: uint8 or uint16 ``(h, w, 3)`` RGB, in the colour space of `profile`.
        alpha: Existing alpha of the file, same depth, ``(h, w)``; None when it had none.
        profile: ICC profile of `pixels`; None means sRGB, unless ``metadata.cicp`` says otherwise.
        name: Where it came from, for messages and file names; may be empty.
        gray: True when the source had a single channel (`pixels` repeats it three times).
        metadata: EXIF and friends, carried to the outputs.
        notes: What reading it took for granted or left out, one sentence each, to be shown to people.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    profile: bytes | None = None
    name: str = ""
    gray: bool = False
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def depth(self) -> Literal[8, 16]:
        """Bits per channel."""
        return 16 if self.pixels.dtype == np.uint16 else 8


@dataclass(frozen=True, slots=True, eq=False)
class RoI:
    """A region of interest on a reference: what a prompt says, at the photo's own size.

    Attributes:
        positive: bool ``(h, w)``, pixels marked as the thing.
        negative: bool ``(h, w)``, pixels known not to be the thing. Pixels in neither are unknown.
        kind: The prompt it came from. ``mask`` marks all of the thing, ``points`` and ``scribbles`` a part
            of it, ``box`` holds the thing and some of its surroundings (everything outside is negative).
        notes: What the reader of the prompt took for granted or found odd, one sentence each, to be shown
            to whoever drew it: a mask that was resized, a box that was turned round, a thing that is tiny.
    """

    positive: Bool
    negative: Bool
    kind: RoIKind = "mask"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What everybody may know of a model without opening it.

    Attributes:
        name: Registry name, such as ``"embedded"``.
        stride: Pixels per token.
        channels: Channels of a token.
        heads: Groups the token's channels are split into for matching; each group is L2-normalised. 0 where
            all matching is done by wide heads.
        whole_channels: Widths of the wide heads that follow the `heads`, which share the channels before.
        grouping_channels: Channels after all heads that say which cells make one thing; 0 for none. They
            are used in the picture itself and never kept in a context.
        temperatures: One softmax sharpness (multiplier of the cosine) per head, for inter-similarity.
        affinities: The same for intra-similarity (self-affinity of the target).
        reference_side: Longest side, in pixels, at which references are looked at.
        target_side: Longest side, in pixels, at which targets are looked at.
        mean: Per-channel mean subtracted from RGB in [0, 1].
        std: Per-channel divisor after that.
        pooling: How a mask is brought to the grid of tokens (`mattelike.tokens.pool`).
        grows: Whether points, scribbles and boxes become a whole thing by asking the model about the
            reference itself, before targets are looked at.
        absent_below: Presence below which the kind counts as absent.
        present_from: Presence from which it counts as present; between the two nobody is sure.
        head: Name of the head that turns guidance into alpha: ``"icon-flex"``, ``"free"``, ``"icon-768"``...
        agrees: Whether alpha is the geometric mean of what the learned head says and the training-free one.
        licence: Licence of the weights.
        source: Where the weights come from.
        sha256: Hash of the weights; contexts carry it and are refused by another model.
        data: Names of the data sets it learnt from.
        numbers: Scores and other measured figures, by name.
        settings: Effective settings of the model, as JSON; empty when it has none.
        reuses: Whether what is seen of a target serves as what is seen of a reference, so that a photo that
            is its own reference is looked at once.
        truncates: Whether alpha goes down to the level below, not to the nearest, as some releases write it.
    """

    name: str
    stride: int
    channels: int
    heads: int = 1
    whole_channels: tuple[int, ...] = ()
    grouping_channels: int = 0
    temperatures: tuple[float, ...] = (10.0,)
    affinities: tuple[float, ...] = (14.0,)
    reference_side: int = 512
    target_side: int = 512
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    pooling: Literal["auto", "min", "max", "average"] = "average"
    grows: bool = False
    absent_below: float = 0.25
    present_from: float = 0.6
    head: str = "free"
    agrees: bool = False
    licence: str = ""
    source: str = ""
    sha256: str = ""
    data: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    settings: str = ""
    reuses: bool = False
    truncates: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """Queries and keys of one captured self-attention layer: ``A = softmax(q k^T * scale)``, per head.

    Attributes:
        q: float32 ``(heads, N, d)``.
        k: float32 ``(heads, N, d)``.
        scale: Multiplier of the logits.
        grid: ``(h, w)`` with ``h * w == N``.
    """

    q: Float32
    k: Float32
    scale: float
    grid: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What a backbone sees in a batch of images.

    Attributes:
        tokens: float32 ``(b, c, h, w)``, the features that are matched (paper: ``F_inter``).
        skips: Finer features for the head, finest last, each float32 ``(b, c_i, h_i, w_i)``.
        attention: Captured self-attention layers of the single image of the batch, or empty; then
            self-affinity is made from the tokens themselves.
    """

    tokens: Float32
    skips: tuple[Float32, ...] = ()
    attention: tuple[Attention, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Guidance:
    """Where the marked kind is in one target, before any head has looked at it.

    Attributes:
        maps: float32 ``(g, h, w)``: the channels a head reads, in the order of `names`.
        names: One name a channel.
        similarity: float32 ``(h, w)`` in [0, 1]: contrastive inter-similarity, mean over heads.
        propagated: float32 ``(h, w)``: `similarity` after one step of intra-similarity.
        presence: Is the kind there at all? In [0, 1].
    """

    maps: Float32
    names: tuple[str, ...]
    similarity: Float32
    propagated: Float32
    presence: float
