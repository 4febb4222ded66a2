"""Figures 3 and 10, and the pieces they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from mattelike import explain, figures, photos, similarity
from mattelike.errors import UsageError
from mattelike.lettering import lettered, write_text
from mattelike.values import Attention, Features, Photo
from tests.batch.rooms import context_of, picture, red_mask
from tests.toy_model import ToyModel, toy

COLOURS = np.dtype(np.uint8)


class Attentive(ToyModel):
    """The toy with two layers of captured self-attention: everything looks at itself alone, or everywhere."""

    def features(self, images, role):  # type: ignore[no-untyped-def,override]
        plain = super().features(images, role)
        rows, columns = plain.tokens.shape[-2:]
        one = np.eye(rows * columns, dtype=np.float32)[None]
        small = np.zeros((1, rows // 2 * (columns // 2), 4), np.float32)
        layers = (
            Attention(one, one, 1000.0, (rows, columns)),
            Attention(small, small, 1.0, (rows // 2, columns // 2)),
        )
        return Features(plain.tokens, attention=layers)


def test_similarity_is_high_where_the_thing_is() -> None:
    predictor, pixels = toy(), picture(3)
    found = explain.explain(predictor, pixels, context_of(predictor))
    assert [each.name for each in found.maps] == ["S", "S'"]
    marked = red_mask(pixels)[2::4, 2::4]
    for each in found.maps:
        assert each.values.shape == (16, 24)  # small photos are enlarged
        inside, outside = each.values[marked].mean(), each.values[~marked].mean()
        assert inside > 0.8 and outside < 0.2


def test_the_target_is_looked_at_once_and_what_was_seen_will_do() -> None:
    predictor, pixels, roles = toy(), picture(3), []
    context = context_of(predictor)

    class Counting(ToyModel):
        def features(self, images, role):  # type: ignore[no-untyped-def,override]
            roles.append(role)
            return super().features(images, role)

    predictor.model = Counting()
    found = explain.explain(predictor, pixels, context)
    # Whole, and the small thing from close up.
    assert roles == ["target"] * 2
    seen = predictor.seen(pixels)
    roles.clear()
    again = explain.explain(predictor, seen, context)
    assert roles == ["target"]
    assert np.array_equal(found.matte.alpha, again.matte.alpha)


def test_every_captured_layer_has_its_own_map() -> None:
    predictor = toy()
    predictor.model = Attentive()
    found = explain.explain(predictor, picture(3), context_of(predictor))
    assert [each.name for each in found.maps] == ["S", "S' 16x24", "S' 8x12"]
    similar, alone, everywhere = (each.values for each in found.maps)
    np.testing.assert_allclose(alone, similar, atol=1e-5)  # equation 5 with A = 1 gives S back
    np.testing.assert_allclose(everywhere, similar.mean(), atol=0.05)  # and with equal rows its mean


def test_layers_on_one_grid_are_one_map_their_mean() -> None:
    predictor = toy()
    predictor.model = Attentive()
    both = explain.explain(predictor, picture(3), context_of(predictor)).maps

    class Twice(Attentive):
        def features(self, images, role):  # type: ignore[no-untyped-def,override]
            found = super().features(images, role)
            return Features(found.tokens, attention=(*found.attention, *found.attention))

    predictor.model = Twice()
    again = explain.explain(predictor, picture(3), context_of(predictor)).maps
    assert [each.name for each in again] == [each.name for each in both]
    for one, other in zip(both, again, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-6)


def test_observed_points_lie_in_the_mask_and_light_what_is_alike() -> None:
    pixels = picture(5, things=2, size=(64, 128))
    inside = red_mask(pixels)
    first = inside.copy()
    first[:, 64:] = False
    seen = explain.observe(toy(), pixels, first, points=9, seed=4)
    assert seen.points.shape == (9, 2) and first[tuple(seen.points.T)].all()
    (found,) = seen.maps
    marked = inside[2::4, 2::4]
    assert found.values[marked].mean() > 5 * found.values[~marked].mean()
    assert found.values[:, 16:][marked[:, 16:]].mean() > 0  # also in the thing that no point is in
    assert found.values.sum() == pytest.approx(9, rel=1e-3)  # every point spreads one unit of attention


def test_observing_is_seeded() -> None:
    pixels = picture(5)
    inside = red_mask(pixels)
    points = [explain.observe(toy(), pixels, inside, seed=seed).points for seed in (0, 0, 1)]
    assert np.array_equal(points[0], points[1]) and not np.array_equal(points[0], points[2])


@pytest.mark.parametrize(
    ("inside", "says"),
    [(np.zeros((64, 96), bool), "nothing to observe"), (np.ones((10, 10), bool), "the photo is")],
)
def test_observing_nothing_is_refused(inside: np.ndarray, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        explain.observe(toy(), picture(5), inside)


def test_the_figure_shows_references_first_and_alpha_last() -> None:
    predictor, pixels = toy(), picture(3)
    context = context_of(predictor)
    both = context.joined(context.negated())
    row = explain.draw(explain.explain(predictor, pixels, both), both, side=64)
    assert row.dtype == COLOURS and row.shape == (64 + 52, 7 * 96 + 8 * 12, 3)
    alpha = row[12:76, 12 + 5 * 108 : 12 + 5 * 108 + 96]
    assert np.mean((alpha[..., 0] > 127) == red_mask(pixels)) > 0.9
    target = row[12:76, 12 + 2 * 108 : 12 + 2 * 108 + 96]
    assert np.abs(target.astype(int) - pixels).max() <= 1


def test_more_is_always_lighter() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    drawn = figures.heat(ramp, np.full((1, 256, 3), 128, np.uint8)).astype(int)
    light = drawn[0] @ (299, 587, 114)
    assert (np.diff(light) >= 0).all()
    assert figures.heat(np.zeros((2, 2), np.float32), np.zeros((2, 2, 3), np.uint8)).max() < 60


@pytest.mark.parametrize(("width", "height", "step"), [(4000, 3000, "200"), (500, 400, "50"), (90, 40, "50")])
def test_the_grid_is_labelled_with_the_photo_s_own_coordinates(width: int, height: int, step: str) -> None:
    canvas = figures.with_grid(Photo(np.full((height, width, 3), 120, np.uint8)))
    scale = canvas.shape[1] / width
    at = round(int(step) * scale)
    assert (canvas[canvas.shape[0] // 2 + 7, at] != 120).any()  # the line is where the label says
    letters = lettered(step, 2 if max(canvas.shape) >= 600 else 1)
    inked = (canvas[3 : 3 + letters.shape[0], at + 3 : at + 3 + letters.shape[1]] == 255).all(axis=2)
    assert np.array_equal(inked[:, : letters.shape[1]], letters[:, : inked.shape[1]])


def test_letters_are_cut_off_at_the_edge_and_unknown_ones_are_empty() -> None:
    canvas = np.zeros((9, 9, 3), np.uint8)
    write_text(canvas, "WWW", -3, 5, outline=(9, 9, 9))
    write_text(canvas, "W", 50, 50)
    assert canvas.any()
    assert not lettered("\N{CAT FACE}").any() and lettered("").shape == (14, 0)
    assert (
        len({lettered(sign, 1).tobytes() for sign in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:-+=/%()'_~"})
        == 49
    )


def test_self_similarity_from_tokens_leaves_the_point_itself_out() -> None:
    pixels = picture(5)
    one = np.zeros(pixels.shape[:2], bool)
    one[20, 12] = True
    (found,) = explain.observe(toy(), pixels, one, points=1).maps
    assert found.values[20 // 4, 12 // 4] < 1e-6
    assert similarity.softmax(np.zeros((1, 4))).sum() == pytest.approx(1)
    assert photos.encode(explain.draw_observed(explain.observe(toy(), pixels, one, points=3)), ".png")
