"""The contract of `mattelike.models.Model`, for every row of the table that can run here.

The models of the wheel run as they are; those whose weights are fetched run on small random weights of the
real classes. A row that is neither is skipped, and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.scenes import Scene, disc

from mattelike import framing, models, photos, tokens
from mattelike.contexts import Context
from mattelike.errors import ContextError, ModelNotFoundError
from mattelike.models import MODELS, Coarse, Model, Role
from mattelike.models.embedded import verify, weights_folder
from mattelike.predictor import Predictor
from mattelike.prompts import Mask
from mattelike.values import Features, Float32, Photo, RoI

IN_THE_WHEEL = ("embedded", "embedded-clean", "imagenet")
SIZES = ((96, 128), (131, 90))


def small_dino(folder: Path) -> Model:
    """Random weights of a small DINOv2."""
    torch = pytest.importorskip("torch", reason="needs the extra dino")
    transformers = pytest.importorskip("transformers", reason="needs the extra dino")
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56}
    transformers.Dinov2Model(transformers.Dinov2Config(**shape, patch_size=14)).save_pretrained(folder)
    return models.load("dino", source=str(folder), device="cpu")


def small_fusion(folder: Path) -> Model:
    """The same beside a Stable Diffusion 2.1 in miniature."""
    pytest.importorskip("diffusers", reason="needs the extra sd")
    from tests.models import tiny_sd

    small_dino(folder / "dino")
    tiny_sd.save(folder / "sd")
    places = {"source": str(folder / "sd"), "dino_source": str(folder / "dino")}
    return models.load("sd21+dino", device="cpu", side=128, ensemble_size=1, **places)


SMALL: dict[str, Callable[[Path], Model]] = {"dino": small_dino, "sd21+dino": small_fusion}


def opened(name: str, folder: Path) -> Model:
    """The model of a row, or a skip that says why not."""
    if name in IN_THE_WHEEL:
        if not (weights_folder(name) / "card.json").is_file():
            pytest.skip(f"{name}: its graphs are not built yet; run recipes/export.py")
        return models.load(name, device="cpu", threads=1)
    if name not in SMALL:
        pytest.skip(f"{name}: its weights are not here, and it has tests of its own")
    return SMALL[name](folder)


@pytest.fixture(scope="module", params=list(MODELS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return opened(request.param, tmp_path_factory.mktemp(request.param))


def look(model: Model, scene: Scene, role: Role = "target", side: int = 128) -> tuple[Float32, Features]:
    """What a model is fed of a scene, and what it sees."""
    frame = framing.fit(*scene.alpha.shape, side=side, multiple=model.multiple)
    seen = framing.pad(photos.to_srgb(Photo(scene.pixels), frame.content), frame)
    images = framing.normalise(seen, model.card.mean, model.card.std)
    return images, model.features(images, role)


def learnt(model: Model, scene: Scene) -> Context:
    """A context of one masked scene."""
    _, features = look(model, scene, "reference")
    grid = (features.tokens.shape[-2], features.tokens.shape[-1])
    roi = RoI(scene.alpha > 0.5, scene.alpha <= 0.5)
    weights = model.weigh(features, *tokens.pool(roi, grid, "average"), "mask")
    kept, weight = model.remember(features, weights)
    return Context(kept, weight, np.zeros(len(kept), np.int16), model.card.name, model.card.sha256)


def test_a_model_is_a_model_and_its_card_is_filled_in(model: Model) -> None:
    assert isinstance(model, Model)
    card = model.card
    assert MODELS[card.name].name == card.name
    assert len(card.sha256) == 64
    assert card.heads + len(card.whole_channels) > 0
    shared = card.channels - sum(card.whole_channels) - card.grouping_channels
    assert shared % card.heads == 0 if card.heads else shared == 0
    heads = card.heads + len(card.whole_channels)
    assert len(card.temperatures) == len(card.affinities) == heads
    assert min(*card.temperatures, *card.affinities, *card.std) > 0
    assert card.target_side >= model.multiple and model.multiple % card.stride == 0
    assert card.licence
    assert model.device == "cpu"


@pytest.mark.parametrize("name", IN_THE_WHEEL)
def test_trap_58_the_graphs_are_those_of_the_card(name: str) -> None:
    if not (weights_folder(name) / "card.json").is_file():
        pytest.skip(f"{name}: its graphs are not built yet; run recipes/export.py")
    assert verify(weights_folder(name)).name == name


@pytest.mark.parametrize("size", SIZES)
def test_features_have_the_shape_the_card_says(model: Model, size: tuple[int, int]) -> None:
    images, features = look(model, disc(*size))
    height, width = images.shape[-2:]
    stride = model.card.stride
    assert features.tokens.shape == (1, model.card.channels, height // stride, width // stride)
    assert features.tokens.dtype == np.float32
    assert np.isfinite(features.tokens).all()
    for skip in features.skips:
        assert skip.dtype == np.float32
        assert height % skip.shape[-2] == width % skip.shape[-1] == 0


@pytest.mark.parametrize("size", SIZES)
def test_guidance_and_alpha_are_maps_in_range(model: Model, size: tuple[int, int]) -> None:
    context = learnt(model, disc(seed=1))
    images, features = look(model, disc(*size, seed=2))
    grid = features.tokens.shape[-2:]
    guidance = model.guide(features, context)
    assert guidance.maps.shape == (len(guidance.names), *grid)
    assert guidance.similarity.shape == guidance.propagated.shape == grid
    assert guidance.maps.dtype == guidance.similarity.dtype == guidance.propagated.dtype == np.float32
    assert guidance.similarity.min() >= 0 and guidance.similarity.max() <= 1
    assert 0 <= guidance.presence <= 1
    coarse = model.alpha(images, features, guidance)
    assert isinstance(coarse, Coarse)
    assert coarse.alpha.shape == images.shape[-2:]
    assert coarse.alpha.dtype == np.float32
    assert coarse.alpha.min() >= 0 and coarse.alpha.max() <= 1
    assert coarse.presence is None or 0 <= coarse.presence <= 1
    if coarse.uncertainty is not None:
        assert coarse.uncertainty.shape == coarse.alpha.shape
        assert coarse.uncertainty.min() >= 0 and coarse.uncertainty.max() <= 1


def test_the_same_photos_give_the_same_alpha_bit_for_bit(model: Model) -> None:
    answers = []
    for _ in range(2):
        context = learnt(model, disc(seed=1))
        images, features = look(model, disc(seed=2))
        answers.append(model.alpha(images, features, model.guide(features, context)).alpha)
    assert np.array_equal(*answers)


@pytest.mark.parametrize("kind", ["mask", "points", "scribbles", "box"])
def test_weights_of_every_mark_are_shares_of_cells(model: Model, kind: str) -> None:
    scene = disc()
    _, features = look(model, scene, "reference")
    grid = features.tokens.shape[-2:]
    marked = np.zeros(grid, np.float32)
    marked[grid[0] // 2, grid[1] // 2] = 1
    against = 1 - marked if kind in ("mask", "box") else np.zeros(grid, np.float32)
    weights = model.weigh(features, marked, against, kind)  # type: ignore[arg-type]
    assert weights.shape == grid
    assert weights.dtype == np.float32
    assert weights.min() >= 0 and weights.max() <= 1


def test_trap_31_more_references_and_negatives_are_taken(model: Model) -> None:
    context = learnt(model, disc(seed=1))
    several = context.joined(learnt(model, disc(96, 96, seed=3))).joined(
        learnt(model, disc(seed=4)).negated()
    )
    assert several.references == 3
    _, features = look(model, disc(seed=2))
    assert 0 <= model.guide(features, several).presence <= 1


def test_trap_42_a_context_of_another_model_is_refused(model: Model) -> None:
    scene = disc()
    own = Predictor(model).encode(scene.pixels, Mask(scene.alpha > 0.5))
    other = Context(own.tokens, own.weights, own.reference, "another", "0" * 64)
    with pytest.raises(ContextError, match="another"):
        Predictor(model).matte(scene.pixels, other)
    retrained = Context(own.tokens, own.weights, own.reference, own.model, "0" * 64)
    with pytest.raises(ContextError, match="other weights"):
        Predictor(model).matte(scene.pixels, retrained)


def test_a_saved_context_gives_the_same_matte_bit_for_bit(model: Model, tmp_path: Path) -> None:
    scene = disc(seed=1)
    predictor = Predictor(model)
    context = predictor.encode(scene.pixels, Mask(scene.alpha > 0.5))
    context.save(tmp_path / "disc.context")
    target = disc(120, 100, seed=2).pixels
    direct = predictor.matte(target, context, refine=False)
    loaded = predictor.matte(target, Context.load(tmp_path / "disc.context"), refine=False)
    assert np.array_equal(direct.alpha, loaded.alpha)
    assert direct.presence == loaded.presence


def test_an_unknown_name_or_option_says_what_there_is() -> None:
    with pytest.raises(ModelNotFoundError, match="embedded, embedded-clean, imagenet"):
        models.load("u2net")
    with pytest.raises(ModelNotFoundError, match="takes no option 'colour'"):
        models.load("embedded", colour="red")
