"""IconMatting behind the common contract, on a miniature of the real classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.models import tiny_sd
from torch import nn

from mattelike import tokens
from mattelike.contexts import Context, joined
from mattelike.errors import ContextError, PromptError, UsageError
from mattelike.models import Coarse, Model, load, sd21_extractor, sd21_heads, sd21_source
from mattelike.models.sd21_cache import TokenCache, key
from mattelike.models.sd21_extractor import Backbone, Extractor, draw, noised
from mattelike.models.sd21_model import IconModel
from mattelike.models.sd21_settings import settings_of
from mattelike.network import icon_guidance
from mattelike.network.icon_768 import Icon768
from mattelike.values import Guidance, RoI

Cells = NDArray[np.float32]
FAST: Mapping[str, Any] = {"side": 128, "ensemble_size": 2}
NARROW: Mapping[str, Any] = {
    "guide_channels": 8, "width": 12, "detail": (4, 6, 8), "decoder": (16, 12, 8, 6), "last": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sd.save(tmp_path_factory.mktemp("sd"))


@cache
def backbone_of(folder: Path, dtype: str) -> Backbone:
    settings = settings_of({**FAST, "dtype": dtype})
    return sd21_source.opened(str(folder), "", settings, "cpu")


def model(folder: Path, cache: Path | None = None, **changes: Any) -> IconModel:
    settings = settings_of({**FAST, **changes})
    backbone = backbone_of(folder, settings.dtype)
    head: nn.Module = sd21_heads.untrained(settings, backbone.unet)
    if settings.head == "icon-768":
        torch.manual_seed(0)
        head = Icon768(replace(sd21_heads.icon_768_shape(settings, backbone.unet), **NARROW))
    return IconModel(backbone, head, settings, cache)


@pytest.fixture(scope="module")
def icon(folder: Path) -> IconModel:
    return model(folder)


def square() -> Cells:
    cells = np.zeros((8, 8), np.float32)
    cells[2:6, 3:6] = 1
    return cells


NOTHING = np.zeros((8, 8), np.float32)


def encode(icon: IconModel, seed: int = 1, positive: Cells | None = None, kind: Any = "mask") -> Context:
    features = icon.features(tiny_sd.picture(seed), "reference")
    positive = square() if positive is None else positive
    kept, weights = icon.remember(features, icon.weigh(features, positive, NOTHING, kind))
    card = icon.card
    return Context(kept, weights, np.zeros(len(kept), np.int16), card.name, card.sha256)


def matte(icon: IconModel, context: Context, seed: int = 2) -> tuple[Guidance, Coarse]:
    image = tiny_sd.picture(seed)
    features = icon.features(image, "target")
    guidance = icon.guide(features, context)
    return guidance, icon.alpha(image, features, guidance)


class Counter:
    """Counts calls of a module."""

    def __init__(self, module: Any) -> None:
        self.calls = 0
        self.handle = module.register_forward_pre_hook(self._count)

    def _count(self, module: object, given: object) -> None:
        self.calls += 1

    def __enter__(self) -> Counter:
        return self

    def __exit__(self, *error: object) -> None:
        self.handle.remove()


# --- the extractor ------------------------------------------------------------------------------------


def test_A12_one_draw_is_the_same_bit_for_bit(folder: Path) -> None:
    one = model(folder, ensemble_size=1)
    image = tiny_sd.picture(5)
    first, second = (one.features(image, "target") for _ in range(2))
    assert np.array_equal(first.tokens, second.tokens)
    assert torch.equal(first.maps[16], second.maps[16])
    assert not np.array_equal(first.tokens, one.features(image, "reference").tokens)


def test_noise_depends_on_its_name_alone() -> None:
    shape = (1, 4, 2, 2)
    first = draw(0, "target", 1, "diffusion", shape)
    draw(0, "reference", 0, "posterior", shape)
    assert torch.equal(first, draw(0, "target", 1, "diffusion", shape))
    others = [(1, "target", 1, "diffusion"), (0, "reference", 1, "diffusion"), (0, "target", 0, "diffusion")]
    assert all(not torch.equal(first, draw(*other, shape)) for other in others)
    many = draw(0, "target", 0, "posterior", (100_000,))
    assert abs(float(many.mean())) < 0.02
    assert float(many.std()) == pytest.approx(1, abs=0.02)


def test_independent_noise_follows_the_picture(folder: Path) -> None:
    icon = model(folder, noise_mode="independent")
    one, other = tiny_sd.picture(1), tiny_sd.picture(2)
    first = icon.features(one, "target").tokens
    icon.features(other, "target")
    assert np.array_equal(first, icon.features(one, "target").tokens)


def test_A13_the_latent_is_noised_as_at_step_200(icon: IconModel) -> None:
    alphas = icon.extractor.backbone.alphas
    assert float(alphas[200]) == pytest.approx(0.753692, abs=1e-6)
    assert float(alphas[0]) == pytest.approx(0.999150, abs=1e-6)
    assert float(alphas[261]) == pytest.approx(0.655669, abs=1e-6)
    one, zero = torch.ones(1), torch.zeros(1)
    assert float(noised(one, zero, float(alphas[200]))) == pytest.approx(0.868154, abs=1e-6)
    assert float(noised(zero, one, float(alphas[200]))) == pytest.approx(0.496295, abs=1e-6)


def test_A14_the_latent_is_scaled_and_the_picture_must_be_in_range(folder: Path) -> None:
    icon = model(folder, latent_mode="mean", add_noise=False)
    image = torch.from_numpy(tiny_sd.picture(1))
    with torch.inference_mode():
        mean = icon.extractor.backbone.vae.encode(image).latent_dist.mean
    latents = icon.extractor.latents(image, "target")
    assert torch.equal(latents, torch.cat([mean * 0.18215] * 2))
    with pytest.raises(UsageError, match="\\[-1, 1\\]"):
        icon.features(tiny_sd.picture(1) * 1.2, "target")
    with pytest.raises(UsageError, match="\\[-1, 1\\]"):
        icon.features(tiny_sd.picture(1) * 100, "target")


def test_A35_numbers_that_are_not_finite_are_refused(icon: IconModel) -> None:
    image = tiny_sd.picture(1)
    image[0, 0, 3, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        icon.features(image, "target")


# --- marks --------------------------------------------------------------------------------------------


def test_A9_one_clicked_pixel_is_one_token_and_min_pooling_loses_it(folder: Path) -> None:
    mark = np.zeros((768, 768), np.bool_)
    mark[300, 300] = True
    roi = RoI(mark, np.zeros_like(mark), "points")
    found, _ = tokens.pool(roi, (48, 48), "auto")
    assert np.argwhere(found).tolist() == [[18, 18]]
    strict, _ = tokens.pool(roi, (48, 48), "min")
    assert not strict.any()

    icon = model(folder)
    features = icon.features(tiny_sd.picture(1), "reference")
    with pytest.raises(ValueError, match="leaves 0 tokens"):
        icon.weigh(features, NOTHING, NOTHING, "mask")
    silent = model(folder, on_empty="zeros")
    guidance, coarse = matte(silent, encode(silent, positive=NOTHING))
    assert not guidance.maps[0].any()
    assert guidance.presence == 0
    assert np.isfinite(coarse.alpha).all()


def test_A34_extension_adds_what_the_prompt_attends_to(folder: Path) -> None:
    click = NOTHING.copy()
    click[3, 4] = click[5, 5] = 1
    for m in (0, 1, 5):
        icon = model(folder, prompt_extension_m=m)
        features = icon.features(tiny_sd.picture(1), "reference")
        weights = icon.weigh(features, click, NOTHING, "points")
        count = int((weights == 1).sum())
        assert weights[3, 4] == weights[5, 5] == 1
        assert count == 2 if m == 0 else 2 <= count <= 2 * (1 + m)
        as_mask = icon.weigh(features, click, NOTHING, "mask")
        assert int((as_mask == 1).sum()) == 2
    rows = icon.attention_rows(features, torch.tensor([3 * 8 + 4]))
    best = int(rows[0].argmax())
    assert weights.flat[best] == 1


def test_A34_a_target_serves_as_a_reference_without_looking_again(folder: Path) -> None:
    icon = model(folder)
    click = NOTHING.copy()
    click[3, 4] = 1
    features = icon.features(tiny_sd.picture(1), "target")
    with Counter(icon.extractor.backbone.unet) as runs:
        icon.weigh(features, click, NOTHING, "points")
    assert runs.calls == 0


def test_A35_a_mark_on_everything_is_warned_about(icon: IconModel) -> None:
    features = icon.features(tiny_sd.picture(1), "reference")
    with pytest.warns(UserWarning, match="whole reference"):
        icon.weigh(features, np.ones_like(NOTHING), NOTHING, "mask")


def test_a_box_keeps_only_cells_inside_it(icon: IconModel) -> None:
    features = icon.features(tiny_sd.picture(1), "reference")
    weights = icon.weigh(features, square(), 1 - square(), "box")
    assert 1 <= int((weights == 1).sum()) <= 12
    assert not ((weights == 1) & (square() == 0)).any()
    assert not (weights == 0).any()


def test_the_background_of_a_mask_is_negative_on_request(folder: Path) -> None:
    icon = model(folder, use_background=True)
    features = icon.features(tiny_sd.picture(1), "reference")
    weights = icon.weigh(features, square(), 1 - square(), "mask")
    against = weights == 0
    assert against.any()
    # Not where it touches the mask.
    assert not against[1:7, 2:7].any()


# --- contexts -----------------------------------------------------------------------------------------


def test_A17_a_kept_reference_gives_what_looking_again_gives(folder: Path, tmp_path: Path) -> None:
    icon = model(folder)
    with (
        Counter(icon.extractor.backbone.unet) as runs,
        Counter(icon.extractor.backbone.vae.encoder) as encodes,
    ):
        context = encode(icon)
        context.save(tmp_path / "c.context")
        kept = Context.load(tmp_path / "c.context")
        cached = [matte(icon, kept, seed)[1].alpha for seed in (2, 3, 4)]
    assert runs.calls == encodes.calls == 1 + 3
    for seed, alpha in zip((2, 3, 4), cached, strict=True):
        fresh = model(folder)
        assert np.array_equal(matte(fresh, encode(fresh), seed)[1].alpha, alpha)


def test_A17_the_disk_cache_looks_at_a_reference_once(folder: Path, tmp_path: Path) -> None:
    first = model(folder, tmp_path / "kept")
    wanted = encode(first)
    second = model(folder, tmp_path / "kept")
    with Counter(second.extractor.backbone.unet) as runs:
        found = encode(second)
        assert runs.calls == 0
        # Another mark on the same picture needs no other entry.
        encode(second, positive=np.roll(square(), 1, axis=1))
    assert runs.calls == 0
    assert np.array_equal(found.tokens, wanted.tokens)
    (entry,) = (tmp_path / "kept").glob("*.safetensors")
    entry.write_bytes(b"not tensors")
    assert np.array_equal(encode(model(folder, tmp_path / "kept")).tokens, wanted.tokens)


def test_the_key_of_the_cache_holds_all_that_tokens_depend_on(tmp_path: Path) -> None:
    image, roi = tiny_sd.picture(1), square() > 0
    base = key(image, settings_of(FAST), "b", roi)
    changes: list[dict[str, Any]] = [
        {"timestep": 100},
        {"ensemble_size": 1},
        {"seeds": (5,)},
        {"dtype": "bfloat16"},
    ]
    others = [key(image, settings_of({**FAST, **change}), "b", roi) for change in changes]
    others += [key(image, settings_of(FAST), "c", roi), key(image, settings_of(FAST), "b", ~roi)]
    others += [key(tiny_sd.picture(2), settings_of(FAST), "b", roi), key(image, settings_of(FAST), "b")]
    assert len({base, *others}) == len(others) + 1
    assert key(image, settings_of({**FAST, "query_norm": False}), "b", roi) == base
    assert TokenCache(tmp_path).get(base) is None


def test_A18_a_picture_that_is_its_own_reference_is_looked_at_once(folder: Path) -> None:
    icon = model(folder)
    image = tiny_sd.picture(1)
    with (
        Counter(icon.extractor.backbone.unet) as runs,
        Counter(icon.extractor.backbone.vae.encoder) as encodes,
    ):
        features = icon.features(image, "target")
        kept, weights = icon.remember(features, icon.weigh(features, square(), NOTHING, "mask"))
        own = Context(kept, weights, np.zeros(len(kept), np.int16), "sd21", icon.card.sha256)
        coarse = icon.alpha(image, features, icon.guide(features, own))
    assert runs.calls == encodes.calls == 1
    assert coarse.alpha.shape == (128, 128)


def test_a_context_of_other_settings_is_refused(folder: Path, icon: IconModel) -> None:
    other = model(folder, timestep=100)
    with pytest.raises(ContextError, match="mark the reference again"):
        encode(other).check(icon.card)
    encode(model(folder, query_norm=False)).check(icon.card)


# --- several references, negatives, presence ------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "tokens", "max"])
def test_A31_references_in_any_order_and_one_is_the_single_call(folder: Path, reduction: str) -> None:
    icon = model(folder, reference_reduction=reduction)
    parts = [encode(icon, seed) for seed in (1, 2, 3)]
    one, _ = matte(icon, parts[0], 4)
    alone, _ = matte(icon, joined(parts[:1]), 4)
    assert np.array_equal(one.maps, alone.maps)
    forth, back = (matte(icon, joined(order), 4)[0].maps for order in (parts, parts[::-1]))
    np.testing.assert_allclose(forth, back, rtol=0, atol=1e-5)
    twice = matte(icon, joined([*parts, *parts]), 4)[0].maps
    np.testing.assert_allclose(twice, forth, rtol=0, atol=1e-5)


def test_A32_negatives_only_take_away_and_none_change_nothing(folder: Path, icon: IconModel) -> None:
    positive = encode(icon, 1)
    plain, _ = matte(icon, positive, 4)
    assert (plain.maps[3] == 0.5).all()
    same, _ = matte(icon, joined([positive, positive.negated()]), 4)
    np.testing.assert_allclose(same.maps[3], 0.5, rtol=0, atol=1e-6)
    np.testing.assert_allclose(same.maps[0], plain.maps[0], rtol=1e-5)
    other, _ = matte(icon, joined([positive, encode(icon, 3).negated()]), 4)
    assert (other.maps[0] <= plain.maps[0] + 1e-7).all()
    assert (other.maps[0] < plain.maps[0]).any()
    ignoring = model(folder, negative_mode="none")
    kept, _ = matte(ignoring, joined([encode(ignoring, 1), encode(ignoring, 3).negated()]), 4)
    assert np.array_equal(kept.maps[0], plain.maps[0])


def test_A33_presence_is_reported_and_never_multiplied_in(folder: Path, icon: IconModel) -> None:
    guidance, coarse = matte(icon, encode(icon))
    assert 0 < guidance.presence < 1
    strict = model(folder, presence_threshold=1.0)
    assert strict.card.absent_below == 1.0
    _, same = matte(strict, encode(strict))
    assert np.array_equal(coarse.alpha, same.alpha)
    assert icon_guidance.MAPS[3] == "best cosine"


# --- the whole ------------------------------------------------------------------------------------------


def test_the_contract_is_the_common_one(icon: IconModel) -> None:
    assert isinstance(icon, Model)
    guidance, coarse = matte(icon, encode(icon))
    assert guidance.maps.shape == (4, 8, 8)
    assert guidance.similarity.min() >= 0 and guidance.similarity.max() == 1
    assert guidance.maps[0].sum() == pytest.approx(12, abs=0.01)
    assert coarse.alpha.dtype == np.float32
    assert 0 < coarse.alpha.min() <= coarse.alpha.max() < 1
    features = icon.features(tiny_sd.picture(2), "target")
    assert {layer.grid for layer in features.attention} == {(4, 4), (8, 8)}
    assert [skip.shape[1] for skip in features.skips] == [32]


@pytest.mark.parametrize("geometry", ["resize", "pad", "release"])
def test_pictures_of_any_shape_come_back_in_their_own(folder: Path, geometry: str) -> None:
    icon = model(folder, eval_geometry=geometry)
    image = tiny_sd.picture(3, (90, 120))
    features = icon.features(image, "target")
    assert features.tokens.shape == (1, 32, 8, 8)
    icon.weigh(features, square(), NOTHING, "mask")
    coarse = icon.alpha(image, features, icon.guide(features, encode(icon)))
    assert coarse.alpha.shape == (90, 120)


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "release"},
        {"preset": "paper"},
        {"features": "paper1", "attention_strides": "32,16,8"},
        {"attn_mode": "blockwise", "block_rows": 3},
        {"inter": False},
        {"intra": False},
        {"inter": False, "intra": False},
        {"multi_scale": False},
        {"attention_axis": "query"},
        {"head": "icon-flex"},
        {"head": "icon-flex", "norm": "gn", "features": "paper0"},
    ],
)
def test_every_variant_of_the_paper_runs(folder: Path, changes: dict[str, Any]) -> None:
    icon = model(folder, **changes)
    negative = encode(icon, 3).negated()
    _, coarse = matte(icon, joined([encode(icon, 1), encode(icon, 2), negative]), 4)
    assert coarse.alpha.shape == (128, 128)
    assert np.isfinite(coarse.alpha).all()


def test_A15_blockwise_and_stored_maps_give_the_same_matte(folder: Path, icon: IconModel) -> None:
    blocks = model(folder, attn_mode="blockwise", block_rows=3)
    _, wanted = matte(icon, encode(icon))
    _, found = matte(blocks, encode(blocks))
    np.testing.assert_allclose(found.alpha, wanted.alpha, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_A40_half_precision_changes_little(folder: Path, icon: IconModel, dtype: str) -> None:
    half = model(folder, dtype=dtype)
    features = half.features(tiny_sd.picture(2), "target")
    assert all(layer.q.dtype == torch.float32 for layer in features.look.layers[16])
    _, wanted = matte(icon, encode(icon))
    _, found = matte(half, encode(half))
    assert np.abs(found.alpha - wanted.alpha).mean() < 0.02


def test_load_opens_it_by_name_and_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    settings = {"side": "128", "ensemble_size": "1"}
    found = load("sd21", device="cpu", source=folder, weights="untrained", settings=settings)
    assert found.card.name == "sd21"
    with pytest.raises(Exception, match="weights=FILE"):
        load("sd21", device="cpu", source=folder, settings=settings)
    with pytest.raises(PromptError):
        found.weigh(found.features(tiny_sd.picture(1), "reference"), NOTHING, NOTHING, "mask")


def test_only_what_is_asked_for_is_in_the_extractor(icon: IconModel) -> None:
    assert isinstance(icon.extractor, Extractor)
    assert icon.extractor.backbone.vae.decoder is None
    assert not any(p.requires_grad for p in icon.extractor.backbone.unet.parameters())
    assert sd21_extractor.SLACK < 0.01
