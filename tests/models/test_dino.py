"""The model ``dino`` on small random weights of the real classes, saved to a folder and loaded back."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mattelike import models
from mattelike.errors import DeviceError, MissingExtraError, ModelDamagedError, ModelNotFoundError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56}
KINDS = {
    "dinov2": ("Dinov2", {**SHAPE, "patch_size": 14}, 14, 1),
    "dinov2_with_registers": (
        "Dinov2WithRegisters",
        {**SHAPE, "patch_size": 14, "num_register_tokens": 4},
        14,
        5,
    ),
    "dinov3_vit": (
        "DINOv3ViT",
        {**SHAPE, "patch_size": 16, "num_register_tokens": 4, "intermediate_size": 64},
        16,
        5,
    ),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of random models, written once by save_pretrained."""
    folders: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in folders:
            name, shape, _, _ = KINDS[kind]
            torch.manual_seed(3)
            network = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**shape))
            folders[kind] = tmp_path_factory.mktemp(kind)
            network.save_pretrained(folders[kind])
        return folders[kind]

    return folder


def images(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((1, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_the_patches_without_cls_and_registers(saved: Callable[[str], Path], kind: str) -> None:
    name, _, patch, prefix = KINDS[kind]
    model = models.load("dino", source=str(saved(kind)), device="cpu")
    assert model.card.stride == model.multiple == patch
    assert model.card.channels == 32
    seen = images(3 * patch, 5 * patch)
    tokens = model.features(seen, "target").tokens
    assert tokens.shape == (1, 32, 3, 5)
    assert tokens.dtype == np.float32
    plain = getattr(transformers, f"{name}Model").from_pretrained(saved(kind)).eval()
    with torch.no_grad():
        states = plain(pixel_values=torch.from_numpy(seen)).last_hidden_state[0, prefix:]
    expected = states.numpy().reshape(3, 5, 32).transpose(2, 0, 1)
    np.testing.assert_allclose(tokens[0], expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_picture_gives_the_same_tokens(saved: Callable[[str], Path], kind: str) -> None:
    patch = KINDS[kind][2]
    seen = images(4 * patch, 4 * patch)
    once = models.load("dino", source=str(saved(kind)), device="cpu").features(seen, "reference").tokens
    again = models.load("dino", source=str(saved(kind)), device="cpu").features(seen, "target").tokens
    assert np.array_equal(once, again)


def test_sides_are_whole_patches_of_at_least_512(saved: Callable[[str], Path]) -> None:
    sides = {k: models.load("dino", source=str(saved(k)), device="cpu").card.target_side for k in KINDS}
    assert sides == {"dinov2": 518, "dinov2_with_registers": 518, "dinov3_vit": 512}


def test_normalisation_comes_from_the_folder_or_is_imagenets(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    plain = models.load("dino", source=str(saved("dinov2")), device="cpu").card
    assert plain.mean == (0.485, 0.456, 0.406)
    assert plain.std == (0.229, 0.224, 0.225)
    for file in saved("dinov2").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = {"image_mean": [0.43, 0.411, 0.296], "image_std": [0.213, 0.156, 0.143]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    satellite = models.load("dino", source=str(tmp_path), device="cpu").card
    assert satellite.mean == (0.43, 0.411, 0.296)
    assert satellite.std == (0.213, 0.156, 0.143)


def test_the_card_carries_the_hash_of_the_weights_and_tells_others_apart(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    card = models.load("dino", source=str(saved("dinov2")), device="cpu").card
    file = saved("dinov2") / "model.safetensors"
    assert card.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert card.licence == "Apache-2.0"
    assert card.source == str(saved("dinov2"))
    shape = KINDS["dinov2"][1]
    torch.manual_seed(4)
    transformers.Dinov2Model(transformers.Dinov2Config(**shape)).save_pretrained(tmp_path)
    assert models.load("dino", source=str(tmp_path), device="cpu").card.sha256 != card.sha256


def test_weights_in_parts_load_and_hash(saved: Callable[[str], Path], tmp_path: Path) -> None:
    whole = models.load("dino", source=str(saved("dinov2")), device="cpu")
    network = transformers.Dinov2Model.from_pretrained(saved("dinov2"))
    network.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    parts = models.load("dino", source=str(tmp_path), device="cpu")
    assert len(parts.card.sha256) == 64
    seen = images(28, 28)
    assert np.array_equal(parts.features(seen, "target").tokens, whole.features(seen, "target").tokens)


def test_trap_59_a_folder_opens_no_socket(
    saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    models.load("dino", source=str(saved("dinov3_vit")), device="cpu")


def test_trap_59_offline_a_hub_id_fails_at_once_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MATTELIKE_OFFLINE", "1")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match="MATTELIKE_OFFLINE is set; run `hf download"):
        models.load("dino", source="facebook/dinov2-small", device="cpu")


@pytest.mark.parametrize("source", ["", "no/such/folder", "./missing", "dinov2"])
def test_a_missing_source_is_one_line_with_a_way_out(source: str) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        models.load("dino", source=source, device="cpu")
    assert "facebook/dinov2-small" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_trap_64_without_transformers_the_extra_is_named(
    saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(saved("dinov2"))  # made with transformers, so before it is gone
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mattelike\[dino\]'"):
        models.load("dino", source=source, device="cpu")


def test_trap_63_missing_weights_are_refused_not_made_up(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(saved("dinov2") / "model.safetensors")
    weights.pop("layernorm.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((saved("dinov2") / "config.json").read_bytes())
    with pytest.raises(ModelDamagedError, match=r"layernorm\.weight"):
        models.load("dino", source=str(tmp_path), device="cpu")


def test_trap_63_truncated_weights_are_refused(saved: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((saved("dinov2") / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((saved("dinov2") / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(ModelDamagedError, match="fetch the model again"):
        models.load("dino", source=str(tmp_path), device="cpu")


def test_trap_62_pickled_weights_are_never_read(saved: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((saved("dinov2") / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(ModelNotFoundError, match=r"no model\.safetensors in it"):
        models.load("dino", source=str(tmp_path), device="cpu")


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ModelNotFoundError, match="'clip' model"):
        models.load("dino", source=str(tmp_path), device="cpu")


def test_trap_66_a_device_that_is_not_there_is_an_error(saved: Callable[[str], Path]) -> None:
    with pytest.raises(DeviceError, match="'coreml'"):
        models.load("dino", source=str(saved("dinov2")), device="coreml")
    assert models.load("dino", source=str(saved("dinov2")), device="cpu").device == "cpu"
