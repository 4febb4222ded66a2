"""The two verbs as a caller sees them, on a model of colours that needs no weights and on the shipped one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import mattelike as ml
from mattelike import errors
from mattelike.contexts import joined
from mattelike.framing import Window
from mattelike.mattes import Matte
from mattelike.models import Coarse
from mattelike.models.embedded import weights_folder
from mattelike.predictor import Predictor
from mattelike.resampling import resize
from mattelike.tokens import fringe
from mattelike.values import Float32, Pixels
from tests import scenes
from tests.memory import PEAK_BYTES
from tests.toy_model import CARD, ToyModel, toy

ROOT = Path(__file__).parent.parent
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
REFERENCE, TARGET = scenes.disc(120, 161), scenes.disc(97, 143)
THING = REFERENCE.alpha > 0.5
LINE = THING & (np.arange(120)[:, None] == 60)


def iou(alpha: Float32, truth: Float32) -> float:
    found, wanted = alpha > 0.5, truth > 0.5
    return float((found & wanted).sum() / max(1, (found | wanted).sum()))


def paint(height: int, width: int, *things: tuple[int, int, tuple[int, int, int]]) -> Pixels:
    """Squares of 40 pixels at (row, column) in a colour, on gray."""
    pixels = np.full((height, width, 3), (120, 125, 130), np.uint8)
    for row, column, colour in things:
        pixels[row : row + 40, column : column + 40] = colour
    return pixels


def square(height: int, width: int, row: int, column: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[row : row + 40, column : column + 40] = True
    return mask


RED, ORANGE, SLATE = (200, 30, 30), (225, 120, 20), (80, 120, 190)


@pytest.fixture(scope="module")
def finder() -> Predictor:
    return toy()


@pytest.fixture(scope="module")
def context(finder: Predictor) -> ml.Context:
    return finder.encode(REFERENCE.pixels, ml.Mask(THING))


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    if not (weights_folder("embedded") / "card.json").is_file():
        pytest.skip("the embedded model is not built yet; run its recipe")
    return ml.load(device="cpu", threads=1)


# --- encode ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prompt",
    [
        ml.Points([(80, 60)]),
        ml.Points([(80, 60)], negative=[(20, 30)]),
        ml.Scribbles(LINE),
        ml.Scribbles(LINE, negative=np.roll(LINE, 50, axis=0)),
        ml.Box(40, 20, 121, 100),
        ml.Mask(THING),
        ml.Mask(THING.astype(np.float32)),
    ],
    ids=["point", "points", "scribble", "scribbles", "box", "mask", "soft mask"],
)
def test_every_mark_finds_the_thing_in_another_photo(finder, prompt):
    matte = finder.matte(TARGET.pixels, finder.encode(REFERENCE.pixels, prompt))
    assert iou(matte.alpha, TARGET.alpha) > 0.9
    assert matte.status == "present"


def test_a_click_made_whole_has_no_hole_where_a_nose_is(finder):
    pixels = paint(128, 128)
    pixels[24:104, 24:104], pixels[56:72, 56:72] = RED, SLATE
    clicked = finder.encode(pixels, ml.Points([(40, 40)]))
    whole = clicked.weights >= 0.5
    # Twenty by twenty cells are the thing, its nose among them, which target photos then have, too.
    assert np.count_nonzero(whole) == 400
    assert finder.matte(pixels, clicked).alpha[64, 64] > 0.9
    # Unless it is said that the nose is something else.
    apart = finder.encode(pixels, ml.Points([(40, 40)], negative=[(64, 64)]))
    assert finder.matte(pixels, apart).alpha[64, 64] < 0.1
    # What one can look through stays open.
    pixels[40:88, 40:88] = (120, 125, 130)
    ring = finder.encode(pixels, ml.Points([(30, 64)]))
    assert np.count_nonzero(ring.weights >= 0.5) < 300


def test_photos_may_be_paths_bytes_arrays_pillow_or_read_already(finder, tmp_path):
    path = tmp_path / "ref.png"
    Image.fromarray(REFERENCE.pixels).save(path)
    given = [path, str(path), path.read_bytes(), REFERENCE.pixels, Image.open(path), ml.read_image(path)]
    seen = [finder.encode(photo, ml.Mask(THING)) for photo in given]
    answers = [finder.matte(photo, seen[0]).alpha for photo in given]
    for one, alpha in zip(seen, answers, strict=True):
        assert np.array_equal(one.tokens, seen[0].tokens)
        assert np.array_equal(one.weights, seen[0].weights)
        assert np.array_equal(alpha, answers[0])


def test_marks_may_be_files(finder, tmp_path, context):
    path = tmp_path / "mask.png"
    Image.fromarray((THING * 255).astype(np.uint8)).save(path)
    for mark in (ml.Mask(path), ml.Mask(str(path))):
        assert np.array_equal(finder.encode(REFERENCE.pixels, mark).weights, context.weights)
    drawn = finder.encode(REFERENCE.pixels, ml.Scribbles(path))
    assert np.array_equal(drawn.weights, finder.encode(REFERENCE.pixels, ml.Scribbles(THING)).weights)


def test_several_references_are_their_contexts_joined(finder, context):
    other = paint(90, 130, (20, 30, RED)), ml.Mask(square(90, 130, 20, 30))
    both = finder.encode([(REFERENCE.pixels, ml.Mask(THING)), other])
    by_hand = joined([context, finder.encode(*other)])
    assert both.references == 2
    for name in ("tokens", "weights", "reference"):
        assert np.array_equal(getattr(both, name), getattr(by_hand, name))


def test_the_order_of_references_does_not_matter(finder):
    pairs = [(REFERENCE.pixels, ml.Mask(THING)), (paint(90, 130, (20, 30, RED)), ml.Points([(50, 40)]))]
    one = finder.matte(TARGET.pixels, finder.encode(pairs))
    two = finder.matte(TARGET.pixels, finder.encode(pairs[::-1]))
    assert np.allclose(one.guidance.maps, two.guidance.maps, atol=1e-4)
    assert np.abs(one.alpha - two.alpha).mean() < 1e-4


def test_trap_40_a_negative_takes_the_look_alike_away(finder):
    reference = paint(120, 160, (40, 60, RED)), ml.Mask(square(120, 160, 40, 60))
    other = paint(120, 160, (40, 60, ORANGE)), ml.Mask(square(120, 160, 40, 60))
    both = paint(120, 200, (40, 20, RED), (40, 130, ORANGE))
    like, orange = square(120, 200, 40, 20), square(120, 200, 40, 130)
    # Not thought over, which would leave out what is less like the reference without being told.
    without = finder.finish(finder.glance(both, finder.encode(*reference), considered=False))
    against = finder.encode([reference], negatives=[other])
    helped = finder.finish(finder.glance(both, against, considered=False))
    assert without.alpha[orange].mean() > 0.5  # else there would be nothing to take away
    assert helped.alpha[orange].mean() < 0.05
    assert helped.alpha[like].mean() > 0.95
    assert [thumbnail.negative for thumbnail in against.thumbnails] == [False, True]


def test_without_training_too_what_is_less_like_the_reference_is_left_out(finder):
    reference = paint(120, 160, (40, 60, RED)), ml.Mask(square(120, 160, 40, 60))
    both = paint(120, 200, (40, 20, RED), (40, 130, ORANGE))
    found = finder.matte(both, finder.encode(*reference)).alpha
    assert iou(found, square(120, 200, 40, 20)) > 0.9


class TwoHeads(ToyModel):
    """A head that takes too much, and a second one that takes what it is told."""

    def __init__(self, second: Float32) -> None:
        super().__init__(replace(CARD, agrees=True))
        self.told = second
        self.asked = 0

    def alpha(self, images, features, guidance):
        coarse = super().alpha(images, features, guidance)
        return replace(coarse, alpha=np.ones_like(coarse.alpha), second=self.second)

    def second(self):
        self.asked += 1
        return self.told


def test_of_two_heads_what_both_find_is_the_answer():
    mark = ml.Mask(THING)
    half = np.zeros((256, 256), np.float32)
    half[:, 64:192] = 1
    pixels = scenes.disc(256, 256).pixels
    heads = TwoHeads(half)
    both = Predictor(heads)
    context = both.encode(REFERENCE.pixels, mark)
    assert np.array_equal(both.matte(pixels, context, refine=False).alpha, half)
    # A clip's frames are not thought over, nor pay for it; and a head that finds nothing has no say.
    heads.asked = 0
    assert both.glance(pixels, context, considered=False).coarse.alpha.all()
    assert heads.asked == 0
    nothing = Predictor(TwoHeads(half * np.float32(0.3)))
    assert nothing.matte(pixels, context, refine=False).alpha.all()


class StepByStep(ToyModel):
    """Of what it is shown it knows the next cells in every direction, and no more."""

    def weigh(self, features, positive, negative, kind):
        return positive

    def guide(self, features, context):
        grid = features.tokens.shape[-2:]
        self.known = np.asarray(context.weights, np.float32).reshape(grid) >= 0.5
        return super().guide(features, context)

    def alpha(self, images, features, guidance):
        wide = np.pad(self.known, 1)
        found = wide[1:-1, 1:-1] | wide[2:, 1:-1] | wide[:-2, 1:-1] | wide[1:-1, 2:] | wide[1:-1, :-2]
        cells = images.shape[2] // found.shape[0], images.shape[3] // found.shape[1]
        alpha = np.kron(found, np.ones(cells)).astype(np.float32)
        return Coarse(alpha, np.zeros_like(alpha), 1.0)


@pytest.mark.parametrize(
    ("head", "agrees", "cells"), [("icon-flex", False, 13), ("icon-flex", True, 5), ("free", False, 5)]
)
def test_a_trained_head_makes_a_click_whole_twice(head, agrees, cells):
    """What it has found of the thing tells more of it than the click did: the rim of a bowl, its berries."""
    finder = Predictor(StepByStep(replace(CARD, head=head, agrees=agrees)))
    clicked = finder.encode(np.full((256, 256, 3), RED, np.uint8), ml.Points([(132, 132)]))
    assert np.count_nonzero(clicked.weights >= 0.5) == cells


class FromAfar(ToyModel):
    """Up close it takes all and doubts it as much as it is told; from afar it takes what it is told."""

    def __init__(self, near: Float32, far: Float32, doubt: float) -> None:
        super().__init__()
        self.near, self.far, self.doubt, self.looks = near, far, np.float32(doubt), 0

    def alpha(self, images, features, guidance):
        self.looks += 1
        shape = images.shape[2:]
        alpha = self.near if shape == self.near.shape else resize(self.far, shape)
        return Coarse(alpha, np.full(shape, self.doubt), 1.0, lambda: np.ones(shape, np.float32))


def test_what_is_large_and_doubted_is_looked_at_from_afar_too():
    whole, left = np.zeros((256, 256), np.float32), np.zeros((256, 256), np.float32)
    whole[64:192, 16:240] = 1
    left[64:192, 16:120] = 1
    pixels = scenes.disc(256, 256).pixels

    def answered(model):
        finder = Predictor(model)
        context = finder.encode(REFERENCE.pixels, ml.Mask(THING))
        model.looks = 0
        return finder.matte(pixels, context, refine=False).alpha

    doubting = FromAfar(whole, left, 0.2)
    found = answered(doubting)
    assert doubting.looks == 2
    # What was seen from afar, and nothing of its coarser edges where both agree.
    assert iou(found, left) > 0.95
    assert not found[:, 140:].any()
    assert np.array_equal(found[80:176, 20:100], whole[80:176, 20:100])
    lost = FromAfar(whole, np.zeros_like(whole), 0.2)
    assert np.array_equal(answered(lost), whole), "who finds nothing from afar has no say"
    sure = FromAfar(whole, left, 0.02)
    assert np.array_equal(answered(sure), whole)
    assert sure.looks == 1, "who does not doubt does not pay"


def test_trap_36_a_tiny_thing_is_looked_at_from_close_up(finder):
    pixels = np.full((700, 900, 3), (120, 125, 130), np.uint8)
    mask = np.zeros((700, 900), bool)
    pixels[300:312, 500:512], mask[300:312, 500:512] = RED, True
    tiny = finder.encode(pixels, ml.Mask(mask))
    assert any("close up" in note for note in tiny.notes)
    assert (tiny.weights > 0.5).sum() >= 4  # on the whole photo it would be a part of one cell
    found = finder.matte(paint(120, 160, (40, 60, RED)), tiny)
    assert iou(found.alpha, square(120, 160, 40, 60).astype(np.float32)) > 0.9


def test_trap_36_what_the_frame_cuts_off_is_noted(finder):
    photo = paint(120, 160, (80, 60, RED))
    assert any("edge" in note for note in finder.encode(photo, ml.Mask(square(120, 160, 80, 60))).notes)


def test_trap_38_references_of_different_kinds_are_noted(finder):
    red = paint(120, 160, (40, 60, RED)), ml.Mask(square(120, 160, 40, 60))
    blue = paint(120, 160, (40, 60, SLATE)), ml.Mask(square(120, 160, 40, 60))
    assert not finder.encode([red, red]).notes
    (note,) = finder.encode([red, blue]).notes
    assert "little like the first reference" in note
    both = finder.matte(paint(120, 200, (40, 20, RED), (40, 130, SLATE)), finder.encode([red, blue]))
    assert both.alpha[square(120, 200, 40, 130)].mean() > 0.95  # "either" is what it means


def test_a_context_names_its_photo_but_not_the_folder(finder, tmp_path):
    path = tmp_path / "ref.png"
    Image.fromarray(REFERENCE.pixels).save(path)
    context = finder.encode(path, ml.Mask(THING))
    assert context.thumbnails[0].name == "ref.png"
    assert str(tmp_path).encode() not in context.to_bytes()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (([],), errors.PromptError),
        (("cat.jpg",), errors.PromptError),
        ((Path("cat.jpg"),), errors.PromptError),
        ((REFERENCE.pixels,), errors.PromptError),
        (([REFERENCE.pixels],), errors.PromptError),
        ((REFERENCE.pixels, ml.Mask(np.zeros((120, 161), bool))), errors.PromptError),
        ((REFERENCE.pixels, ml.Points([(500, 3)])), errors.PromptError),
        (("nowhere.jpg", ml.Points([(1, 1)])), errors.PhotoError),
        ((REFERENCE.pixels, ml.Mask("nowhere.png")), errors.PhotoError),
        ((REFERENCE.pixels.astype(np.int64), ml.Points([(1, 1)])), errors.PhotoError),
    ],
)
def test_what_cannot_be_encoded_is_said_in_one_line(finder, arguments, kind):
    with pytest.raises(kind) as caught:
        finder.encode(*arguments)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


# --- contexts ----------------------------------------------------------------------------------------


def test_trap_42_a_saved_context_gives_the_same_bytes(finder, context, tmp_path):
    context.save(tmp_path / "disc.context")
    loaded = ml.Context.load(tmp_path / "disc.context")
    one, two = finder.matte(TARGET.pixels, context), finder.matte(TARGET.pixels, loaded)
    assert one.alpha.tobytes() == two.alpha.tobytes()
    assert one.presence == two.presence


@pytest.mark.parametrize(("field", "value"), [("name", "other"), ("sha256", "1" * 64)])
def test_trap_42_a_context_of_another_model_is_refused_at_once(context, field, value):
    other = toy(replace(CARD, **{field: value}))
    with pytest.raises(errors.ContextError, match="mark the reference again"):
        other.matte(TARGET.pixels, context)
    with pytest.raises(errors.ContextError):
        other.mattes([TARGET.pixels], context)


# --- matte -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (41, 1), (3, 3), (2, 5), (97, 131), (20, 400)])
@pytest.mark.parametrize("refine", [True, False])
def test_trap_43_alpha_has_the_photos_own_size_whatever_that_is(finder, context, size, refine):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    matte = finder.matte(pixels, context, refine=refine)
    assert matte.alpha.shape == size
    assert matte.alpha.dtype == np.float32
    assert 0 <= matte.alpha.min() <= matte.alpha.max() <= 1
    assert 0 <= matte.presence <= 1
    assert matte.cutout().shape == (*size, 4)
    assert matte.uncertainty is not None
    assert matte.uncertainty.shape == size
    assert len(matte.instances()) >= 0
    assert matte.crop(0.1).alpha.size >= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (3, 3)])
def test_trap_43_tiny_photos_can_be_references(finder, size):
    pixels = np.full((*size, 3), RED, np.uint8)
    tiny = finder.encode(pixels, ml.Points([(0, 0)]))
    assert finder.matte(paint(120, 160, (40, 60, RED)), tiny).alpha[60, 80] > 0.9


@pytest.mark.parametrize("level", [0, 128, 255])
def test_trap_47_flat_photos_give_numbers(finder, context, level):
    matte = finder.matte(np.full((50, 60), level, np.uint8), context)
    assert np.isfinite(matte.alpha).all()
    assert np.isfinite(matte.presence)


def test_depths_agree_and_are_kept(finder, context):
    eight = TARGET.pixels
    sixteen = eight.astype(np.uint16) * np.uint16(257)
    mattes = [finder.matte(p, context) for p in (eight, sixteen, eight.astype(np.float32) / 255)]
    assert [matte.cutout().dtype for matte in mattes] == [np.uint8, np.uint16, np.uint16]
    for matte in mattes[1:]:
        assert np.abs(matte.alpha - mattes[0].alpha).max() < 0.01


def test_an_alpha_the_photo_has_is_multiplied_in(finder, context):
    hole = np.full(TARGET.alpha.shape, 255, np.uint8)
    hole[:, :60], hole[:, 60:70] = 0, 51
    opaque = finder.matte(TARGET.pixels, context)
    matte = finder.matte(np.dstack([TARGET.pixels, hole]), context)
    assert matte.alpha.dtype == np.float32
    assert not matte.alpha[:, :60].any()
    assert np.allclose(matte.alpha[:, 60:70], opaque.alpha[:, 60:70] / 5, atol=1e-6)
    assert np.array_equal(matte.alpha[:, 70:], opaque.alpha[:, 70:])
    assert not matte.uncertainty[:, :60].any()


def test_trap_39_an_absent_kind_is_said_and_nothing_is_zeroed_or_stretched(finder, context):
    class Timid(ToyModel):
        """Half sure everywhere of what is not there."""

        def alpha(self, images, features, guidance):
            found = super().alpha(images, features, guidance)
            return replace(found, alpha=np.full_like(found.alpha, 0.4), uncertainty=None, presence=0.1)

    blank = finder.matte(paint(90, 130), context)
    assert blank.status == "absent"
    assert blank.presence < CARD.absent_below
    timid = Predictor(Timid()).matte(TARGET.pixels, context, refine=False)
    assert timid.status == "absent"
    assert np.allclose(timid.alpha, 0.4, atol=1e-6)


def test_trap_41_all_instances_are_found(finder):
    seen = finder.encode(paint(120, 160, (40, 60, RED)), ml.Mask(square(120, 160, 40, 60)))
    matte = finder.matte(paint(120, 300, (40, 20, RED), (40, 120, RED), (40, 220, RED)), seen)
    assert len(matte.instances()) == 3


def test_trap_37_a_photo_as_its_own_reference_is_no_worse_than_its_mark(finder):
    box = ml.Box(40, 20, 121, 100)
    drawn = np.zeros_like(THING)
    drawn[20:100, 40:121] = True
    for mark, quality in ((ml.Mask(THING), 0.985), (box, iou(drawn, REFERENCE.alpha))):
        matte = finder.matte(REFERENCE.pixels, finder.encode(REFERENCE.pixels, mark))
        assert iou(matte.alpha, REFERENCE.alpha) >= quality


def test_guidance_says_where_the_kind_was_found(finder, context):
    guidance = finder.matte(TARGET.pixels, context).guidance
    assert isinstance(guidance, ml.Guidance)
    assert guidance.maps.shape == (len(guidance.names), *guidance.similarity.shape)
    middle = tuple(side // 2 for side in guidance.similarity.shape)
    assert guidance.similarity[middle] > 0.9 > 0.1 > guidance.similarity[0, 0]


def test_a_model_without_uncertainty_gives_none(context):
    assert toy(uncertain=False).matte(TARGET.pixels, context).uncertainty is None


def test_saving_keeps_profile_and_depth_of_the_source(finder, context, tmp_path):
    Image.fromarray(TARGET.pixels).save(tmp_path / "target.jpg", icc_profile=PROFILE, quality=95)
    finder.matte(tmp_path / "target.jpg", context).save(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as saved:
        assert saved.info["icc_profile"] == PROFILE
        assert saved.mode == "RGBA"
    finder.matte(TARGET.pixels.astype(np.uint16) * np.uint16(257), context).save(tmp_path / "deep.png")
    assert ml.read_image(tmp_path / "deep.png").depth == 16


def test_the_source_array_is_never_written_to(finder, context):
    pixels = TARGET.pixels.copy()
    pixels.flags.writeable = False
    matte = finder.matte(pixels, context)
    matte.cutout()
    matte.crop().cutout()
    assert np.array_equal(pixels, TARGET.pixels)


# --- mattes ------------------------------------------------------------------------------------------


class Counted:
    """Photos that say how many were taken."""

    def __init__(self, count: int) -> None:
        self.taken, self._count = 0, count

    def __iter__(self) -> Iterator[Pixels]:
        for index in range(self._count):
            self.taken += 1
            yield np.roll(TARGET.pixels, 3 * index, axis=1)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_mattes_are_lazy_bounded_and_in_order(finder, context, workers):
    photos = Counted(6)
    mattes = finder.mattes(photos, context, workers=workers, refine=False)
    assert photos.taken == 0
    for done, (matte, pixels) in enumerate(zip(mattes, Counted(6), strict=True), 1):
        assert np.array_equal(matte.photo.pixels, pixels)
        assert photos.taken - done <= workers + 1
    assert photos.taken == 6


def test_workers_change_no_byte(finder, context):
    one = [matte.alpha.tobytes() for matte in finder.mattes(Counted(3), context)]
    two = [matte.alpha.tobytes() for matte in finder.mattes(Counted(3), context, workers=2)]
    assert one == two == [finder.matte(photo, context).alpha.tobytes() for photo in Counted(3)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_photo_raises_when_its_turn_comes(finder, context, workers):
    photos = [TARGET.pixels, TARGET.pixels, "nowhere.jpg", TARGET.pixels]
    mattes = finder.mattes(photos, context, workers=workers, refine=False)
    assert isinstance(next(mattes), Matte)
    assert isinstance(next(mattes), Matte)
    with pytest.raises(errors.PhotoError, match=r"nowhere\.jpg"):
        next(mattes)


def test_mattes_may_be_left_early(finder, context):
    mattes = finder.mattes(Counted(1000), context, workers=2)
    next(mattes)
    mattes.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]


@pytest.mark.parametrize("photos", ["cat.jpg", b"bytes", TARGET.pixels])
def test_one_photo_where_several_are_wanted_is_refused(finder, context, photos):
    with pytest.raises(errors.UsageError, match="several photos"):
        finder.mattes(photos, context)


def test_no_workers_are_refused(finder, context):
    with pytest.raises(errors.UsageError, match="workers must be at least 1"):
        finder.mattes([], context, workers=0)
    assert list(finder.mattes([], context)) == []


# --- the shipped model -------------------------------------------------------------------------------


def test_unknown_models_options_and_devices_are_said_in_one_line():
    for act, kind in (
        (lambda: ml.load("nobody"), errors.ModelNotFoundError),
        (lambda: ml.load("embedded", colour="red"), errors.ModelNotFoundError),
    ):
        with pytest.raises(kind) as caught:
            act()
        assert "\n" not in str(caught.value)


def test_shipped_model_finds_the_kind_from_every_mark(shipped):
    for mark in (ml.Mask(THING), ml.Points([(80, 60)], negative=[(5, 5)]), ml.Box(40, 20, 121, 100)):
        matte = shipped.matte(TARGET.pixels, shipped.encode(REFERENCE.pixels, mark))
        assert iou(matte.alpha, TARGET.alpha) > 0.9
        assert matte.status == "present"


def test_shipped_model_is_bit_equal_after_saving_and_with_workers(shipped, tmp_path):
    context = shipped.encode(REFERENCE.pixels, ml.Mask(THING))
    context.save(tmp_path / "disc.context")
    loaded = ml.Context.load(tmp_path / "disc.context")
    expected = [shipped.matte(photo, context).alpha.tobytes() for photo in Counted(3)]
    assert [matte.alpha.tobytes() for matte in shipped.mattes(Counted(3), loaded, workers=2)] == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (3, 3), (97, 131)])
def test_trap_43_shipped_model_answers_at_any_size(shipped, size):
    context = shipped.encode(REFERENCE.pixels, ml.Mask(THING))
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    matte = shipped.matte(pixels, context)
    assert matte.alpha.shape == matte.uncertainty.shape == size
    assert 0 <= matte.alpha.min() <= matte.alpha.max() <= 1
    assert 0 <= matte.presence <= 1


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        pytest.param("chow", "01"),
        pytest.param("sloth", "00", marks=pytest.mark.slow),
        pytest.param("vase", "03", marks=pytest.mark.slow),
    ],
)
def test_trap_37_shipped_model_keeps_what_was_marked_on_real_photos(shipped, examples, kind, number):
    photo = examples / "photos" / kind / f"{number}.jpg"
    truth = ml.read_image(examples / "marks" / f"{kind}.png").pixels[..., 0] / np.float32(255)
    rows, columns = np.nonzero(truth > 0.5)
    edges = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
    drawn = np.zeros_like(truth)
    drawn[edges[1] : edges[3], edges[0] : edges[2]] = 1
    whole = shipped.matte(photo, shipped.encode(photo, ml.Mask(truth)), refine=False)
    boxed = shipped.matte(photo, shipped.encode(photo, ml.Box(*edges)), refine=False)
    assert iou(whole.alpha, truth) > 0.9
    assert iou(boxed.alpha, truth) > iou(drawn, truth)


# --- small things ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Small:
    """A thing that fills little of its photo: pixels, alpha; and the photo it was cut out of, its mask."""

    pixels: Pixels
    alpha: Float32
    source: Path
    mask: Path


@pytest.fixture(scope="module")
def small(examples) -> Small:
    source, mask = examples / "photos" / "sloth" / "00.jpg", examples / "marks" / "sloth.png"
    alpha = np.zeros((1200, 1600), np.float32)
    pixels = np.full((1200, 1600, 3), (150, 160, 140), np.uint8)
    photo, cut = (Image.open(path).resize((450, 450)) for path in (source, mask))
    at = slice(500, 950), slice(900, 1350)
    alpha[at] = np.asarray(cut.convert("L")) / np.float32(255)
    share = alpha[at][..., None]
    pixels[at] = (np.asarray(photo.convert("RGB")) * share + pixels[at] * (1 - share)).round()
    return Small(pixels, alpha, source, mask)


def test_trap_36_a_small_thing_is_looked_at_twice_and_cut_out_twice_as_well(shipped, small):
    context = shipped.encode(small.source, ml.Mask(small.mask))
    once = shipped.finish(shipped.glance(small.pixels, context, considered=False))
    twice = shipped.matte(small.pixels, context)
    assert np.abs(twice.alpha - small.alpha).sum() < 0.5 * np.abs(once.alpha - small.alpha).sum()
    assert twice.presence == once.presence
    assert twice.alpha.shape == small.alpha.shape and not twice.alpha[:400].any()
    assert twice.uncertainty is not None and twice.uncertainty.shape == small.alpha.shape


def test_trap_36_a_thing_that_fills_the_photo_is_looked_at_once(shipped, examples):
    photo = examples / "photos" / "chow" / "01.jpg"
    context = shipped.encode(photo, ml.Mask(examples / "marks" / "chow.png"))
    assert shipped.glance(photo, context).closer is None


def test_trap_36_what_a_closer_look_would_cut_off_is_left_to_the_first(shipped, small, monkeypatch):
    context = shipped.encode(small.source, ml.Mask(small.mask))
    # Half of the thing: as if the first look had found no more of it.
    monkeypatch.setattr(Predictor, "_around", lambda *_: Window(500, 900, 720, 1350))
    assert shipped.glance(small.pixels, context).closer is None


def test_trap_36_a_closer_look_keeps_an_alpha_the_photo_has(shipped, small):
    context = shipped.encode(small.source, ml.Mask(small.mask))
    half = np.full(small.alpha.shape, 128, np.uint8)
    matte = shipped.matte(np.dstack([small.pixels, half]), context)
    whole = shipped.matte(small.pixels, context)
    assert np.allclose(matte.alpha, whole.alpha * np.float32(128 / 255), atol=1e-6)


def test_a_piece_that_is_less_like_the_reference_is_left_out(shipped, examples, monkeypatch):
    """A bit of tree stayed beside the sloth; the head no longer takes it, so it is made to."""
    photo = ml.read_image(examples / "photos" / "sloth" / "00.jpg")
    context = shipped.encode(photo, ml.Points([(int(0.38 * photo.width), int(0.54 * photo.height))]))
    head = shipped.model.alpha

    def taking_more(images: Float32, *shown: object) -> Coarse:
        coarse = head(images, *shown)
        height, width = images.shape[2:]
        alpha = coarse.alpha.copy()
        alpha[: int(0.2 * height), int(0.65 * width) : int(0.85 * width)] = 0.9
        return replace(coarse, alpha=alpha)

    monkeypatch.setattr(shipped.model, "alpha", taking_more)
    first = shipped.finish(shipped.glance(photo, context, considered=False), refine=False)
    matte = shipped.matte(photo, context, refine=False)
    tree = np.s_[: int(0.2 * photo.height), int(0.65 * photo.width) : int(0.85 * photo.width)]
    assert first.alpha[tree].max() > 0.5  # else there would be nothing to leave out
    assert matte.alpha[tree].max() < 0.05
    assert matte.alpha[int(0.54 * photo.height), int(0.38 * photo.width)] > 0.95


def test_what_is_wrongly_called_absent_is_found_all_the_same(examples, monkeypatch):
    """One scene in forty was all but empty though its thing was found: doubt about presence had paled it."""
    predictor = ml.load(device="cpu")
    photo = examples / "photos" / "sloth" / "01.jpg"
    context = predictor.encode(
        examples / "photos" / "sloth" / "00.jpg", ml.Mask(examples / "marks" / "sloth.png")
    )
    sure, head = predictor.matte(photo, context, refine=False), predictor.model.alpha
    bound = predictor.card.absent_below

    def doubting(*shown: object) -> object:
        coarse = head(*shown)
        return replace(coarse, alpha=coarse.alpha * np.float32(0.3), presence=0.6 * bound)

    monkeypatch.setattr(predictor.model, "alpha", doubting)
    found = predictor.matte(photo, context, refine=False)
    assert found.status == "absent"
    assert iou(found.alpha, sure.alpha) > 0.95
    assert not found.or_empty().alpha.any()
    # A clip's frames stay pale: what left the picture must not flash up.
    pale = predictor.finish(predictor.glance(photo, context, considered=False), refine=False)
    assert pale.alpha.max() < 0.35


@pytest.mark.parametrize("mark", ["mask", "click", "box"])
def test_trap_36_a_small_reference_gives_as_many_tokens_as_a_large_one(shipped, small, mark):
    rows, columns = np.nonzero(small.alpha > 0.9)
    marks = {
        "mask": ml.Mask(small.alpha),
        "click": ml.Points([(int(np.median(columns)), int(np.median(rows)))]),
        "box": ml.Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1),
    }
    context = shipped.encode(small.pixels, marks[mark])
    # Seen with the whole photo the thing is 60 cells of 800.
    assert (context.weights > 0.5).sum() > 150
    truth = np.asarray(Image.open(small.mask).convert("L")) / np.float32(255)
    assert iou(shipped.matte(small.source, context).alpha, truth) > 0.9


def test_trap_36_the_paper_model_sees_a_reference_as_the_paper_does(finder, small):
    mask = ml.prompts.resolve(ml.Mask(small.alpha), ml.read_image(small.pixels), ml.read_image)
    assert finder._close_up(mask) is not None
    theirs = ToyModel(card=replace(CARD, head="icon-768"))
    assert Predictor(theirs)._close_up(mask) is None


# --- memory ------------------------------------------------------------------------------------------

PEAK = f"""
import sys
import mattelike as ml
{PEAK_BYTES}
finder = ml.load(device="cpu", threads=1)
photo = ml.read_image(sys.argv[1])
context = finder.encode(photo, ml.Box("25%", "25%", "75%", "75%"))
finder.matte(photo, context).save(sys.argv[2])
print(peak_bytes())
"""


def peak_of(folder: Path, megapixels: int) -> tuple[int, int]:
    """Peak memory in bytes of a process that reads, marks, mattes and writes; and the photo's pixels."""
    scene = scenes.hair(300, 400, count=80)
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = round(width * 3 / 4)
    picture = Image.fromarray(scene.pixels).resize((width, height), Image.Resampling.BICUBIC)
    picture.save(folder / "large.jpg", quality=90)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PEAK, str(folder / "large.jpg"), str(folder / "out.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout), height * width


@pytest.mark.skipif(sys.platform == "win32", reason="no peak memory from the standard library there")
@pytest.mark.slow
@pytest.mark.parametrize("megapixels", [1, 12, 50])
def test_trap_45_memory_is_bounded(shipped, tmp_path, megapixels):
    peak, pixels = peak_of(tmp_path, megapixels)
    assert peak <= 0.6 * 2**30 + 24 * pixels


def test_a_mark_in_place_of_a_context_makes_a_photo_its_own_reference() -> None:
    predictor, mark = toy(), ml.Mask(THING)
    own = predictor.matte(REFERENCE.pixels, mark, refine=False)
    context = predictor.encode(REFERENCE.pixels, mark)
    assert np.array_equal(own.alpha, predictor.matte(REFERENCE.pixels, context, refine=False).alpha)
    with pytest.raises(errors.PromptError):
        predictor.matte(REFERENCE.pixels, ml.Mask(np.zeros_like(THING)))


def test_a_context_for_a_trained_head_leaves_out_what_is_half_the_thing() -> None:
    """Cells that touch the thing and are not of it speak for neither."""
    free, read = (
        toy(replace(CARD, head=head)).encode(REFERENCE.pixels, ml.Mask(THING))
        for head in ("free", "icon-flex")
    )
    grid = (24, 32)  # of 192 x 256 pixels, the size it is shown at
    left_out = fringe(free.weights.astype(np.float32).reshape(grid))
    assert left_out.any()
    assert np.array_equal(read.tokens, free.tokens[~left_out.reshape(-1)])
    assert np.array_equal(read.weights, free.weights[~left_out.reshape(-1)])


@pytest.mark.parametrize(
    ("presence", "head", "lifted"),
    [
        (0.5, "icon-flex", True),
        (0.05, "icon-flex", True),
        (0.01, "icon-flex", False),
        (0.5, "free", False),
    ],
)
def test_doubt_about_presence_does_not_pale_alpha(monkeypatch, presence, head, lifted):
    """Presence is reported beside alpha, never multiplied in; where it is surely absent alpha stays."""
    predictor = toy(replace(CARD, head=head, absent_below=0.1))
    context = predictor.encode(REFERENCE.pixels, ml.Mask(THING))
    answer = ToyModel.alpha

    def saying(level):
        def alpha(self, *given):
            coarse = answer(self, *given)
            square = np.zeros_like(coarse.alpha)
            square[40:90, 60:120] = level
            return replace(coarse, alpha=square, presence=presence)

        return alpha

    monkeypatch.setattr(ToyModel, "alpha", saying(0.4))
    found = predictor.glance(REFERENCE.pixels, context).coarse.alpha
    assert found.max() == pytest.approx(0.95 if lifted else 0.4, abs=1e-6)
    assert not found[:40].any()
    monkeypatch.setattr(ToyModel, "alpha", saying(0.97))
    assert predictor.glance(REFERENCE.pixels, context).coarse.alpha.max() == np.float32(0.97)


def test_an_answer_that_is_no_number_is_an_error_and_no_matte(monkeypatch):
    predictor = toy()
    context = predictor.encode(REFERENCE.pixels, ml.Mask(THING))
    answer = ToyModel.alpha

    def overflowing(self, *given):
        coarse = answer(self, *given)
        alpha = coarse.alpha.copy()
        alpha[3, 4] = np.nan
        return replace(coarse, alpha=alpha)

    monkeypatch.setattr(ToyModel, "alpha", overflowing)
    with pytest.raises(errors.ModelError, match="no numbers"):
        predictor.matte(TARGET.pixels, context)
