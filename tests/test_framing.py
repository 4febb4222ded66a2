from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mattelike.errors import MattelikeError, SettingsError, UsageError
from mattelike.framing import Window, apply, close_up, crop_box, fit, normalise, pad, tiles, undo
from mattelike.values import RoI

lengths = st.integers(1, 20_000)
small = st.integers(1, 300)
multiples = st.sampled_from([1, 8, 14, 16, 32])


@given(lengths, lengths, st.sampled_from([256, 512, 768]), multiples)
def test_a_frame_keeps_proportions_and_costs_no_more_than_a_square(height, width, side, multiple):
    frame = fit(height, width, side=side, multiple=multiple)
    assert all(seen % multiple == 0 for seen in frame.seen)
    assert all(0 <= s - c < multiple for s, c in zip(frame.seen, frame.content, strict=True))
    square = fit(10_000, 10_000, side=side, multiple=multiple).seen
    assert frame.seen[0] * frame.seen[1] <= square[0] * square[1]
    scale = max(frame.content) / max(height, width)
    assert scale <= 2 + 0.5 / max(height, width)
    for source, content in zip((height, width), frame.content, strict=True):
        assert content == 1 or abs(content - source * scale) <= 1


def test_the_longest_side_is_the_side_asked_for():
    assert fit(3000, 4000, side=512, multiple=32).content == (384, 512)
    assert fit(4000, 3000, side=512, multiple=32).seen == (512, 384)


def test_small_photos_are_enlarged_at_most_twice():
    assert fit(100, 80, side=512, multiple=32).content == (200, 160)
    assert fit(100, 80, side=512, multiple=32, enlarge=1).content == (100, 80)
    assert fit(400, 300, side=512, multiple=32).content == (512, 384)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (3, 3), (2, 5), (1, 33)])
def test_trap_43_tiny_photos_are_seen_and_come_back_at_their_size(shape):
    frame = fit(*shape, side=512, multiple=32)
    seen = apply(np.full((*shape, 3), 0.25, np.float32), frame)
    assert seen.shape == (*frame.seen, 3)
    np.testing.assert_array_equal(seen, 0.25)
    np.testing.assert_array_equal(undo(seen[..., 0], frame), np.full(shape, 0.25, np.float32))


@pytest.mark.parametrize("shape", [(500, 10_000), (10_000, 500)])
def test_trap_44_a_panorama_keeps_pixels_across_and_is_not_squashed(shape):
    frame = fit(*shape, side=512, multiple=32)
    assert min(frame.content) == 64
    assert max(frame.content) == 1280


def test_trap_44_a_very_long_panorama_costs_no_more_than_a_square():
    frame = fit(100, 20_000, side=512, multiple=32)
    assert frame.content == (20, 4096)
    assert frame.seen == (32, 4096)


@pytest.mark.parametrize("multiple", [14, 16, 32])
@given(small, small)
def test_trap_46_padding_is_a_reflection_and_is_cut_back_exactly(multiple, height, width):
    frame = fit(height, width, side=128, multiple=multiple)
    content = np.random.default_rng(0).random(frame.content, np.float32)
    padded = pad(content, frame)
    assert padded.shape == frame.seen
    np.testing.assert_array_equal(padded[: content.shape[0], : content.shape[1]], content)
    if frame.seen[0] > content.shape[0] > 1:
        np.testing.assert_array_equal(padded[content.shape[0], : content.shape[1]], content[-2])


def test_trap_46_sides_that_divide_are_not_padded():
    assert fit(512, 500, side=512, multiple=32).seen == (512, 512)
    assert fit(512, 384, side=512, multiple=32).seen == (512, 384)


@given(small, small, multiples, st.floats(0, 1, width=32))
def test_undo_returns_the_photos_size_and_keeps_a_constant(height, width, multiple, value):
    frame = fit(height, width, side=128, multiple=multiple)
    back = undo(np.full(frame.seen, value, np.float32), frame)
    assert back.shape == (height, width) and back.dtype == np.float32
    np.testing.assert_array_equal(back, np.float32(value))


@given(st.integers(1, 500), st.integers(1, 500), multiples)
def test_a_ramp_stays_a_ramp_there_and_back(height, width, multiple):
    frame = fit(height, width, side=200, multiple=multiple)
    ramp = (np.arange(width, dtype=np.float32) + 0.5) / width
    back = undo(apply(np.broadcast_to(ramp, (height, width)), frame), frame)
    edge = int(np.ceil(width / frame.content[1]))  # the outermost pixels seen have nothing beyond them
    inside = slice(edge, width - edge)
    # Shrinking back takes pixels as flat: at either end of a mean a part of one counts as its middle, which
    # is wrong by up to an eighth of the ramp's step. Seen in pictures a few pixels wide only.
    shrunk = max(1.0, frame.content[1] / width)
    flat = 2 / 8 / frame.content[1] / shrunk if shrunk > 1 else 0.0
    expected = np.broadcast_to(ramp, back.shape)[:, inside]
    np.testing.assert_allclose(back[:, inside], expected, atol=1 / 255 + flat)


@pytest.mark.parametrize("size", [(384, 4)])
def test_a_ramp_four_pixels_wide_is_enlarged_and_shrunk_within_an_eighth_of_its_step(size):
    frame = fit(*size, side=200, multiple=8)
    assert frame.content[1] == 6
    ramp = np.broadcast_to((np.arange(4, dtype=np.float32) + 0.5) / 4, size)
    back = undo(apply(ramp, frame), frame)
    np.testing.assert_allclose(back[:, 1:3], ramp[:, 1:3], atol=1 / 8 / 6 / 1.5 + 1e-6)


@pytest.mark.parametrize(("height", "width"), [(768, 1024), (300, 400), (1000, 750), (333, 500)])
def test_A27_a_vertical_line_stays_at_the_same_relative_x(height, width):
    photo = np.zeros((height, width), np.float32)
    photo[:, width // 4 : width // 4 + 9] = 1
    frame = fit(height, width, side=512, multiple=32)
    seen = apply(photo, frame)[: frame.content[0], : frame.content[1]]
    back = undo(apply(photo, frame), frame)
    expected = (width // 4 + 4.5) / width
    for picture in (seen, back):
        columns = (np.arange(picture.shape[1]) + 0.5) / picture.shape[1]
        assert (picture @ columns / picture.sum(axis=1)) == pytest.approx(expected, abs=0.2 / width)


def test_trap_45_undo_of_a_large_photo_takes_bounded_memory():
    frame = fit(4000, 6000, side=768, multiple=32)
    alpha = np.zeros(frame.seen, np.float32)
    tracemalloc.start()
    back = undo(alpha, frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - back.nbytes <= 8 * back.size


def test_a_map_of_another_photo_is_refused():
    frame = fit(300, 400, side=256, multiple=32)
    for wrong in (lambda: undo(np.zeros((5, 5), np.float32), frame), lambda: apply(np.zeros((5, 5)), frame)):
        with pytest.raises(UsageError, match="5 x 5 pixels but its frame says"):
            wrong()
    with pytest.raises(UsageError, match="frame"):
        pad(np.zeros((300, 400)), frame)


@pytest.mark.parametrize(
    "asked", [{"side": 0, "multiple": 32}, {"side": 32, "multiple": 32}, {"side": 512, "multiple": 0}]
)
def test_impossible_frames_are_refused(asked):
    with pytest.raises(SettingsError):
        fit(300, 400, **asked)
    with pytest.raises(SettingsError):
        fit(0, 400, side=512, multiple=32)


def test_normalise_puts_channels_first_and_centres_them():
    image = np.random.default_rng(0).random((4, 6, 3), np.float32)
    fed = normalise(image, (0.5, 0.4, 0.3), (0.5, 0.25, 0.2))
    assert fed.shape == (1, 3, 4, 6) and fed.dtype == np.float32 and fed.flags.c_contiguous
    np.testing.assert_allclose(fed[0, 1], (image[..., 1] - 0.4) / 0.25, rtol=1e-5)


@given(small, small, st.integers(1, 64), st.data())
def test_tile_weights_sum_to_one_everywhere(height, width, size, data):
    overlap = data.draw(st.integers(0, size - 1).filter(lambda o: (300 / (size - o)) ** 2 < 500))
    total = np.zeros((height, width))
    for tile in tiles(height, width, size, overlap):
        part = total[tile.window.slices]
        assert part.shape == tile.weight.shape == (min(size, height), min(size, width))
        assert (tile.weight > 0).all()
        part += tile.weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(small, st.integers(2, 64), st.data())
def test_neighbouring_tiles_overlap_as_much_as_asked(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    windows = [tile.window for tile in tiles(length, 1, size, overlap)]
    assert windows[0].top == 0 and windows[-1].bottom == length
    for first, second in pairwise(windows):
        assert first.bottom - second.top >= overlap
        assert second.top > first.top


def test_trap_45_tiles_that_disagree_leave_no_seam():
    total = np.zeros((200, 500))
    for index, tile in enumerate(tiles(200, 500, 128, 32)):
        total[tile.window.slices] += tile.weight * (index % 2)
    steps = max(np.abs(np.diff(total, axis=axis)).max() for axis in (0, 1))
    assert steps < 2 / 32


def test_tiles_need_room_to_advance():
    with pytest.raises(SettingsError, match="overlap"):
        tiles(100, 100, 32, 32)


def speck(shape, rows, columns, kind="mask"):
    positive = np.zeros(shape, bool)
    positive[rows, columns] = True
    return RoI(positive, ~positive, kind)


def test_trap_36_a_tiny_thing_is_looked_at_through_a_square_crop_with_surroundings():
    roi = speck((3000, 4000), slice(1000, 1080), slice(2000, 2100))
    window = close_up(roi)
    assert window == Window(960, 1970, 1120, 2130)
    assert roi.positive[window.slices].sum() == roi.positive.sum()


def test_trap_36_a_crop_at_the_corner_is_shifted_inside():
    window = close_up(speck((3000, 4000), slice(2990, 3000), slice(0, 10)))
    assert window == Window(2936, 0, 3000, 64)


@pytest.mark.parametrize(
    "roi",
    [
        speck((1000, 1000), slice(0, 500), slice(0, 100)),
        speck((1000, 1000), 500, 500, "points"),
        speck((1000, 1000), [0, 999], [0, 999]),
        speck((60, 60), 30, 30, "points"),
    ],
    ids=["large enough", "a click says no size", "pieces far apart", "tiny photo"],
)
def test_trap_36_other_things_are_looked_at_whole(roi):
    assert close_up(roi) is None


@given(small, small, st.floats(0, 3), st.data())
def test_a_crop_holds_the_mark_and_lies_inside(height, width, margin, data):
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    mask = np.zeros((height, width), bool)
    mask[row : row + 20, column : column + 5] = True
    window = crop_box(mask, margin)
    assert 0 <= window.top < window.bottom <= height and 0 <= window.left < window.right <= width
    assert mask[window.slices].sum() == mask.sum()


def test_cropping_to_nothing_is_refused():
    with pytest.raises(MattelikeError, match="nothing is marked"):
        crop_box(np.zeros((5, 5), bool))
