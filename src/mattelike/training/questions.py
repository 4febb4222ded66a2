"""From a batch to a loss: every question of it, asked and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mattelike import similarity
from mattelike.framing import FAR
from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.network.embedded import EmbeddedModel
from mattelike.network.encoder import STRIDE, untouched_kinds
from mattelike.network.icon_flex import Window
from mattelike.training.episodes import Batch
from mattelike.training.losses import coverage, drifted, kinds_together, terms, things_together
from mattelike.training.prompts import BOX, SEEDS, Marks


def weighed(
    model: EmbeddedModel, families: Sequence[Tensor], grouping: Tensor | None, marks: Marks
) -> Tensor:
    """Foreground weight of every reference cell, sparse marks extended by self-similarity (section 3.6).

    Args:
        model: Knows its affinities.
        families: One ``(p, r, m, n, d)`` a family of heads, tokens of the references.
        grouping: ``(p, r, 1, n, g)``, or None.
        marks: Their marks.

    Returns:
        ``(p, r, n)`` in [0, 1].
    """
    weights = marks.positive.clone()
    affinities = model.encoder.affinities()
    for form in (SEEDS, BOX):
        at = marks.form == form
        if bool(at.any()):
            weights[at] = similarity.grown(
                [tokens[at] for tokens in families],
                marks.positive[at],
                marks.negative[at],
                affinities,
                box=form == BOX,
                grouping=None if grouping is None else grouping[at],
            )
    return weights


def clear_of_edges(weights: Tensor, grid: Sequence[int]) -> Tensor:
    """Cells of references that have a say: all but those `mattelike.tokens.fringe` would leave out.

    Args:
        weights: ``(p, r, n)`` in [0, 1], how much each cell is the thing.
        grid: Rows and columns of the n cells.

    Returns:
        bool ``(p, r, n)``.
    """
    least = weights.amax(dim=-1, keepdim=True).clamp(max=0.5)
    thing = (weights >= least) & (weights > 0)
    rows = thing.to(weights.dtype).reshape(*thing.shape[:-1], int(grid[0]), int(grid[1]))
    return thing | (F.max_pool2d(rows, 3, 1, 1).flatten(2) < 0.5)


def shown(batch: Batch) -> Batch:
    """A batch as its targets are looked at: as it is or, where it says so, from afar.

    From afar a picture has a third of the cells: all of it is decoded.
    """
    if not batch.afar:
        return batch
    # The backbone halves once more than tokens do: sides are whole numbers of twice their stride.
    block = 2 * STRIDE
    side = max(1, round(FAR * batch.images.shape[-1] / block)) * block
    size = (side, side)
    smaller = F.interpolate(batch.images, size, mode="bilinear", antialias=True, align_corners=False)
    truth, trusted = (F.adaptive_avg_pool2d(x[:, None], size)[:, 0] for x in (batch.truth, batch.trusted))
    return replace(
        batch,
        images=smaller.clamp(0, 1),
        truth=truth,
        trusted=(trusted > 0.999).to(trusted.dtype),
        window=Window(0, 0, side // batch.stride),
    )


def judged(
    model: EmbeddedModel,
    batch: Batch,
    precision: torch.dtype | None,
    untouched: EfficientNetLite | None = None,
) -> dict[str, Tensor]:
    """Every loss term of a batch; with an `untouched` backbone, how far the tuned one went from it, too."""
    device = batch.images.device.type
    with torch.autocast(device, dtype=precision, enabled=precision is not None):
        looked = model.look(batch.images)
        # References are remembered as they are seen from near, from however far a target is.
        asked = shown(batch)
        seen = model.look(asked.images) if batch.afar else looked
    references = [tokens[batch.references] for tokens in looked.tokens]
    grouping = None if looked.grouping is None else looked.grouping[batch.references]
    weights = weighed(model, references, grouping, batch.marks)
    evidence = model.compare(
        [tokens[batch.targets] for tokens in seen.tokens],
        [tokens.transpose(1, 2).flatten(2, 3) for tokens in references],
        weights.flatten(1),
        [tokens[batch.targets] for tokens in seen.things],
        kept=clear_of_edges(weights, looked.skips[0].shape[-2:]).flatten(1),
    )
    with torch.autocast(device, dtype=precision, enabled=precision is not None):
        answer = model.answer(seen, batch.targets, evidence, asked.window)
    covered = coverage(asked.truth, batch.stride)
    truth, trusted = (asked.window.of(x, batch.stride) for x in (asked.truth, asked.trusted))
    near = evidence.contrast.mean(dim=1).unflatten(-1, answer.coarse.shape[-2:])
    found = terms(answer, near, covered, truth, trusted, batch.present, batch.exact)
    if model.encoder.settings.heads:
        # The first family is the learned one: it is asked to bring kinds together.
        middle = similarity.mean_token(looked.tokens[0][batch.things], batch.weights).flatten(1)
        found["kinds"] = kinds_together(similarity.normalised(middle), batch.same, batch.unsure)
    if looked.grouping is not None:
        found["grouping"] = things_together(looked.grouping[:, 0], batch.things, batch.weights)
    if untouched is not None:
        with torch.autocast(device, dtype=precision, enabled=precision is not None):
            before = untouched_kinds(untouched, looked.images, model.encoder.settings.kinds_stages)
        whole = model.encoder.whole_channels
        found["untouched"] = drifted(
            looked.tokens[-len(whole) :], similarity.split_families(before, 0, whole)
        )
    return found
