"""Inter- and intra-similarity: section 3.4 and 3.6 of the paper, and our contrastive form of them.

One reference tells what to look for, one target is where to look. Both are grids of tokens, split into
heads and L2-normalised::

    F   (..., m, n, d)   target tokens:     m heads, n cells in raster order, d channels a head
    R   (..., m, k, d)   reference tokens:  the cells of all references, one after the other
    w   (..., k)         how much of a reference cell is foreground, in [0, 1]

The functions are pure and written for numpy arrays and torch tensors alike (`array_api_compat` where the
two differ), so that the runtime and the training run the same lines and gradients flow through them.
Leading dimensions broadcast.

==========================  =====================================================================
paper                       here
==========================  =====================================================================
equation 4 (inter)          `inter_similarity`; turned round so that "not this" counts: `contrast`
equation 5 (intra)          `intra_similarity` as written; `propagate` without the N x N map
section 3.6 (extension)     `extend` as written; `seeded`, `boxed` for the contrastive form
beyond the paper            `pooled`: cells speak for the thing they are part of
==========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

# numpy arrays and torch tensors share no type; shapes are in the docstrings and checked in the tests.
Array = Any

# Rows of a self-affinity computed at a time: bounds the memory at `block * N` a head.
BLOCK = 1024
# A cosine no pair of tokens reaches, for "the best of none".
NONE_FOUND = -1.0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the references say of every cell of a target, per head; arrays ``(..., m, n)``.

    Attributes:
        contrast: Share of attention that falls on foreground when a cell looks at all reference tokens.
        best_foreground: Best cosine to any foreground token.
        best_background: Best cosine to any background token; `NONE_FOUND` without one.
        mean_foreground: Cosine to the mean foreground token.
        mean_background: Cosine to the mean background token; 0 without one.
        propagated: `contrast` after one step of self-affinity within the target.
        thing_foreground: Cosine of the thing a cell is part of (`pooled`) to the mean foreground token.
        thing_background: The same to the mean background token; 0 without one.
        thing_lead: How near `thing_foreground` comes to the highest in the target: 1 for the likeliest
            thing, near 0 for things that are clearly less like the reference than that one.
    """

    contrast: Array
    best_foreground: Array
    best_background: Array
    mean_foreground: Array
    mean_background: Array
    propagated: Array
    thing_foreground: Array
    thing_background: Array
    thing_lead: Array

    def stacked(self) -> Array:
        """All maps as channels ``(..., 9 m, n)``, in the order of the attributes."""
        parts = [getattr(self, name) for name in EVIDENCE]
        return array_namespace(*parts).concat(parts, axis=-2)

    @classmethod
    def of(cls, stacked: Array) -> Evidence:
        """The evidence that `stacked` made channels of, ``(..., 9 m, n)``."""
        heads = stacked.shape[-2] // len(EVIDENCE)
        return cls(*(stacked[..., i * heads : (i + 1) * heads, :] for i in range(len(EVIDENCE))))


EVIDENCE = (
    "contrast",
    "best_foreground",
    "best_background",
    "mean_foreground",
    "mean_background",
    "propagated",
    "thing_foreground",
    "thing_background",
    "thing_lead",
)


def channel_names(heads: int) -> tuple[str, ...]:
    """Names of the channels of `Evidence.stacked`, such as ``"contrast.0"``."""
    return tuple(f"{name}.{head}" for name in EVIDENCE for head in range(heads))


def _transposed(x: Array) -> Array:
    return array_namespace(x).matrix_transpose(x)


def softmax(logits: Array) -> Array:
    """Softmax over the last axis, safe for any finite logits."""
    if hasattr(logits, "softmax"):
        return logits.softmax(-1)  # torch has it in one pass
    xp = array_namespace(logits)
    powers = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return powers / xp.sum(powers, axis=-1, keepdims=True)


def normalised(x: Array, epsilon: float = 1e-6) -> Array:
    """Vectors of length one along the last axis; the zero vector stays zero.

    A bound, not a sum: exporters drop a number as small as `epsilon` squared from a sum.
    """
    xp = array_namespace(x)
    return x / xp.sqrt(xp.clip(xp.sum(x * x, axis=-1, keepdims=True), epsilon**2, None))


def split_heads(tokens: Array, heads: int) -> Array:
    """A feature grid ``(..., c, h, w)`` as normalised tokens ``(..., m, h * w, c / m)``."""
    xp = array_namespace(tokens)
    *lead, channels, height, width = tokens.shape
    grouped = xp.reshape(tokens, (*lead, heads, channels // heads, height * width))
    return normalised(_transposed(grouped))


def constant(x: Array) -> Array:
    """The same values without their gradient; numpy arrays have none."""
    return x.detach() if hasattr(x, "detach") else x


def split_families(tokens: Array, heads: int, whole: Sequence[int] = ()) -> tuple[Array, ...]:
    """A feature grid as families of heads, all heads of a family equally wide.

    Args:
        tokens: ``(..., c, h, w)``.
        heads: Heads that share the first channels, all but ``sum(whole)``; 0 where there are no others.
        whole: Widths of the heads that follow, each one a family of its own.

    Returns:
        One array ``(..., m_i, h * w, d_i)`` a family.
    """
    first = tokens.shape[-3] - sum(whole)
    families = [split_heads(tokens[..., :first, :, :], heads)] if heads else []
    for width in whole:
        families.append(split_heads(tokens[..., first : first + width, :, :], 1))
        first += width
    return tuple(families)


def own_numbers(families: Sequence[Array], values: Array) -> list[Array]:
    """Numbers of every head, over all families in a row, as one piece a family."""
    pieces, first = [], 0
    for tokens in families:
        pieces.append(values[first : first + tokens.shape[-3]])
        first += tokens.shape[-3]
    return pieces


def split_grouping(
    tokens: Array, heads: int, whole: Sequence[int] = (), grouping: int = 0
) -> tuple[tuple[Array, ...], Array | None]:
    """`split_families` of tokens whose last channels say which cells make one thing; those beside them.

    Args:
        tokens: ``(..., c, h, w)``.
        heads: As for `split_families`.
        whole: As for `split_families`.
        grouping: How many of the last channels are grouping channels; 0 for none.

    Returns:
        The families; and ``(..., 1, h * w, grouping)``, or None.
    """
    first = tokens.shape[-3] - grouping
    families = split_families(tokens[..., :first, :, :], heads, whole)
    return families, grouping_tokens(tokens[..., first:, :, :]) if grouping else None


def grouping_tokens(grid: Array) -> Array:
    """Grouping channels ``(..., g, h, w)`` as one head ``(..., 1, h * w, g)``, at the length they come in."""
    xp = array_namespace(grid)
    *lead, channels, height, width = grid.shape
    return _transposed(xp.reshape(grid, (*lead, 1, channels, height * width)))


def per_head(values: Array, like: Array) -> Array:
    """A sequence of m numbers as ``(m, 1, 1)`` in the array library, dtype and device of `like`."""
    xp = array_namespace(like)
    if not hasattr(values, "shape"):
        values = xp.asarray(list(values), dtype=like.dtype, device=getattr(like, "device", None))
    return xp.reshape(values, (-1, 1, 1))


# --- section 3.4: inter-similarity -------------------------------------------------------------------


def inter_similarity(queries: Array, features: Array, reduction: str = "mean") -> Array:
    """Equation 4: every query token of the reference spreads one unit of attention over the target.

    ``S_k = softmax_j(Q_k . F_j / sqrt(d))`` and ``S`` is their mean (the paper) or sum (the release).

    Args:
        queries: ``(..., k, d)``, features of the reference inside its region of interest.
        features: ``(..., n, d)``, features of the target.
        reduction: ``"mean"`` or ``"sum"`` over the queries.

    Returns:
        ``(..., n)``, non-negative; sums to 1 (mean) or k (sum) whatever the target shows, which is why
        it cannot tell that a kind is absent. No queries give zeros.
    """
    xp = array_namespace(queries, features)
    if queries.shape[-2] == 0:
        return xp.sum(features, axis=-1) * 0
    attention = softmax((queries @ _transposed(features)) * features.shape[-1] ** -0.5)
    total = xp.sum(attention, axis=-2)
    return total / queries.shape[-2] if reduction == "mean" else total


def contrast(cosine: Array, weights: Array, temperatures: Array, kept: Array | None = None) -> Array:
    """Equation 4 turned round: every cell of the target looks at ALL reference tokens.

    ``C_j = sum_k softmax_k(t cos(F_j, R_k)) w_k``: 1 where a cell is best explained by the marked thing,
    0 where by its surroundings or by a negative reference.

    Args:
        cosine: ``(..., m, n, k)``.
        weights: ``(..., k)`` in [0, 1].
        temperatures: m multipliers of the cosine.
        kept: bool ``(..., k)``, reference tokens that are looked at; all by default, at least one.

    Returns:
        ``(..., m, n)`` in [0, 1].
    """
    logits = cosine * per_head(temperatures, cosine)
    if kept is not None:
        logits = logits + _barred(kept, logits)
    attention = softmax(logits)
    return (attention @ weights[..., None, :, None])[..., 0]


def _barred(kept: Array, like: Array) -> Array:
    """What added to logits or cosines ``(..., m, n, k)`` leaves only the `kept` ``(..., k)``."""
    return (1 - array_namespace(like).astype(kept, like.dtype))[..., None, None, :] * -1e4


def best(cosine: Array, chosen: Array) -> Array:
    """Best cosine ``(..., m, n)`` among the reference tokens where `chosen` ``(..., k)`` is true.

    No gradient: it would reach one token a cell, and cost as much as all the rest.
    """
    xp = array_namespace(cosine)
    cosine = constant(cosine)
    # Adding nothing to what is chosen and barring the rest is several times as fast as choosing.
    return xp.clip(xp.max(cosine + _barred(chosen, cosine), axis=-1), NONE_FOUND, None)


def mean_token(reference: Array, weights: Array) -> Array:
    """The weighted mean token, per head, of length one: ``(..., m, 1, d)``; zero when all weights are."""
    return normalised(weights[..., None, None, :] @ reference, epsilon=1e-4)


# --- section 3.4: intra-similarity -------------------------------------------------------------------


def intra_similarity(attention: Array, similarity: Array) -> Array:
    """Equation 5 as written, ``S' = A * S``: the weights S fall on the keys of the self-attention.

    Args:
        attention: ``(..., n, n)``, rows (queries) sum to 1.
        similarity: ``(..., n)``.

    Returns:
        ``(..., n, n)``: row i is the attention of cell i, weighted by the similarity of what it looks at.
    """
    return attention * similarity[..., None, :]


def propagate(queries: Array, keys: Array, values: Array, scale: Array, block: int = BLOCK) -> Array:
    """Row sums of equation 5, ``P_i = sum_j A_ij S_j``, without ever holding the N x N map.

    ``A = softmax(q k^T * scale)`` and S is the value of an ordinary attention, so P is linear in S.

    Args:
        queries: ``(..., n, d)``.
        keys: ``(..., n', d)``.
        values: ``(..., n', v)``.
        scale: Multiplier of the logits, broadcastable to ``(..., n, n')``.
        block: Queries at a time.

    Returns:
        ``(..., n, v)``.
    """
    xp = array_namespace(queries, keys, values)
    flipped = _transposed(keys)
    count = queries.shape[-2]
    if count <= block:
        return softmax((queries @ flipped) * scale) @ values
    rows = [
        softmax((queries[..., start : start + block, :] @ flipped) * scale) @ values
        for start in range(0, count, block)
    ]
    return xp.concat(rows, axis=-2)


def pooled(
    families: Sequence[Array], affinities: Array, grouping: Array | None = None, block: int = BLOCK
) -> tuple[Array, ...]:
    """Every cell speaks for the thing it is part of: its token becomes the mean over that thing.

    Cells match by colour and texture; a whole thing matches by kind. ``T_i = sum_j G_ij F_j`` with G the
    softmax of ``g_i . g_j``: how surely cell j is part of the same thing as cell i.

    Args:
        families: Tokens of one image, one ``(..., m_i, n, d_i)`` a family.
        affinities: Sharpness of self-affinity of every head, over all families in a row; used in place
            of G where there are no grouping tokens.
        grouping: ``(..., 1, n, g)``, from a network that learned what makes one thing.
        block: Cells at a time.

    Returns:
        The same shapes, length one along d.
    """
    if grouping is None:
        pairs = zip(families, own_numbers(families, affinities), strict=True)
        return tuple(normalised(propagate(f, f, f, per_head(own, f), block)) for f, own in pairs)
    xp = array_namespace(grouping)
    # All heads side by side, so that G is made once.
    flat = [xp.reshape(xp.moveaxis(f, -3, -2), (*f.shape[:-3], f.shape[-2], -1)) for f in families]
    own_cells = grouping[..., 0, :, :]
    spread = propagate(own_cells, own_cells, xp.concat(flat, axis=-1), 1.0, block)
    found, first = [], 0
    for f, wide in zip(families, flat, strict=True):
        own = spread[..., first : first + wide.shape[-1]]
        first += wide.shape[-1]
        heads = xp.reshape(own, (*own.shape[:-1], f.shape[-3], f.shape[-1]))
        found.append(normalised(xp.moveaxis(heads, -2, -3)))
    return tuple(found)


# --- both together -----------------------------------------------------------------------------------


def compare(
    target: Array,
    reference: Array,
    weights: Array,
    temperatures: Array,
    affinities: Array,
    things: Array | None = None,
    block: int = BLOCK,
    kept: Array | None = None,
) -> Evidence:
    """All that the references say of a target: the guidance before any learned layer has read it.

    Args:
        target: ``(..., m, n, d)``, length one along d.
        reference: ``(..., m, k, d)``, likewise, all references and negatives in a row.
        weights: ``(..., k)`` in [0, 1].
        temperatures: m sharpnesses of inter-similarity.
        affinities: m sharpnesses of intra-similarity.
        things: Shape of `target`: its tokens after `pooled`; by default pooled by self-affinity.
        block: Cells whose self-affinity is computed at a time.
        kept: bool ``(..., k)``, reference tokens that have a say; all by default. The same as leaving the
            others out, for batches whose references keep different numbers of them.
    """
    if things is None:
        things = pooled([target], affinities, block=block)[0]
    xp = array_namespace(target)
    cosine = target @ _transposed(reference)
    share = contrast(cosine, weights, temperatures, kept)
    marked, rest = weights >= 0.5, weights < 0.5
    against = 1 - weights
    if kept is not None:
        marked, rest = marked & kept, rest & kept
        weights, against = (x * xp.astype(kept, x.dtype) for x in (weights, against))
    spread = propagate(target, target, share[..., None], per_head(affinities, target), block)
    foreground = _transposed(mean_token(reference, weights))
    background = _transposed(mean_token(reference, against))
    likeness = (things @ foreground)[..., 0]
    sharpness = per_head(temperatures, target)[..., 0]
    return Evidence(
        contrast=share,
        best_foreground=best(cosine, marked),
        best_background=best(cosine, rest),
        mean_foreground=(target @ foreground)[..., 0],
        mean_background=(target @ background)[..., 0],
        propagated=spread[..., 0],
        thing_foreground=likeness,
        thing_background=(things @ background)[..., 0],
        thing_lead=xp.exp(sharpness * (likeness - xp.max(likeness, axis=-1, keepdims=True))),
    )


def compare_families(
    targets: Sequence[Array],
    references: Sequence[Array],
    weights: Array,
    temperatures: Array,
    affinities: Array,
    things: Sequence[Array],
    block: int = BLOCK,
    kept: Array | None = None,
) -> Evidence:
    """`compare` for heads of several widths: the evidence of all families side by side.

    Args:
        targets: One ``(..., m_i, n, d_i)`` a family.
        references: One ``(..., m_i, k, d_i)`` a family.
        weights: ``(..., k)`` in [0, 1].
        temperatures: Sharpness of inter-similarity of every head, over all families in a row.
        affinities: The same for intra-similarity.
        things: Shapes of `targets`: their tokens after `pooled`.
        block: Cells whose self-affinity is computed at a time.
        kept: As for `compare`.
    """
    sharpness = own_numbers(targets, temperatures), own_numbers(targets, affinities)
    parts = zip(targets, references, *sharpness, things, strict=True)
    found = [
        compare(target, reference, weights, t, a, whole, block, kept)
        for target, reference, t, a, whole in parts
    ]
    xp = array_namespace(weights)
    return Evidence(*(xp.concat([getattr(e, name) for e in found], axis=-2) for name in EVIDENCE))


def presence_score(evidence: Evidence, cells: int = 20) -> Array:
    """How surely the kind is somewhere in the target, ``(...)``, without any learned part.

    The mean, over the `cells` best cells, of how much nearer a cell is to the foreground than to the
    background, times how near. It is a score, not a probability.
    """
    xp = array_namespace(evidence.contrast)
    nearness = xp.mean(evidence.contrast * evidence.best_foreground, axis=-2)
    ordered = xp.sort(nearness, axis=-1)
    return xp.mean(ordered[..., -min(cells, ordered.shape[-1]) :], axis=-1)


# --- section 3.6: reference-prompt extension ---------------------------------------------------------


def extend(attention_rows: Array, prompted: Array, m: int) -> Array:
    """Section 3.6 as written: each prompted token adds the m tokens it attends to most.

    Args:
        attention_rows: ``(p, n)``: the rows of the reference's self-attention at the p prompted tokens.
        prompted: int ``(p,)``, their positions; they always stay.
        m: How many positions a row adds; 0 adds none.

    Returns:
        Sorted unique positions, int ``(q,)`` with ``p <= q <= p (1 + m)``. Ties go to the lower index.
    """
    xp = array_namespace(attention_rows, prompted)
    if m <= 0 or attention_rows.shape[0] == 0:
        return xp.unique_values(prompted)
    order = xp.argsort(-attention_rows, axis=-1, stable=True)
    added = xp.reshape(order[:, :m], (-1,))
    return xp.unique_values(xp.concat([prompted, xp.astype(added, prompted.dtype)]))


def seeded(tokens: Array, positive: Array, negative: Array, affinities: Array) -> Array:
    """Section 3.6 in the contrastive form: from a few marked cells to a weight for every cell.

    A cell belongs to the thing as far as it is nearer to the marked cells than to what lies against them:
    the negative cells, or, where none are marked, the half of the reference that is least like the mark.

    Args:
        tokens: ``(..., m, n, d)``, tokens of the reference, length one along d.
        positive: ``(..., n)`` in [0, 1], cells marked as the thing.
        negative: ``(..., n)`` in [0, 1], cells known not to be it; may be all zero.
        affinities: m sharpnesses of intra-similarity.

    Returns:
        ``(..., n)`` weights in [0, 1]; 1 where marked positive, 0 where marked negative.
    """
    xp = array_namespace(tokens)
    likeness = xp.mean((tokens @ _transposed(mean_token(tokens, positive)))[..., 0], axis=-2)
    middle = xp.sort(likeness, axis=-1)[..., likeness.shape[-1] // 2][..., None]
    known = xp.max(negative, axis=-1, keepdims=True) > 0
    unlike = xp.astype(likeness <= middle, tokens.dtype) * (1 - positive)
    against = xp.where(known, negative, unlike)
    # One softmax over both sets, each with the same say however few cells it has; the rest take no part.
    for_it = positive / (xp.sum(positive, axis=-1, keepdims=True) + 1e-6)
    prior = for_it + against / (xp.sum(against, axis=-1, keepdims=True) + 1e-6)
    cosine = tokens @ _transposed(tokens)
    attention = softmax(cosine * per_head(affinities, cosine) + xp.log(prior + 1e-9)[..., None, None, :])
    share = for_it / (prior + 1e-9)
    weights = xp.mean((attention @ share[..., None, :, None])[..., 0], axis=-2)
    weights = xp.where(positive >= 0.5, xp.ones_like(weights), weights)
    return xp.where(negative >= 0.5, xp.zeros_like(weights), weights)


def boxed(tokens: Array, inside: Array, affinities: Array) -> Array:
    """What a box means: the thing inside it, found by self-similarity against what lies outside.

    A cell inside keeps weight as far as the cells it resembles most, itself left out, lie inside too.

    Args:
        tokens: ``(..., m, n, d)``, tokens of the reference, length one along d.
        inside: ``(..., n)`` in [0, 1].
        affinities: m sharpnesses of intra-similarity.

    Returns:
        ``(..., n)`` weights in [0, 1], 0 outside the box.
    """
    xp = array_namespace(tokens)
    cosine = tokens @ _transposed(tokens)
    itself = xp.eye(cosine.shape[-1], dtype=cosine.dtype, device=getattr(cosine, "device", None))
    # Equal say for inside and outside, however small the box is.
    size = xp.sum(inside, axis=-1, keepdims=True)
    prior = inside / (size + 1e-6) + (1 - inside) / (inside.shape[-1] - size + 1e-6)
    logits = cosine * per_head(affinities, cosine) - 1e4 * itself + xp.log(prior + 1e-9)[..., None, None, :]
    share = xp.mean((softmax(logits) @ inside[..., None, :, None])[..., 0], axis=-2)
    return inside * share


def grown(
    families: Sequence[Array],
    positive: Array,
    negative: Array,
    affinities: Array,
    box: bool,
    grouping: Array | None = None,
) -> Array:
    """`seeded` (or, for a box, `boxed`) by every family of heads, and the mean of what they say.

    Args:
        families: One ``(..., m_i, n, d_i)`` a family.
        positive: ``(..., n)`` in [0, 1]; for a box, its inside.
        negative: ``(..., n)`` in [0, 1]; a box has its outside.
        affinities: Sharpness of every head, over all families in a row.
        box: Which of the two.
        grouping: ``(..., 1, n, g)``, one more family, where a network has learned what makes one thing.
    """
    sharpness = own_numbers(families, affinities)
    if grouping is not None:
        families, sharpness = [*families, grouping], [*sharpness, (1.0,)]
    total = 0
    for tokens, own in zip(families, sharpness, strict=True):
        total = total + (boxed(tokens, positive, own) if box else seeded(tokens, positive, negative, own))
    return total / len(families)
