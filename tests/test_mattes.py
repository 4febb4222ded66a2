"""What can be made of an alpha: cut-outs that composite truly, instances, crops, files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

import mattelike as ml
from mattelike import components, errors
from mattelike.mattes import EMITS, Matte, status_of
from mattelike.values import Float32, Guidance, Metadata, Photo, Pixels
from tests import scenes

EMPTY = np.zeros((1, 1), np.float32)
GUIDANCE = Guidance(EMPTY[None], ("similarity",), EMPTY, EMPTY, 1.0)
COLOURS = ((0, 0, 0), (255, 255, 255), (0, 255, 0), (13, 101, 240))


def matte_of(alpha: Float32, pixels: Pixels | None = None, **more: object) -> Matte:
    shown = np.full((*alpha.shape, 3), 128, np.uint8) if pixels is None else pixels
    values = {"photo": Photo(shown), "presence": 1.0, "status": "present", "guidance": GUIDANCE, **more}
    return Matte(alpha=alpha.astype(np.float32), **values)  # type: ignore[arg-type]


def blobs(height: int, width: int, *discs: tuple[float, float, float], soft: float = 6) -> Float32:
    """Discs at (row, column, radius), their alpha falling over `soft` pixels."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    parts = [np.clip((r - np.hypot(rows - y, columns - x)) / soft + 0.5, 0, 1) for y, x, r in discs]
    return np.maximum.reduce(parts).astype(np.float32)


# --- pictures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("maker", ["disc", "hair"])
def test_trap_49_cutout_over_any_colour_is_the_true_composite_within_a_level(maker, depth):
    scene = scenes.MAKERS[maker](96, 112, depth=depth)
    matte = matte_of(scene.alpha, scene.pixels)
    cut = matte.cutout()
    top = np.iinfo(depth).max
    assert cut.dtype == depth
    assert cut.shape == (96, 112, 4)
    share = cut[..., 3:].astype(np.float64) / top
    for colour in COLOURS:
        laid = cut[..., :3] * share + np.array(colour) * (top // 255) * (1 - share)
        assert np.abs(laid - matte.composite(colour).astype(np.float64)).max() <= 1.01


def test_trap_49_no_fringe_of_the_old_background():
    scene = scenes.red_on_green()
    cut = matte_of(scene.alpha, scene.pixels).cutout()
    edge = scene.mixed & (scene.alpha > 0.1)
    assert cut[edge][:, 1].astype(int).mean() < 40  # green was 204


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_trap_4_an_alpha_the_photo_has_does_not_change_its_colours(depth):
    """Existing alpha says how much is there, not that the photo's colours are mixed with a background."""
    scene = scenes.disc(96, 112, depth=depth)
    top = np.iinfo(depth).max
    existing = np.full(scene.alpha.shape, top // 2, depth)
    existing[-8:] = 0  # far below the disc
    plain = matte_of(scene.alpha, scene.pixels).foreground()
    share = existing / np.float32(top)
    under = matte_of(scene.alpha * share, photo=Photo(scene.pixels, existing))
    seen = scene.alpha * share > 0
    assert np.abs(under.foreground()[seen].astype(int) - plain[seen].astype(int)).max() <= top // 255
    assert not under.cutout()[existing == 0].any()


def test_trap_54_opacity_is_rounded_half_up():
    alpha = np.float32([[0, 0.25, 0.5, 0.75, 1]])
    assert matte_of(alpha).cutout()[0, :, 3].tolist() == [0, 64, 128, 191, 255]


def test_premultiplied_is_the_composite_on_black():
    scene = scenes.disc(40, 50)
    matte = matte_of(scene.alpha, scene.pixels)
    assert np.array_equal(matte.premultiplied(), matte.composite((0, 0, 0)))


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_composite_takes_levels_of_8_bits_at_any_depth(depth):
    pixels = np.zeros((4, 5, 3), depth)
    plain = matte_of(np.zeros((4, 5), np.float32), pixels).composite((255, 128, 0))
    assert np.array_equal(plain[0, 0], np.array([255, 128, 0]) * (np.iinfo(depth).max // 255))


def test_composite_lays_over_a_photo_of_another_size():
    behind = Photo(np.full((9, 31, 3), (10, 200, 30), np.uint8))
    result = matte_of(np.zeros((12, 10), np.float32)).composite(behind)
    assert (result == (10, 200, 30)).all()


@pytest.mark.parametrize("colour", [(300, 0, 0), (-1, 0, 0), (1, 2)])
def test_a_background_that_is_no_colour_is_refused(colour):
    with pytest.raises(errors.SettingsError, match="three levels of 0 to 255"):
        matte_of(np.ones((2, 2), np.float32)).composite(colour)


def test_trap_55_hidden_colours_are_black_or_the_photos_own():
    scene = scenes.disc(40, 50)
    gone = scene.alpha == 0
    assert not matte_of(scene.alpha, scene.pixels).cutout()[gone].any()
    kept = matte_of(scene.alpha, scene.pixels, hidden=True).cutout()
    assert np.array_equal(kept[gone][:, :3], scene.pixels[gone])


def test_trimap_has_three_levels():
    assert set(np.unique(matte_of(scenes.disc_alpha(60, 60)).trimap())) == {0, 0.5, 1}


def test_status_follows_the_models_bounds():
    words = [status_of(presence, 0.25, 0.6) for presence in (0.0, 0.2499, 0.25, 0.59, 0.6, 1.0)]
    assert words == ["absent", "absent", "unsure", "unsure", "present", "present"]


# --- instances ---------------------------------------------------------------------------------------


def test_trap_41_instances_come_largest_first():
    alpha = blobs(100, 200, (50, 40, 15), (50, 100, 25), (50, 165, 20))
    found = matte_of(alpha).instances()
    areas = [float(part.alpha.sum()) for part in found]
    assert len(found) == 3
    assert areas == sorted(areas, reverse=True)
    assert np.array_equal(matte_of(alpha).largest().alpha, found[0].alpha)


def test_trap_41_equal_instances_come_in_reading_order():
    found = matte_of(blobs(60, 200, (30, 170, 12), (30, 30, 12), (30, 100, 12))).instances()
    assert [int(part.alpha.argmax() % 200) for part in found] == sorted(
        int(part.alpha.argmax() % 200) for part in found
    )


def test_trap_41_one_thing_keeps_its_whole_soft_edge():
    alpha = blobs(120, 120, (60, 60, 30), soft=40)  # softer than any fixed reach
    (only,) = matte_of(alpha).instances()
    assert np.array_equal(only.alpha, np.where(alpha >= 1 / 510, alpha, only.alpha))
    assert float(np.abs(only.alpha - alpha).max()) < 1 / 510


def test_trap_41_neighbours_share_the_edge_between_them_and_steal_nothing():
    alpha = blobs(80, 121, (40, 30, 26), (40, 90, 26), soft=14)
    one, two = (part.alpha for part in matte_of(alpha).instances())
    assert not ((one > 0) & (two > 0)).any()
    assert np.array_equal(one + two, alpha)
    assert not one[:, 75:].any()
    assert not two[:, :46].any()
    assert np.array_equal(one, two[:, ::-1]) or np.abs(one.sum() - two.sum()) < 0.02 * one.sum()


def test_trap_41_loose_strands_stay_with_the_thing_they_are_near():
    alpha = blobs(200, 200, (80, 80, 40))
    alpha[132:140, 80] = 0.9  # a piece of hair, not connected
    (only,) = matte_of(alpha).instances()
    assert only.alpha[135, 80] == np.float32(0.9)


def test_trap_41_crumbs_that_lie_apart_are_in_no_instance():
    alpha = blobs(200, 300, (80, 80, 40))
    alpha[150:154, 280:284] = 1
    matte = matte_of(alpha)
    (only,) = matte.instances()
    assert only.alpha[:, 200:].max() == 0
    assert matte.alpha[152, 282] == 1  # the matte itself is never touched


@pytest.mark.parametrize(("status", "left"), [("absent", 0.0), ("unsure", 1.0), ("present", 1.0)])
def test_what_is_absent_can_be_left_empty(status: str, left: float) -> None:
    matte = matte_of(np.ones((4, 5), np.float32), status=status)
    assert (matte.or_empty().alpha == left).all()
    assert (matte.alpha == 1).all()


def test_nothing_opaque_has_no_instances_and_is_its_own_largest():
    matte = matte_of(np.full((20, 20), 0.4, np.float32))
    assert matte.instances() == []
    assert matte.largest() is matte


def test_spread_gives_each_pixel_to_the_nearest_part():
    draw = np.random.default_rng(3)
    seeds = [(int(y), int(x)) for y, x in draw.integers(0, 60, (6, 2))]
    labels = np.zeros((60, 60), np.int32)
    for number, seed in enumerate(seeds, 1):
        labels[seed] = number
    owners = components.spread(labels)
    rows, columns = np.mgrid[:60, :60]
    away = np.stack([np.hypot(rows - y, columns - x) for y, x in seeds])
    assert owners.min() >= 1
    chosen = np.take_along_axis(away, owners[None] - 1, 0)[0]
    assert (chosen <= 1.1 * away.min(axis=0) + 1.5).all()


def test_spread_goes_no_further_than_it_is_open_and_asked_to():
    labels = np.zeros((5, 20), np.int32)
    labels[2, 2] = 7
    wall = np.ones((5, 20), bool)
    wall[:, 10] = False
    assert (components.spread(labels, wall)[:, 10:] == 0).all()
    assert (components.spread(labels, wall)[:, :10] == 7).all()
    reached = np.flatnonzero(components.spread(labels, rings=4)[2])
    assert reached.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.array_equal(components.spread(np.zeros((3, 3), np.int32)), np.zeros((3, 3), np.int32))


def test_spread_passes_diagonals():
    labels = np.zeros((6, 6), np.int32)
    labels[0, 0] = 1
    assert (components.spread(labels, np.eye(6, dtype=bool)) == np.eye(6)).all()


# --- windows and crops -------------------------------------------------------------------------------


def test_window_holds_all_that_8_bits_can_show_and_no_more():
    alpha = np.zeros((30, 40), np.float32)
    alpha[5, 7], alpha[20, 33], alpha[29, 39] = 1 / 510, 1, 0.0019
    window = matte_of(alpha).window()
    assert window is not None
    assert (window.top, window.left, window.bottom, window.right) == (5, 7, 21, 34)


def test_margin_is_a_share_of_the_longer_side_and_ends_at_the_photo():
    alpha = np.zeros((50, 100), np.float32)
    alpha[20:30, 40:60] = 1
    window = matte_of(alpha).window(0.25)
    assert window is not None
    assert (window.top, window.left, window.bottom, window.right) == (15, 35, 35, 65)
    whole = matte_of(alpha).window(100)
    assert whole is not None
    assert (whole.top, whole.left, whole.bottom, whole.right) == (0, 0, 50, 100)


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(errors.SettingsError, match="margin"):
        matte_of(np.ones((3, 3), np.float32)).crop(margin)


def test_crop_cuts_photo_alpha_existing_alpha_and_uncertainty_alike():
    scene = scenes.disc(60, 80)
    photo = Photo(scene.pixels, alpha=(scene.alpha * 255).astype(np.uint8), profile=None, name="a.png")
    matte = matte_of(scene.alpha, photo=photo, uncertainty=scene.alpha / 2)
    cropped, window = matte.crop(0.1), matte.window(0.1)
    assert window is not None
    for whole, part in (
        (matte.photo.pixels, cropped.photo.pixels),
        (photo.alpha, cropped.photo.alpha),
        (matte.alpha, cropped.alpha),
        (matte.uncertainty, cropped.uncertainty),
    ):
        assert np.array_equal(whole[window.slices], part)
    assert cropped.photo.name == "a.png"
    assert cropped.cutout().shape == (*cropped.alpha.shape, 4)


def test_crop_of_nothing_is_the_matte_itself():
    matte = matte_of(np.zeros((5, 5), np.float32))
    assert matte.window() is None
    assert matte.crop(0.5) is matte


# --- files -------------------------------------------------------------------------------------------


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_saved_cutout_keeps_profile_depth_and_pixels(tmp_path, depth):
    scene = scenes.disc(50, 60, depth=depth)
    photo = Photo(scene.pixels, profile=PROFILE, metadata=Metadata(dpi=(300.0, 300.0)))
    matte = matte_of(scene.alpha, photo=photo)
    matte.save(tmp_path / "out.png")
    back = ml.read_image(tmp_path / "out.png")
    assert back.profile == PROFILE
    assert back.pixels.dtype == depth
    assert back.metadata.dpi == pytest.approx((300, 300), rel=1e-3)
    assert np.array_equal(np.dstack([back.pixels, back.alpha]), matte.cutout())


def test_saved_cutout_keeps_hidden_colours_when_asked(tmp_path):
    scene = scenes.disc(40, 50)
    matte_of(scene.alpha, scene.pixels, hidden=True).save(tmp_path / "kept.png")
    assert np.array_equal(
        ml.read_image(tmp_path / "kept.png").pixels[scene.alpha == 0], scene.pixels[scene.alpha == 0]
    )


@pytest.mark.parametrize("emit", EMITS)
def test_every_picture_can_be_saved_whole(tmp_path, emit):
    scene = scenes.disc(33, 47)
    matte = matte_of(scene.alpha, scene.pixels, uncertainty=scene.alpha / 2)
    matte.save(tmp_path / "x.png", emit, note="made of a test")
    with Image.open(tmp_path / "x.png") as saved:
        saved.load()
        assert saved.size == (47, 33)
        assert saved.mode == ("RGBA" if emit in ("cutout", "premultiplied") else saved.mode)
        assert saved.info["mattelike"] == "made of a test"
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_saved_composite_is_white_or_the_background_given(tmp_path):
    matte = matte_of(np.zeros((4, 4), np.float32))
    matte.save(tmp_path / "white.png", "composite")
    matte.save(tmp_path / "black.png", "composite", background=(0, 0, 0))
    assert (ml.read_image(tmp_path / "white.png").pixels == 255).all()
    assert (ml.read_image(tmp_path / "black.png").pixels == 0).all()


def test_what_cannot_be_saved_is_said_in_one_line(tmp_path):
    matte = matte_of(np.ones((4, 4), np.float32))
    cases = [
        (lambda: matte.save(tmp_path / "x.png", "uncertainty"), errors.UsageError),
        (lambda: matte.save(tmp_path / "x.jpg"), errors.UsageError),
        (lambda: matte.save(tmp_path / "none" / "x.png"), errors.OutputError),
    ]
    for act, kind in cases:
        with pytest.raises(kind) as caught:
            act()
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
