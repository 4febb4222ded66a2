from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mattelike.errors import PromptError
from mattelike.prompts import Box, Marks, Mask, Points, Scribbles, parse_box, parse_point, resolve
from mattelike.values import Photo

RED, GREEN, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 0), (255, 255, 255)


def photo(height=300, width=400, name="cat.jpg"):
    return Photo(np.zeros((height, width, 3), np.uint8), name=name)


def disc(height=300, width=400, mode="L", ground=0, paint=255, radius=60):
    """A disc in the middle, drawn at four times the size, so that its edge is soft."""
    image = Image.new(mode, (4 * width, 4 * height), ground)
    middle, reach = (2 * width, 2 * height), 4 * radius
    box = [middle[0] - reach, middle[1] - reach, middle[0] + reach, middle[1] + reach]
    ImageDraw.Draw(image).ellipse(box, fill=paint)
    return image.resize((width, height), Image.Resampling.BOX)


def jpeg(image, quality=75):
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=quality)
    return np.asarray(Image.open(buffer))


TRUE_DISC = np.asarray(disc()) > 127


def alike(roi, expected=TRUE_DISC, most=0.0):
    """The mark is the expected one, up to a share of its pixels (those on a soft edge)."""
    assert np.count_nonzero(roi.positive != expected) <= most * np.count_nonzero(expected)
    assert not (roi.positive & roi.negative).any()
    return True


# Points


def test_a_click_marks_its_pixel_x_first():
    roi = resolve(Points([(312, 110)], negative=[(20, 30)]), photo())
    assert roi.kind == "points"
    assert np.argwhere(roi.positive).tolist() == [[110, 312]]
    assert np.argwhere(roi.negative).tolist() == [[30, 20]]


def test_points_in_percent_fractions_and_arrays_agree_with_pixels():
    pixels = resolve(Points([(100, 150)]), photo()).positive
    for same in (
        Points([("25%", "50%")]),
        Points([parse_point("25%, 50%")]),
        Points([parse_point("100,50%")]),
        Points([(0.25, 0.5)], unit="fraction"),
        Points(np.array([[100, 150]])),
        Points([(100.9, 150.2)]),
    ):
        np.testing.assert_array_equal(resolve(same, photo()).positive, pixels)


@given(st.integers(1, 5000), st.integers(0, 100))
def test_percentages_are_exact_and_the_far_edge_is_the_last_pixel(width, percent):
    roi = resolve(Points([(f"{percent}%", "0%")]), photo(1, width))
    assert np.flatnonzero(roi.positive[0]).tolist() == [min(percent * width // 100, width - 1)]


@pytest.mark.parametrize("point", [(400, 10), (-1, 10), (10, 300), ("101%", "5%"), ("-1%", "5%")])
def test_trap_23_a_point_outside_is_named_and_not_moved(point):
    with pytest.raises(
        PromptError, match=rf"point \({point[0]}, {point[1]}\) lies outside cat.jpg, .*400 x 300"
    ):
        resolve(Points([(5, 5), point]), photo())


def test_trap_24_swapped_look_alikes_get_a_hint():
    with pytest.raises(PromptError, match=r"did you mean \(310, 120\)\? x, to the right, comes first"):
        resolve(Points([(120, 310)]), photo())
    with pytest.raises(PromptError) as outside:
        resolve(Points([(900, 900)]), photo())
    assert "did you mean" not in str(outside.value)


@pytest.mark.parametrize(
    "prompt", [Points([(0.4, 0.7)]), Points([(1, 1)]), Box(0.1, 0.1, 0.6, 0.7), Box(0, 0, 1, 1)]
)
def test_trap_25_numbers_within_one_on_a_large_photo_ask_for_the_unit(prompt):
    with pytest.raises(PromptError, match="unit='fraction' or unit='pixel'"):
        resolve(prompt, photo())


def test_trap_25_a_unit_that_is_said_is_believed():
    assert resolve(Points([(1, 1)], unit="pixel"), photo()).positive[1, 1]
    assert resolve(Points([(1, 1)], unit="fraction"), photo()).positive[299, 399]
    assert resolve(Points([(1, 0)]), photo(3, 3)).positive[0, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    for prompt in (Points([(bad, 5)]), Box(0, bad, 50, 50)):
        with pytest.raises(PromptError, match="not finite"):
            resolve(prompt, photo())


@pytest.mark.parametrize(
    "points", [np.array([5, 6]), [(5, 6, 7)], [("5", "6")], [("x%", "6%")], [("nan%", "6%")]]
)
def test_what_is_no_pair_of_numbers_is_refused(points):
    with pytest.raises(PromptError):
        resolve(Points(points), photo())


@pytest.mark.parametrize("text", ["", "12", "1,2,3", "a,b", "nan,5", "1;2", "5%%,3"])
def test_typed_points_that_make_no_sense_show_the_form(text):
    with pytest.raises(PromptError, match=r"such as 412,310 or 41%,30%"):
        parse_point(text)


def test_no_points_at_all_is_nothing_marked():
    for prompt in (Points([]), Points([], negative=[(5, 5)]), Marks([])):
        with pytest.raises(PromptError, match=r"nothing is marked on cat\.jpg"):
            resolve(prompt, photo())


# Boxes


def test_a_box_is_the_inside_against_the_outside():
    roi = resolve(Box(10, 20, 110, 70), photo())
    assert roi.kind == "box" and roi.notes == ()
    assert roi.positive[20:70, 10:110].all() and roi.positive.sum() == 50 * 100
    np.testing.assert_array_equal(roi.negative, ~roi.positive)


def test_a_typed_box_may_be_in_percent():
    expected = resolve(Box(40, 60, 240, 240), photo()).positive
    for text in ("40,60,240,240", "10%,20%,60%,80%", " 10%, 60, 60%, 240 "):
        np.testing.assert_array_equal(resolve(parse_box(text), photo()).positive, expected)
    np.testing.assert_array_equal(
        resolve(Box(0.1, 0.2, 0.6, 0.8, unit="fraction"), photo()).positive, expected
    )
    with pytest.raises(PromptError, match="X0,Y0,X1,Y1"):
        parse_box("1,2,3")


def test_trap_23_a_box_reaching_outside_is_refused():
    with pytest.raises(PromptError, match=r"box \(10, 20, 401, 70\) reaches outside cat.jpg"):
        resolve(Box(10, 20, 401, 70), photo())
    with pytest.raises(PromptError, match="x and y look exchanged"):
        resolve(Box(10, 20, 60, 400), photo())
    assert resolve(Box(10, 20, 400, 300), photo()).positive[299, 399]


def test_trap_26_a_reversed_box_is_put_right_with_a_note():
    roi = resolve(Box(110, 20, 10, 70), photo())
    np.testing.assert_array_equal(roi.positive, resolve(Box(10, 20, 110, 70), photo()).positive)
    assert "reverse order" in roi.notes[0]


@pytest.mark.parametrize("box", [Box(10, 10, 10, 50), Box(10, 10, 11, 50), Box(10, 10, 50, 10.4)])
def test_trap_26_a_box_without_area_is_refused(box):
    with pytest.raises(PromptError, match="at least 2 x 2"):
        resolve(box, photo())


# Masks


MASKS = {
    "bool": TRUE_DISC,
    "0 and 1": TRUE_DISC.astype(np.uint8),
    "0 and 1 as int64": TRUE_DISC.astype(np.int64),
    "float": TRUE_DISC.astype(np.float32),
    "float64": TRUE_DISC.astype(np.float64),
    "soft edge": np.asarray(disc()),
    "soft edge as float": np.asarray(disc()) / 255,
    "uint16": np.asarray(disc()).astype(np.uint16) * 257,
    "one label": TRUE_DISC.astype(np.uint8) * 38,
    "rgb": np.asarray(disc().convert("RGB")),
    "rgba, opaque": np.asarray(disc().convert("RGBA")),
    "gray and alpha": np.asarray(disc().convert("LA")),
    "one channel": np.asarray(disc())[..., None],
    "bool colours": np.stack([TRUE_DISC] * 3, axis=2),
    "1-bit image": np.asarray(disc().point(lambda level: 255 * (level > 127)).convert("1")),
    "red on black": np.asarray(disc(mode="RGB", ground=BLACK, paint=RED)),
    "red on white": np.asarray(disc(mode="RGB", ground=WHITE, paint=RED)),
    "cut-out": np.dstack(
        [np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8), np.asarray(disc())]
    ),
    "painted layer": np.asarray(disc(mode="RGBA", ground=(0, 0, 0, 0), paint=(*RED, 255))),
}


@pytest.mark.parametrize("form", MASKS)
def test_trap_30_one_mask_in_every_form_people_save_it(form):
    roi = resolve(Mask(MASKS[form]), photo())
    assert roi.kind == "mask"
    assert alike(roi, most=0.01)
    np.testing.assert_array_equal(roi.negative, ~roi.positive)
    assert roi.notes == ()


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_trap_32_a_mask_saved_as_jpeg_is_thresholded(quality):
    assert alike(resolve(Mask(jpeg(disc(), quality)), photo()), most=0.02)
    assert alike(resolve(Mask(jpeg(disc().convert("RGB"), quality)), photo()), most=0.02)


def test_trap_32_levels_bent_by_jpeg_are_not_labels():
    bent = np.where(TRUE_DISC, 252, 3).astype(np.uint8)
    assert alike(resolve(Mask(bent), photo()))


def test_trap_32_soft_levels_are_used_only_when_asked_for():
    ramp = np.tile(np.linspace(0, 1, 400), (300, 1))
    hard = resolve(Mask(ramp), photo())
    assert np.flatnonzero(hard.positive[0]).tolist() == list(range(200, 400))
    assert "cut at 0.5" in hard.notes[0]
    soft = resolve(Mask(ramp, soft=True), photo())
    assert soft.positive[0].sum() == soft.negative[0].sum() == 40
    assert not (soft.positive | soft.negative)[:, 40:360].any()


def test_trap_27_an_empty_mask_is_refused():
    for empty in (np.zeros((300, 400), bool), np.zeros((300, 400, 4), np.uint8), np.full((300, 400), 0.2)):
        with pytest.raises(PromptError, match=r"nothing is marked in the mask for cat\.jpg"):
            resolve(Mask(empty), photo())


def test_trap_27_an_empty_mask_among_other_marks_is_refused_too():
    with pytest.raises(PromptError, match="nothing is marked in the mask"):
        resolve(Marks([Points([(50, 50)]), Mask(np.zeros((300, 400), bool))]), photo())


def test_trap_28_everything_marked_is_allowed_with_a_note():
    for prompt in (Mask(np.ones((300, 400), bool)), Box(0, 0, 400, 300)):
        roi = resolve(prompt, photo())
        assert roi.positive.all() and not roi.negative.any()
        assert "nothing to tell the thing from" in roi.notes[0]


@pytest.mark.parametrize("size", [(150, 200), (600, 800), (151, 200), (299, 400), (75, 100)])
def test_trap_29_a_mask_of_the_same_proportions_is_resized_with_a_note(size):
    roi = resolve(Mask(np.asarray(disc(*size, radius=size[0] // 5)) > 127), photo())
    assert alike(roi, most=0.06)
    assert f"the mask is {size[1]} x {size[0]} pixels and cat.jpg 400 x 300: it was resized" in roi.notes


def test_trap_29_other_proportions_are_refused():
    with pytest.raises(PromptError, match=r"400 x 400 pixels and cat\.jpg 400 x 300: the proportions differ"):
        resolve(Mask(np.ones((400, 400), bool)), photo())


@pytest.mark.parametrize("size", [(400, 300), (800, 600), (200, 150)])
def test_trap_33_a_mask_drawn_before_the_photo_was_turned_is_explained(size):
    with pytest.raises(PromptError, match=r"sides are swapped.*EXIF"):
        resolve(Mask(np.ones(size, bool)), photo())


def test_trap_33_holds_for_photos_that_are_nearly_square():
    with pytest.raises(PromptError, match="sides are swapped"):
        resolve(Mask(np.ones((401, 400), bool)), photo(400, 401))


def labelled(*values, dtype=np.uint8):
    labels = np.zeros((300, 400, *np.shape(values[0])), dtype)
    for index, value in enumerate(values):
        labels[50:150, 100 * index + 10 : 100 * index + 90] = value
    return labels


@pytest.mark.parametrize(
    "values", [(1, 2, 3), (1, 2, 255), (128, 255), (5, 15, 200), (64, 128, 192, 255)], ids=str
)
def test_trap_30_a_label_map_lists_its_labels_and_takes_the_one_chosen(values):
    labels = labelled(*values)
    with pytest.raises(PromptError, match="label= among .*" + ", ".join(map(str, values))):
        resolve(Mask(labels), photo())
    for value in values:
        assert alike(resolve(Mask(labels, label=value), photo()), labels == value)
    with pytest.raises(PromptError, match="has no label 77"):
        resolve(Mask(labels, label=77), photo())


def test_trap_30_a_trimap_read_as_a_matte_leaves_its_gray_open():
    roi = resolve(Mask(labelled(128, 255), soft=True), photo())
    assert roi.positive[100, 150] and not roi.positive[100, 50] and not roi.negative[100, 50]


def test_a_matte_of_few_levels_is_a_mask_not_a_label_map():
    matte = np.zeros((300, 400), np.uint8)
    matte[60:240, 80:320] = 255
    for index, level in enumerate((25, 58, 181, 222)):
        matte[60 + 30 * index : 80 + 30 * index, 60:80] = level
    roi = resolve(Mask(matte), photo())
    assert alike(roi, matte > 127)


def test_trap_30_wide_labels_are_no_noise():
    labels = labelled(300, 1000, dtype=np.int32)
    with pytest.raises(PromptError, match="300, 1000"):
        resolve(Mask(labels), photo())
    assert alike(resolve(Mask(labels, label=1000), photo()), labels == 1000)


@pytest.mark.parametrize("values", [(RED, GREEN), ((128, 0, 0), (192, 0, 0))])
def test_trap_30_two_colours_list_themselves_and_one_may_be_chosen(values):
    colours = labelled(*values)
    with pytest.raises(PromptError, match=r"several colours: choose one with label= among \("):
        resolve(Mask(colours), photo())
    chosen = resolve(Mask(colours, label=values[1]), photo())
    assert alike(chosen, (colours == values[1]).all(axis=2) & colours.any(axis=2))
    with pytest.raises(PromptError, match=r"no colour \(1, 2, 3\)"):
        resolve(Mask(colours, label=(1, 2, 3)), photo())


def test_trap_30_a_transparent_layer_with_two_paints_is_ambiguous():
    layer = labelled((*RED, 255), (*GREEN, 255))
    with pytest.raises(PromptError, match="transparent layer painted in 2 colours"):
        resolve(Mask(layer), photo())
    assert alike(resolve(Mask(layer, label=GREEN), photo()), (layer[..., 1] == 255) & (layer[..., 3] > 0))


def test_trap_30_a_colour_bent_by_jpeg_can_still_be_chosen():
    noisy = jpeg(Image.fromarray(labelled(RED, GREEN)), 95)
    roi = resolve(Mask(noisy, label=GREEN), photo())
    assert alike(roi, labelled(0, 1) == 1, most=0.05)


def test_trap_30_a_photo_given_as_a_mask_is_refused():
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    with pytest.raises(PromptError, match="looks like a photo"):
        resolve(Mask(noise), photo())


def test_trap_31_an_inverted_mask_is_suspected_and_can_be_turned():
    black_on_white = 255 - np.asarray(disc())
    assert any("use invert" in note for note in resolve(Mask(black_on_white), photo()).notes)
    turned = resolve(Mask(black_on_white, invert=True), photo())
    assert alike(turned, most=0.01) and turned.notes == ()


@pytest.mark.parametrize(
    "raster",
    [
        np.full((300, 400), np.nan),
        np.where(TRUE_DISC, np.inf, 0),
        np.full((300, 400), 200.0),
        np.full((300, 400), -1),
        np.zeros((300, 400, 5), np.uint8),
        np.zeros((0, 400), np.uint8),
        np.zeros(400, np.uint8),
        np.full((300, 400), "x"),
    ],
)
def test_a_raster_that_is_no_drawing_is_refused(raster):
    with pytest.raises(PromptError, match="the mask"):
        resolve(Mask(raster), photo())


def test_trap_36_a_tiny_or_cut_off_thing_is_noted():
    tiny = np.zeros((300, 400), bool)
    tiny[100:105, 100:105] = True
    assert "closer view" in resolve(Mask(tiny), photo()).notes[0]
    cut = np.zeros((300, 400), bool)
    cut[200:, 100:200] = True
    assert "cut off" in resolve(Mask(cut), photo()).notes[0]


# Scribbles


def test_scribbles_mark_what_is_drawn_and_nothing_else_is_known():
    drawn = Image.new("L", (400, 300))
    ImageDraw.Draw(drawn).line([(50, 50), (200, 220)], fill=255)
    against = np.zeros((300, 400), bool)
    against[280, 20:380] = True
    roi = resolve(Scribbles(np.asarray(drawn), against), photo())
    assert roi.kind == "scribbles"
    np.testing.assert_array_equal(roi.positive, np.asarray(drawn) > 0)
    np.testing.assert_array_equal(roi.negative, against)


@pytest.mark.parametrize("scale", [1, 4, 10])
def test_trap_34_a_stroke_one_pixel_wide_survives_a_smaller_photo(scale):
    drawn = np.zeros((300 * scale, 400 * scale), bool)
    drawn[10 * scale, 30 * scale : 300 * scale] = True
    roi = resolve(Scribbles(drawn), photo())
    assert np.argwhere(roi.positive).tolist() == [[10, column] for column in range(30, 300)]


def test_trap_34_a_stroke_drawn_on_a_preview_stays_whole_on_a_larger_photo():
    drawn = np.zeros((75, 100), bool)
    drawn[10, 20:60] = True
    roi = resolve(Scribbles(drawn), photo())
    assert roi.positive[40:44, 80:240].all() and roi.positive.sum() == 4 * 160


def test_thin_coloured_strokes_with_soft_edges_are_read():
    layer = Image.new("RGB", (1600, 1200), WHITE)
    ImageDraw.Draw(layer).line([(200, 200), (1200, 1000)], fill=RED, width=5)
    small = layer.resize((400, 300), Image.Resampling.BOX)
    roi = resolve(Scribbles(np.asarray(small)), photo())
    assert all(roi.positive[row].any() for row in range(55, 245))
    assert roi.positive.sum() < 3 * 200 * 2


def test_strokes_in_two_colours_must_come_as_two_rasters():
    strokes = np.full((300, 400, 3), 255, np.uint8)
    strokes[50, 20:200], strokes[250, 20:200] = GREEN, RED
    with pytest.raises(PromptError, match="two rasters"):
        resolve(Scribbles(strokes), photo())


def test_an_empty_scribble_is_refused():
    with pytest.raises(PromptError, match="nothing is marked in the negative scribble"):
        resolve(Scribbles(TRUE_DISC, np.zeros((300, 400), bool)), photo())


# Files


def test_drawings_come_from_files_through_the_reader_of_photos():
    asked = []

    def load(path: Path) -> Photo:
        asked.append(path)
        pixels = np.repeat(np.asarray(disc())[..., None], 3, axis=2)
        return Photo(pixels, gray=True, name=str(path))

    assert alike(resolve(Mask("marks/disc.png"), photo(), load), most=0.01)
    assert alike(resolve(Scribbles(Path("marks/disc.png")), photo(), load), np.asarray(disc()) > 63)
    assert asked == [Path("marks/disc.png")] * 2


def test_a_file_with_alpha_is_read_by_its_alpha_and_named_in_errors():
    def load(path: Path) -> Photo:
        return Photo(np.zeros((300, 400, 3), np.uint8), alpha=np.asarray(disc()), name=str(path))

    assert alike(resolve(Mask(Path("a/disc.png")), photo(), load), most=0.01)
    with pytest.raises(PromptError, match=r"disc\.png is 400 x 300 pixels and the photo 100 x 100"):
        resolve(Mask(Path("a/disc.png")), photo(100, 100, name=""), load)


def test_a_file_without_a_reader_says_what_to_do():
    with pytest.raises(PromptError, match=r"disc\.png is a file: pass load="):
        resolve(Mask("disc.png"), photo())


# Several marks


def test_marks_of_one_kind_add_up():
    left, right = np.zeros((2, 300, 400), bool)
    left[100:200, 50:150], right[100:200, 250:350] = True, True
    roi = resolve(Marks([Mask(left), Mask(right)]), photo())
    np.testing.assert_array_equal(roi.positive, left | right)
    np.testing.assert_array_equal(roi.negative, ~(left | right))
    boxes = resolve(Marks([Box(50, 100, 150, 200), Box(250, 100, 350, 200)]), photo())
    np.testing.assert_array_equal(boxes.positive, left | right)
    assert (roi.kind, boxes.kind) == ("mask", "box")


def test_points_in_a_box_are_the_thing_and_the_box_says_where_to_stop():
    roi = resolve(Marks([Box(10, 20, 110, 70), Points([(50, 50)], negative=[(20, 30)])]), photo())
    assert roi.kind == "points"
    assert np.argwhere(roi.positive).tolist() == [[50, 50]]
    assert roi.negative[30, 20] and roi.negative.sum() == 300 * 400 - 50 * 100 + 1


def test_negative_points_in_a_lone_box_are_taken_out_of_it():
    roi = resolve(Marks([Box(10, 20, 110, 70), Points([], negative=[(20, 30)])]), photo())
    assert roi.kind == "box"
    assert not roi.positive[30, 20] and roi.positive.sum() == 50 * 100 - 1
    np.testing.assert_array_equal(roi.negative, ~roi.positive)


def test_points_and_scribbles_are_scribbles_in_any_order():
    parts = [Points([(200, 150)]), Scribbles(TRUE_DISC), Scribbles(None, np.asarray(disc(radius=100)) == 0)]
    first, second = (resolve(Marks(order), photo()) for order in (parts, parts[::-1]))
    assert first.kind == second.kind == "scribbles"
    np.testing.assert_array_equal(first.positive, second.positive)


@pytest.mark.parametrize(
    "prompt",
    [
        Points([(5, 6)], negative=[(7, 8), (5, 6)]),
        Marks([Box(50, 50, 90, 90), Points([(5, 6)])]),
        Marks([Mask(TRUE_DISC), Points([(5, 6)])]),
        Marks([Scribbles(np.asarray(disc()) == 0), Points([(200, 150)], negative=[(5, 6)])]),
    ],
    ids=["points", "point outside the box", "point outside the mask", "scribble over a negative point"],
)
def test_trap_35_positive_and_negative_on_one_pixel_is_refused(prompt):
    with pytest.raises(PromptError, match=r"cat\.jpg is marked as .*x=5, y=6 \(1 in all\)"):
        resolve(prompt, photo())


def test_notes_of_all_parts_are_kept():
    drawn = np.zeros((30, 40), bool)
    drawn[4, 2:8] = True
    roi = resolve(Marks([Box(110, 20, 10, 70), Scribbles(drawn)]), photo())
    assert [("reverse" in note, "resized" in note) for note in roi.notes] == [(True, False), (False, True)]
