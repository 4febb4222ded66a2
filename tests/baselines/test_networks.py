"""Baselines on the real classes of `transformers`, small random weights: shapes, sizes, errors, order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mattelike import baselines, photos
from mattelike.baselines import Method, Trimap, asked, icmp
from mattelike.baselines.icmp import Band, Icmp, TokenMatcher
from mattelike.baselines.sam import Asked
from mattelike.errors import DeviceError, ModelDamagedError, ModelNotFoundError, PromptError
from mattelike.evaluation.protocols import unknown
from mattelike.prompts import Box, Mask, Points, Prompt, Scribbles
from mattelike.values import Float32, Photo
from tests.scenes import disc

torch = pytest.importorskip("torch", reason="needs the extra baselines")
transformers = pytest.importorskip("transformers", reason="needs the extra baselines")

from tests.baselines import tiny_networks  # noqa: E402 - it needs the two above

SCENE = disc(90, 121)
PHOTO = photos.read(SCENE.pixels, name="disc")
INSIDE = SCENE.alpha > 0.5
Saved = Callable[[str], str]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Folders of small networks, written once."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> str:
        if name not in folders:
            folders[name] = getattr(tiny_networks, name)(tmp_path_factory.mktemp(name))
        return str(folders[name])

    return folder


def loaded(name: str, **options: object) -> Method:
    return baselines.load(name, device="cpu", threads=1, **options)


def answered(method: Method, hint: baselines.Hint, photo: Photo = PHOTO) -> Float32:
    """Asked twice: the same answer, bit for bit, of the right size and range."""
    first = method.matte(photo, method.encode([(PHOTO, hint)]))
    second = method.matte(photo, method.encode([(PHOTO, hint)]))
    assert np.array_equal(first.alpha, second.alpha)
    assert first.alpha.shape == (photo.height, photo.width) and first.alpha.dtype == np.float32
    assert first.alpha.min() >= 0 and first.alpha.max() <= 1
    return first.alpha


def test_vitmatte_answers_at_odd_sizes_and_keeps_what_is_sure(saved: Saved) -> None:
    levels = unknown(SCENE.alpha, 5)
    method = loaded("vitmatte", source=saved("vitmatte"))
    alpha = answered(method, Trimap(levels))
    assert np.array_equal(alpha[levels == 1], np.ones((levels == 1).sum()))
    assert np.array_equal(alpha[levels == 0], np.zeros((levels == 0).sum()))
    assert len(np.unique(alpha[levels == 0.5])) > 50
    assert len(method.about["weights"]) == 64


def test_vitmatte_is_fed_as_its_own_processor_feeds_it(saved: Saved) -> None:
    processor = transformers.models.vitmatte.image_processing_pil_vitmatte.VitMatteImageProcessorPil()
    levels = unknown(SCENE.alpha, 5)
    network = transformers.VitMatteForImageMatting.from_pretrained(saved("vitmatte")).eval()
    fed = processor(images=SCENE.pixels, trimaps=np.round(levels * 255).astype(np.uint8), return_tensors="pt")
    with torch.no_grad():
        expected = network(**fed).alphas[0, 0, : PHOTO.height, : PHOTO.width].numpy()
    alpha = answered(loaded("vitmatte", source=saved("vitmatte")), Trimap(levels))
    open_to = levels == 0.5
    # 128 of 255 is not quite a half.
    np.testing.assert_allclose(alpha[open_to], expected[open_to].clip(0, 1), atol=2e-3)


def test_trap_56_a_trimap_that_leaves_nothing_open_is_the_answer(saved: Saved) -> None:
    method = loaded("vitmatte", source=saved("vitmatte"))
    assert not answered(method, Trimap(np.zeros((90, 121), np.float32))).any()
    with pytest.raises(PromptError, match="needs a trimap of disc, not a mark"):
        method.encode([(PHOTO, Mask(INSIDE))])
    with pytest.raises(PromptError, match="the trimap has 10 x 10 pixels, disc 121 x 90"):
        method.encode([(PHOTO, Trimap(np.zeros((10, 10), np.float32)))])


@pytest.mark.parametrize("count", [1, 3])
def test_seggpt_takes_one_reference_or_several(saved: Saved, count: int) -> None:
    method = loaded("seggpt", source=saved("seggpt"))
    target = photos.read(disc(61, 75, seed=4).pixels)
    answer = method.matte(target, method.encode([(PHOTO, Mask(INSIDE))] * count))
    assert answer.alpha.shape == (61, 75) and len(np.unique(answer.alpha)) > 100
    alone = method.matte(target, method.encode([(PHOTO, Mask(INSIDE))]))
    # The same reference thrice is that reference.
    np.testing.assert_allclose(answer.alpha, alone.alpha, atol=1e-4)


def test_seggpt_is_fed_as_its_own_processor_feeds_it(saved: Saved) -> None:
    processor = transformers.models.seggpt.image_processing_pil_seggpt.SegGptImageProcessorPil(
        size={"height": 64, "width": 64}
    )
    network = transformers.SegGptForImageSegmentation.from_pretrained(saved("seggpt")).eval()
    # At the network's own size nothing is resized, so the two must agree.
    scene = disc(64, 64)
    photo, mask = photos.read(scene.pixels), scene.alpha > 0.5
    levels = np.where(mask, 255, 0).astype(np.uint8)
    fed = processor(images=scene.pixels, prompt_images=scene.pixels, prompt_masks=levels, return_tensors="pt")
    with torch.no_grad():
        found = network(**fed, embedding_type="instance")
    expected = processor.post_process_semantic_segmentation(found, [(64, 64)])[0].numpy()
    method = loaded("seggpt", source=saved("seggpt"))
    alpha = method.matte(photo, method.encode([(photo, Mask(mask))])).alpha
    # Theirs is cut to whole levels.
    np.testing.assert_allclose(alpha * 255, expected, atol=1.01)


MARKS: dict[str, Prompt] = {
    "mask": Mask(INSIDE),
    "box": Box(30, 20, 95, 72),
    "click": Points([(60, 45)]),
    "clicks": Points([(60, 45), (55, 50)], negative=[(3, 3)]),
    "scribble": Scribbles(np.eye(90, 121, 15, dtype=bool) & INSIDE),
}


@pytest.mark.parametrize("form", MARKS)
@pytest.mark.parametrize("kind", ["sam", "sam2", "sam3"])
def test_segmenters_take_every_mark(saved: Saved, kind: str, form: str) -> None:
    if kind == "sam3" and not hasattr(transformers, "Sam3TrackerModel"):
        pytest.skip("this transformers has no SAM 3")
    alpha = answered(loaded("sam", source=saved(kind), kind=kind), MARKS[form])
    assert set(np.unique(alpha)) <= {0, 1}


def test_sam_is_asked_at_the_places_that_were_marked(saved: Saved) -> None:
    """A mask decoder with random weights answers anything; what it is asked can be checked."""
    from mattelike.baselines.sam import segmenter

    segments = segmenter("sam", saved("sam"), device="cpu", threads=1)
    content = segments._content(PHOTO)
    assert content == (95, 128), "the longer side fits, the other keeps its proportion"
    given = segments._prompts(PHOTO, asked_of(MARKS["clicks"]), content)
    scale = 128 / 121
    np.testing.assert_allclose(given["input_points"][0, 0, 0], [60 * scale, 45 * scale], atol=0.4)
    assert given["input_labels"][0, 0].tolist() == [1, 1, 0]
    boxed = segments._prompts(PHOTO, asked_of(MARKS["mask"]), content)
    rows, columns = np.flatnonzero(INSIDE.any(axis=1)), np.flatnonzero(INSIDE.any(axis=0))
    corners = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(boxed["input_boxes"][0, 0], np.multiply(corners, scale), rtol=0.01)
    assert boxed["input_masks"].shape == (1, 1, 32, 32)
    assert boxed["input_masks"][0, 0, 12, 16] > 5 > -5 > boxed["input_masks"][0, 0, 30, 16]


def asked_of(prompt: Prompt) -> Asked:
    from mattelike.baselines.sam import asked as in_its_terms

    return in_its_terms(asked.region(PHOTO, prompt))


# --- ICMP --------------------------------------------------------------------------------------------


class Pieces:
    """Stands in for the three networks, and writes down who was called with what."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.trimap: Float32 | None = None
        self.marks: Asked | None = None

    def remember(self, photo: Photo, points: np.ndarray) -> np.ndarray:
        self.calls.append("remember")
        return points

    def match(self, remembered: np.ndarray, photo: Photo) -> tuple[np.ndarray, Float32]:
        self.calls.append("match")
        return remembered + 1, np.full(len(remembered), 0.5, np.float32)

    def mask(self, photo: Photo, marks: Asked) -> np.ndarray:
        self.calls.append("segment")
        self.marks = marks
        found = np.zeros((photo.height, photo.width), np.bool_)
        found[20:70, 30:90] = True
        return found

    def alpha(self, photo: Photo, trimap: Float32) -> Float32:
        self.calls.append("matte")
        self.trimap = trimap
        return trimap


@pytest.mark.parametrize("band", [(15, 15), (4, 9)])
def test_A36_icmp_matches_segments_and_mattes_in_that_order(band: tuple[int, int]) -> None:
    pieces = Pieces()
    method = Icmp(pieces, pieces, pieces, Band(*band))
    context = method.encode([(PHOTO, Points([(60, 45), (50, 40)]))])
    answer = method.matte(PHOTO, context)
    assert pieces.calls == ["remember", "match", "segment", "matte"]
    assert pieces.marks is not None and pieces.trimap is not None
    assert sorted(pieces.marks.points.tolist()) == [[41, 51], [46, 61]], "points [row, column], as matched"
    assert pieces.marks.labels.tolist() == [1, 1]
    assert set(np.unique(pieces.trimap)) == {0, np.float32(0.5), 1}
    erode, dilate = band
    middle = pieces.trimap[45]
    assert np.array_equal(np.flatnonzero(middle == 1), np.arange(30 + erode, 90 - erode))
    assert np.array_equal(np.flatnonzero(middle > 0), np.arange(30 - dilate, 90 + dilate))
    assert answer.presence == 0.5


def test_A36_by_default_the_band_is_that_of_the_specification() -> None:
    assert icmp.BAND == 15 and Band() == Band(15, 15)


def test_A36_references_are_looked_at_once_and_several_add_their_points() -> None:
    pieces = Pieces()
    method = Icmp(pieces, pieces, pieces, points=3)
    context = method.encode([(PHOTO, Points([(60, 45)])), (PHOTO, Mask(INSIDE))])
    for _ in range(2):
        method.matte(PHOTO, context)
    assert pieces.calls == ["remember"] * 2 + ["match", "match", "segment", "matte"] * 2
    assert pieces.marks is not None and len(pieces.marks.points) == 1 + 3


def test_points_are_found_again_where_they_are(saved: Saved) -> None:
    from mattelike import models

    matcher = TokenMatcher(models.load("dino", source=saved("dino"), device="cpu"))
    points = np.array([[20, 30], [45, 60], [80, 110]], np.intp)
    places, alike = matcher.match(matcher.remember(PHOTO, points), PHOTO)
    assert np.abs(places - points).max() <= 7, "within a cell"
    np.testing.assert_allclose(alike, 1, atol=1e-5)


def test_icmp_end_to_end(saved: Saved) -> None:
    method = loaded(
        "icmp", dino=saved("dino"), sam=saved("sam"), vitmatte=saved("vitmatte"), erode=3, dilate=3
    )
    answered(method, Points([(60, 45)]), photos.read(disc(75, 100, seed=3).pixels))
    assert method.help == "references"
    assert {len(method.about[name]) for name in method.about if name.endswith("weights")} == {64}


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_sam_and_vitmatte_end_to_end(saved: Saved, kind: str) -> None:
    method = loaded("sam-vitmatte", sam=saved(kind), vitmatte=saved("vitmatte"), segmenter_kind=kind, erode=2)
    for prompt in MARKS.values():
        answered(method, prompt)
    assert method.help == "marks"
    with pytest.raises(PromptError, match="one marked photo at a time, not 2"):
        method.encode([(PHOTO, MARKS["box"])] * 2)


# --- errors ------------------------------------------------------------------------------------------


def test_trap_63_missing_weights_another_network_and_no_network(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no weights were given; .*hustvl/vitmatte"):
        loaded("vitmatte")
    with pytest.raises(ModelNotFoundError, match="not a hub id"):
        loaded("seggpt", source="no such folder/at all/")
    with pytest.raises(ModelNotFoundError, match=r"no config\.json in it"):
        loaded("vitmatte", source=str(tmp_path))
    with pytest.raises(ModelDamagedError, match="VitMatteForImageMatting"):
        loaded("vitmatte", source=saved("dino"))
    with pytest.raises(ModelNotFoundError, match="there are: sam, sam2, sam3"):
        loaded("sam", source=saved("sam"), kind="sam9")
    with pytest.raises(DeviceError, match="'cuda' is not available"):
        baselines.load("vitmatte", device="cuda", source=saved("vitmatte"))


def test_trap_63_a_renamed_key_is_not_left_random(saved: Saved, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    source = Path(saved("vitmatte"))
    weights = load_file(source / "model.safetensors")
    name = next(key for key in sorted(weights) if "decoder" in key)
    weights[f"old.{name}"] = weights.pop(name)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(json.loads((source / "config.json").read_text())))
    with pytest.raises(ModelDamagedError, match="weights of VitMatteForImageMatting are missing"):
        loaded("vitmatte", source=str(tmp_path))


def test_trap_59_offline_a_hub_id_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATTELIKE_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError, match="hustvl/vitmatte-nowhere"):
        loaded("vitmatte", source="hustvl/vitmatte-nowhere")
