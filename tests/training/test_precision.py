"""In which numbers a run computes."""

import pytest
import torch

from mattelike.training import precision


@pytest.mark.parametrize(
    ("able", "name"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx2": True}, "fp32")],
)
def test_auto_takes_bfloat16_only_where_the_processor_multiplies_it(
    able: dict[str, bool], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert precision.resolved("auto", "cpu") == name


def test_a_torch_that_does_not_tell_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert precision.resolved("auto", "cpu") == "fp32"


def test_what_a_recipe_asks_for_is_done() -> None:
    assert [precision.resolved(name, "cpu") for name in ("bf16", "fp32")] == ["bf16", "fp32"]
    assert precision.autocast_type("bf16") is torch.bfloat16
    assert precision.autocast_type("fp32") is None


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision is 'fp16'; it must be one of auto, bf16, fp32"):
        precision.resolved("fp16", "cpu")
