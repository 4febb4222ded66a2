"""Finding and opening the frozen parts, and one clear line when they are not there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models import ldm_keys, tiny_sd

from mattelike.errors import DeviceError, ModelDamagedError, ModelNotFoundError
from mattelike.models import load, sd21_files, sd21_heads, sd21_source
from mattelike.models.sd21_settings import IconSettings, settings_of
from mattelike.network import head_files

SETTINGS = settings_of({"side": 128, "ensemble_size": 1})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sd.save(tmp_path_factory.mktemp("sd"))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("MATTELIKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MATTELIKE_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    yield


def copied(folder: Path, tmp_path: Path) -> Path:
    """The same model under links, to be changed."""
    target = tmp_path / "copy"
    for path in folder.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)
    return target


def test_A13_the_v_prediction_model_is_accepted_and_base_is_not(folder: Path, tmp_path: Path) -> None:
    backbone = sd21_source.opened(str(folder), "", SETTINGS, "cpu")
    assert backbone.vae.decoder is None
    base = copied(folder, tmp_path)
    config = base / "scheduler" / "scheduler_config.json"
    config.unlink()
    config.write_text(json.dumps(tiny_sd.SCHEDULER | {"prediction_type": "epsilon"}))
    with pytest.raises(ModelDamagedError, match="not -base"):
        sd21_source.opened(str(base), "", SETTINGS, "cpu")
    allowed = settings_of({"side": 128, "other_backbones": True})
    assert sd21_source.opened(str(base), "", allowed, "cpu").identity == backbone.identity
    with pytest.raises(ModelDamagedError, match="text width of 768"):
        sd21_source.check_kind(tiny_sd.SCHEDULER, {"cross_attention_dim": 768}, SETTINGS, "x")


def test_trap_59_what_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no such folder") as info:
        sd21_files.located(str(tmp_path / "none"), "", SETTINGS)
    assert "\n" not in str(info.value)
    with pytest.raises(ModelNotFoundError, match="MATTELIKE_OFFLINE") as info:
        sd21_files.located("", "", settings_of({"mirrors": "someone/else"}))
    assert "stabilityai/stable-diffusion-2-1" in str(info.value) and "someone/else" in str(info.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelNotFoundError, match=r"scheduler_config\.json"):
        sd21_source.opened(str(tmp_path / "empty"), "", SETTINGS, "cpu")
    with pytest.raises(DeviceError):
        sd21_source.chosen_device("abacus")


def test_a_folder_named_in_the_settings_is_used_before_the_hub(folder: Path) -> None:
    place, name = sd21_files.located("", "", settings_of({"sd_path": str(folder)}))
    assert (place, name) == (folder, str(folder))


def test_trap_63_missing_weights_are_named_and_never_random(folder: Path, tmp_path: Path) -> None:
    broken = copied(folder, tmp_path)
    path = broken / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["conv_in.weight"]
    path.unlink()
    save_file(tensors, path)
    with pytest.raises(ModelDamagedError, match="conv_in"):
        sd21_source.opened(str(broken), "", SETTINGS, "cpu")
    path.write_bytes(b"<html>")
    with pytest.raises(ModelDamagedError, match="cannot be opened"):
        sd21_source.opened(str(broken), "", SETTINGS, "cpu")


def test_another_unet_of_the_same_shape_takes_the_place_of_the_first(folder: Path, tmp_path: Path) -> None:
    other = tiny_sd.unet(seed=9)
    save_file(other.state_dict(), tmp_path / "clean.safetensors")
    plain = sd21_source.opened(str(folder), "", SETTINGS, "cpu")
    settings = settings_of({"side": 128, "unet": str(tmp_path / "clean.safetensors"), "add_noise": "false"})
    clean = sd21_source.opened(str(folder), "", settings, "cpu")
    assert clean.identity != plain.identity
    assert torch.equal(clean.unet.conv_in.weight, other.conv_in.weight)
    missing = settings_of({"unet": str(tmp_path / "none.safetensors")})
    with pytest.raises(ModelNotFoundError, match="no such U-Net"):
        sd21_source.opened(str(folder), "", missing, "cpu")


def test_the_empty_prompt_is_computed_once_and_kept(folder: Path, tmp_path: Path) -> None:
    whole = copied(folder, tmp_path)
    (whole / "prompt_embeds.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match="text_encoder"):
        sd21_source.opened(str(whole), "", SETTINGS, "cpu")
    add_text_encoder(whole)
    first = sd21_source.opened(str(whole), "", SETTINGS, "cpu").prompt
    assert first.shape == (1, 77, 1024)
    for part in (whole / "text_encoder").iterdir():
        part.unlink()
    assert torch.equal(sd21_source.opened(str(whole), "", SETTINGS, "cpu").prompt, first)


def add_text_encoder(folder: Path) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=4, hidden_size=1024, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    tokens = folder / "tokenizer"
    tokens.mkdir()
    (tokens / "vocab.json").write_text(
        json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "b</w>": 3})
    )
    (tokens / "merges.txt").write_text("#version: 0.2\n")
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    (tokens / "tokenizer_config.json").write_text(json.dumps(about))


def test_head_weights_load_strictly_and_only_into_their_own_shape(folder: Path, tmp_path: Path) -> None:
    unet = tiny_sd.unet()
    head = sd21_heads.untrained(SETTINGS, unet)
    path = tmp_path / "head.safetensors"
    head_files.write(path, "icon-768", sd21_heads.shape_of(head), head.state_dict())
    loaded = sd21_heads.opened(str(path), settings_of({"side": 128, "seeds": "7"}), unet)
    assert all(
        torch.equal(a, b)
        for a, b in zip(loaded.state_dict().values(), head.state_dict().values(), strict=True)
    )
    with pytest.raises(ModelDamagedError, match="head=icon-768"):
        sd21_heads.opened(str(path), settings_of({"side": 128, "head": "icon-flex"}), unet)
    with pytest.raises(ModelDamagedError, match="shape"):
        sd21_heads.opened(str(path), settings_of({"side": 192}), unet)
    with pytest.raises(ModelNotFoundError, match="models convert"):
        sd21_heads.opened("", SETTINGS, unet)
    with pytest.raises(ModelNotFoundError, match="vitmatte"):
        sd21_heads.opened("", settings_of({"head": "vitmatte"}), unet)


def test_the_shape_on_the_real_unet_is_that_of_the_release() -> None:
    class Real:
        """The published configuration, as far as shapes are asked of it."""

        config = type("Config", (), {"block_out_channels": (320, 640, 1280, 1280)})
        up_blocks = tiny_sd.unet().up_blocks

    unet: Any = Real()
    from mattelike.network.icon_768 import Icon768Settings

    assert sd21_heads.icon_768_shape(IconSettings(), unet) == Icon768Settings()


def test_end_to_end_from_files(folder: Path, tmp_path: Path) -> None:
    head = sd21_heads.untrained(SETTINGS, tiny_sd.unet())
    head_files.write(tmp_path / "h.safetensors", "icon-768", sd21_heads.shape_of(head), head.state_dict())
    settings = {"side": "128", "ensemble_size": "1"}
    model = load("sd21", device="cpu", source=folder, weights=tmp_path / "h.safetensors", settings=settings)
    features = model.features(tiny_sd.picture(), "target")
    assert features.tokens.dtype == np.float32
    assert model.device == "cpu"


def test_A41_importing_needs_no_gpu_and_loads_nothing_heavy() -> None:
    script = (
        "import sys, mattelike.models.sd21, mattelike.models.sd21_settings\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'accelerate', 'xformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import mattelike.models.sd21_model\n"
        "assert not {'diffusers', 'transformers', 'xformers', 'triton'} & set(sys.modules)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={"PYTHONPATH": "src", "CUDA_VISIBLE_DEVICES": ""}
    )


def test_a_single_file_with_its_configuration_beside_it_is_the_same_model(
    folder: Path, tmp_path: Path
) -> None:
    for part, name in (
        ("unet", "config.json"),
        ("vae", "config.json"),
        ("scheduler", "scheduler_config.json"),
    ):
        (tmp_path / "config" / part).mkdir(parents=True)
        shutil.copy(folder / part / name, tmp_path / "config" / part / name)
    shutil.copy(folder / "prompt_embeds.safetensors", tmp_path / "config")
    weights = ldm_keys.unet(tiny_sd.unet().state_dict()) | ldm_keys.vae(tiny_sd.vae().state_dict())
    save_file(weights, tmp_path / "v2-1_768-ema-pruned.safetensors")
    settings = {
        "sd_path": str(tmp_path / "v2-1_768-ema-pruned.safetensors"),
        "sd_config": str(tmp_path / "config"),
    }
    single = sd21_source.opened("", "", settings_of(settings), "cpu")
    whole = sd21_source.opened(str(folder), "", settings_of(), "cpu")
    assert single.identity == whole.identity
    for name, value in whole.unet.state_dict().items():
        assert torch.equal(single.unet.state_dict()[name], value), name
