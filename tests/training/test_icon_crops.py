"""The square that is learnt from, by the paper and by the release; and the sources that a recipe names."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from mattelike.errors import UsageError
from mattelike.models.sd21_settings import settings_of
from mattelike.training import icon_sources
from mattelike.training.icon_batches import IconBatches, marked
from mattelike.training.icon_crops import resized, squared
from mattelike.training.sample_pixels import Loaded
from tests.training import icon_data

cv2 = pytest.importorskip("cv2", reason="the release's own interpolations")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(height: int, width: int, thing: tuple[slice, slice]) -> Loaded:
    """A picture whose colours say where each pixel was, and one thing in it."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    image = np.stack([rows / height, columns / width, np.zeros_like(rows)], axis=2) * 2 - 1
    alpha = np.zeros((height, width), np.float32)
    alpha[thing] = 1
    trimap = alpha.copy()
    trimap[0] = 0.5
    return Loaded(image, alpha, trimap, "matting")


def test_the_papers_crop_is_cut_out_at_the_pictures_own_scale() -> None:
    sample = pixels(200, 300, (slice(50, 150), slice(100, 200)))
    places = set()
    for seed in range(20):
        square = squared(sample, 128, "random_crop", generator(seed))
        top, left = (
            round(float((square.image[axis, 0, 0] + 1) / 2 * size)) for axis, size in ((0, 200), (1, 300))
        )
        places.add((top, left))
        part = slice(top, top + 128), slice(left, left + 128)
        assert np.array_equal(square.alpha.numpy(), sample.alpha[part])
        assert sample.trimap is not None and square.trimap is not None
        assert np.array_equal(square.trimap.numpy(), sample.trimap[part])
    assert len(places) == 20
    again = [squared(sample, 128, "random_crop", generator(3)).image for _ in range(2)]
    assert torch.equal(*again)


def test_small_pictures_are_enlarged_to_the_crop_and_no_further() -> None:
    square = squared(pixels(40, 80, (slice(10, 30), slice(20, 60))), 128, "random_crop", generator())
    assert square.image.shape == (3, 128, 128)
    # The shorter side is seen whole.
    assert float(square.image[0].min()) == -1
    assert float(square.image[1].max() - square.image[1].min()) == pytest.approx(1.0, abs=0.05)


def test_the_crop_of_a_reference_shows_the_thing() -> None:
    tiny = pixels(400, 600, (slice(390, 396), slice(5, 11)))
    for seed in range(10):
        square = squared(tiny, 128, "random_crop", generator(seed), reference=True)
        assert float(square.alpha.sum()) == 36


def test_D17_the_releases_square_is_the_centre_with_an_interpolation_by_chance() -> None:
    sample = pixels(100, 160, (slice(20, 80), slice(0, 160)))
    answers = [squared(sample, 64, "release", generator(seed)) for seed in range(12)]
    for square in answers:
        # Columns 30 to 129 are seen, top to bottom.
        assert float((square.image[1, 32, 0] + 1) / 2 * 160) == pytest.approx(30, abs=1.5)
        assert float((square.image[1, 32, -1] + 1) / 2 * 160) == pytest.approx(129, abs=1.5)
        assert square.trimap is not None
        assert set(square.trimap.unique().tolist()) <= {0.0, 0.5, 1.0}
        assert float(square.alpha.min()) >= 0 and float(square.alpha.max()) <= 1
    assert len({float(square.image.double().sum()) for square in answers}) >= 3


@pytest.mark.parametrize(
    ("how", "code", "off"),
    [
        ("nearest", cv2.INTER_NEAREST, 0),
        ("bilinear", cv2.INTER_LINEAR, 1e-5),
        ("bicubic", cv2.INTER_CUBIC, 1e-4),
        ("lanczos", cv2.INTER_LANCZOS4, 0.03),
    ],
)
@pytest.mark.parametrize("size", [(40, 40), (150, 150)])
def test_interpolations_are_those_of_the_release(
    how: str, code: int, off: float, size: tuple[int, int]
) -> None:
    picture = np.random.default_rng(0).random((90, 70)).astype(np.float32)
    wanted = cv2.resize(picture, size[::-1], interpolation=code)
    found = resized(torch.from_numpy(picture)[None], size, how)[0].numpy()
    assert np.abs(found - wanted).max() <= off


def test_a_reference_of_which_nothing_is_solid_is_marked_where_it_is_most() -> None:
    sample = icon_sources.Sample("glass", "g", Path("glass.jpg"), Path("glass.png"))
    alpha = torch.zeros(8, 8)
    alpha[2:4, 2:4] = 0.3
    assert int(marked(alpha, sample).sum()) == 4
    assert int(marked(torch.ones(8, 8) * 0.9, sample).sum()) == 64
    with pytest.raises(UsageError, match=r"glass.png: nothing is marked"):
        marked(torch.zeros(8, 8), sample)
    assert not marked(torch.zeros(8, 8), sample, may_be_empty=True).any()


# --- sources ----------------------------------------------------------------------------------------------


def test_A25_a_recipe_names_any_of_the_layouts(tmp_path: Path) -> None:
    icon_data.groups(tmp_path / "groups", 2, 3)
    icon_data.published(tmp_path / "AIM-500", "original", "mask", 4)
    (tmp_path / "AIM-500" / "groups.json").write_text(json.dumps({f"p{n}": f"kind{n % 2}" for n in range(4)}))
    icon_data.published(tmp_path / "index" / "RM1k", "image", "alpha", 2)
    index = {
        f"p{n}.png": {"dataset_name": "RM1k", "class": "disc", "sub_class": None, "HalfOrFull": "full"}
        for n in range(2)
    }
    (tmp_path / "index" / "all.json").write_text(json.dumps(index))
    rows = ["group,image,alpha,trimap,kind,is_reference"]
    rows += [f"g,groups/group0/image/{n}.png,groups/group0/alpha/{n}.png,,segmentation," for n in range(2)]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    sources = [
        str(tmp_path / "groups"),
        f"aim-500={tmp_path / 'AIM-500'}",
        str(tmp_path / "index" / "all.json"),
        str(tmp_path / "table.csv"),
    ]
    found = icon_sources.gathered(sources)
    assert [len([s for s in found if s.name.startswith(f"{n}/")]) for n in range(4)] == [6, 4, 2, 2]
    # Groups of two sources are never one.
    assert len({sample.group for sample in found}) == 2 + 2 + 1 + 1
    learnt, kept = icon_sources.parted(found, share=0.5, seed=3)
    assert len(learnt) == len(kept) == 7
    mattes, _ = icon_sources.parted(found, hard_masks=False)
    assert len(mattes) == 12


def test_sets_without_groups_need_them_unless_no_reference_is_needed(tmp_path: Path) -> None:
    source = f"rm-1k={icon_data.published(tmp_path, 'image', 'alpha', 3)}"
    with pytest.raises(UsageError, match="published without groups"):
        icon_sources.found(source)
    assert {sample.group for sample in icon_sources.found(source, grouped=False)} == {"rm-1k"}
    with pytest.raises(UsageError, match="nothing to learn from"):
        icon_sources.gathered(())


def test_A25_batches_depend_on_their_number_alone_and_reach_other_processes(tmp_path: Path) -> None:
    icon_data.groups(tmp_path, 2, 3)
    settings = settings_of({"side": 64, "crop_size": 64})
    samples, _ = icon_sources.parted(icon_sources.gathered((str(tmp_path),)))
    made = IconBatches(samples, settings, 20, 2)
    there = pickle.loads(pickle.dumps(made))
    for number in (5, 0, 5):
        one, other = made[number], there[number]
        assert one.numbers == (2 * number, 2 * number + 1)
        assert torch.equal(one.targets, other.targets)
        assert torch.equal(one.references, other.references)
    # Another epoch shows the same targets, cut elsewhere, and other references.
    assert not torch.equal(made[0].targets, made[3].targets)
