"""Targets that lack the marked kind: what the flex head learns presence from (specification 10.7)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import mattelike as ml
from mattelike.errors import SettingsError, UsageError
from mattelike.models import sd21_heads
from mattelike.models.sd21_settings import settings_of
from mattelike.network import icon_guidance
from mattelike.network.icon_768 import Icon768
from mattelike.network.icon_backbone import FlexOnBackbone
from mattelike.training import icon_losses, icon_recipe, icon_sources
from mattelike.training.icon_batches import IconBatches
from mattelike.training.pairing import Pairs
from mattelike.training.sources import Sample
from tests.models import tiny_sd
from tests.training import icon_data
from tests.training.test_icon_train import recipe
from tests.training.test_icon_training import Frozen, scene


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small diffusion model and discs of two colours."""
    folder = tmp_path_factory.mktemp("absent")
    tiny_sd.save(folder / "sd")
    icon_data.groups(folder / "data", 2, 2)
    return folder


def sample(name: str, group: str, image: str = "", shows: str = "") -> Sample:
    return Sample(name, group, Path(image or f"{name}.jpg"), Path(f"{name}.png"), shows=shows)


KINDS = [sample(f"{kind}{n}", kind) for kind in ("cat", "dog", "cup") for n in range(4)]


def test_a_tenth_of_the_targets_lack_the_kind_of_their_reference() -> None:
    pairs = Pairs(KINDS, seed=3)
    asked = [pairs.question(epoch, n, 0.1) for epoch in range(500) for n in range(len(KINDS))]
    assert np.mean([not shown for _, _, shown in asked]) == pytest.approx(0.1, abs=0.01)
    assert all((reference.group == target.group) == shown for reference, target, shown in asked)
    # All other kinds come up, and every target stays in its place.
    assert {(r.group, t.group) for r, t, _ in asked} == {(a, b) for a in ("cat", "dog", "cup") for b in (
        "cat", "dog", "cup")}  # fmt: skip
    assert [t.name for _, t, _ in asked[: len(KINDS)]] == [each.name for each in KINDS]


def test_without_absent_targets_the_pairs_are_what_they_were() -> None:
    pairs = Pairs(KINDS, seed=3)
    for epoch in range(20):
        for n in range(len(KINDS)):
            assert pairs.question(epoch, n, 0.0) == (*pairs.pair(epoch, n), True)


def test_a_target_that_may_show_the_kind_is_never_called_absent() -> None:
    # One photo in two groups; two groups of one class; a class only the third shows.
    samples = [
        sample("a1", "cat", "both.jpg"), sample("a2", "cat"),
        sample("b1", "dog", "both.jpg"), sample("b2", "dog"),
        sample("c1", "dog-puppy-half", shows="dog"), sample("c2", "dog-puppy-half", shows="dog"),
        sample("d1", "cup"), sample("d2", "cup"),
    ]  # fmt: skip
    pairs = Pairs(samples)
    asked = [pairs.question(epoch, n, 1.0) for epoch in range(50) for n in range(len(samples))]
    shown = {(t.name, r.group) for r, t, present in asked if not present}
    assert {group for name, group in shown if name == "a1"} == {"cup"}
    assert {group for name, group in shown if name == "b2"} == {"cat", "cup"}
    assert {group for name, group in shown if name == "c1"} == {"cat", "cup"}


def test_data_of_one_kind_has_nothing_to_be_absent() -> None:
    settings = settings_of({"head": "icon-flex"})
    one = [sample("a", "cat"), sample("b", "cat")]
    IconBatches(one, settings, 4, 1)
    with pytest.raises(UsageError, match="absent_share=0"):
        IconBatches(one, settings, 4, 1, absent=0.1)


def test_the_release_knows_classes_across_its_groups(tmp_path: Path) -> None:
    for name in ("cat1", "cat2"):
        rgb, alpha = icon_data.picture(1, 0)
        icon_data.written(tmp_path / "image" / f"{name}.png", rgb)
        icon_data.written(tmp_path / "alpha" / f"{name}.png", alpha)
    (tmp_path / "index.json").write_text(
        '{"cat1": {"dataset_name": "RM1k", "class": "Cat", "sub_class": null, "HalfOrFull": "full"},'
        ' "cat2": {"dataset_name": "RM1k", "class": "cat", "sub_class": "tabby", "HalfOrFull": "half"}}'
    )
    found = icon_sources.gathered((str(tmp_path / "index.json"), str(tmp_path / "index.json")))
    assert len({each.group for each in found}) == 4
    assert {each.shows for each in found} == {"cat"}


def test_an_absent_target_has_an_empty_alpha_and_says_so(room: Path) -> None:
    samples = icon_sources.gathered((str(room / "data"),))
    settings = settings_of({"side": 64, "crop_size": 64, "head": "icon-flex"})
    made = IconBatches(samples, settings, 6, 2, absent=0.5)
    plain = IconBatches(samples, settings, 6, 2)
    seen = set()
    for number in range(6):
        batch, same = made[number], plain[number]
        assert torch.equal(batch.targets, same.targets)
        for at, present in enumerate(batch.present):
            seen.add(present)
            assert bool(batch.alphas[at].any()) == present
            assert batch.marks[at].any()
            if present:
                assert torch.equal(batch.alphas[at], same.alphas[at])
                assert torch.equal(batch.references[at], same.references[at])
    assert seen == {True, False}
    assert all(plain[0].present)


def test_presence_is_a_term_of_its_own_and_unsure_ones_count_nothing() -> None:
    alpha = torch.full((2, 1, 64, 64), 0.5)
    truth = icon_losses.truth_of(torch.zeros(64, 64), None, "matting")
    logits = torch.tensor([2.0, -1.0], requires_grad=True)
    plain, _ = icon_losses.total(alpha, [truth, truth])
    loss, terms = icon_losses.total(alpha, [truth, truth], presence=logits, present=(True, False))
    wanted = (torch.log1p(torch.exp(torch.tensor(-2.0))) + torch.log1p(torch.exp(torch.tensor(-1.0)))) / 2
    torch.testing.assert_close(terms["presence"], wanted)
    torch.testing.assert_close(loss, plain + wanted)
    loss, terms = icon_losses.total(alpha, [truth, truth], presence=logits, present=(None, None))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(terms["presence"].detach()) == 0 and not bool(logits.grad.any())  # type: ignore[union-attr]


def test_the_flex_head_learns_presence_and_the_released_head_has_none(room: Path) -> None:
    made = icon_recipe.task(recipe(room, "icon-768.toml", head="icon-flex", norm="gn", absent_share=0.5))
    loss, terms = made.judged(made.batches[0])
    loss.backward()  # type: ignore[no-untyped-call]
    assert "presence" in terms
    layer = made.model.head.presence[0].weight  # type: ignore[index,union-attr]
    assert bool(layer.grad.any())  # type: ignore[union-attr]
    released = icon_recipe.task(recipe(room, "icon-768.toml", absent_share=0.5))
    assert isinstance(released.model, Icon768)
    assert "presence" not in released.judged(released.batches[0])[1]
    assert released.batches.absent == 0  # type: ignore[attr-defined]


def test_absent_targets_teach_the_head_to_tell_them() -> None:
    torch.manual_seed(0)
    backbone = Frozen()
    head = FlexOnBackbone(backbone.declared, width=32, blocks=1, norm="gn").train()
    colours = [torch.tensor(c) for c in ([0.9, -0.8, -0.8], [-0.8, 0.9, -0.8], [-0.8, -0.8, 0.9])]

    def asked(number: int, present: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Alpha and presence of a target that shows the reference's colour, or another; and the truth."""
        (image, mask), (target, alpha) = (
            scene(2 * number + i, colours[(number + i * (not present)) % 3]) for i in range(2)
        )
        feature = backbone.encode(image).features[0][0]
        queries = feature[:, F.avg_pool2d(mask[None], 8)[0] > 0.9].T
        seen = backbone.encode(target)
        similar = icon_guidance.similar_to([queries], seen.features[0][0])
        best = icon_guidance.best_cosine(queries, seen.features[0][0])
        answer = head(target, seen, head.guidance(seen, similar, best))
        return answer.alpha.sigmoid(), answer.presence, alpha if present else torch.zeros_like(alpha)

    steps = torch.optim.AdamW(head.parameters(), 3e-3)
    for step in range(25):
        present = (True, False, True, False)
        parts = [asked(4 * step + at, each) for at, each in enumerate(present)]
        truths = [icon_losses.truth_of(truth, None, "matting", trimap_radius=2) for _, _, truth in parts]
        alpha, logits = (torch.cat([part[at] for part in parts]) for at in range(2))
        loss, terms = icon_losses.total(alpha, truths, "paper", presence=logits, present=present)
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
    assert "presence" in terms
    with torch.no_grad():
        said = {each: [float(asked(n, each)[1]) for n in range(200, 209)] for each in (True, False)}
    assert min(said[True]) > max(said[False])


def test_what_the_head_learnt_of_presence_is_what_is_reported(room: Path) -> None:
    chosen = recipe(room, "icon-768.toml", head="icon-flex", norm="gn", max_steps=1)
    trained = icon_recipe.train(chosen, room / "reported")
    without = icon_recipe.train(
        replace(chosen, settings={**chosen.settings, "absent_share": 0}), room / "unreported"
    )
    rgb, alpha = icon_data.picture(50, 0)
    for path, learnt in ((trained, True), (without, False)):
        predictor = ml.load("sd21", device="cpu", source=room / "sd", weights=path)
        matte = predictor.matte(rgb, predictor.encode(rgb, ml.Mask(alpha > 128)), refine=False)
        assert (matte.presence != matte.guidance.presence) == learnt
        assert 0 < matte.presence < 1
        assert float(matte.alpha.max()) > 0


def test_weights_from_before_presence_was_learnt_do_not_speak_of_it(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"head": "icon-flex", "norm": "gn", "timestep": 100}
    monkeypatch.setattr(sd21_heads.head_files, "trained", lambda path: table)
    assert sd21_heads.trained_for("old.safetensors")["absent_share"] == 0


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_the_share_is_a_share(share: float) -> None:
    with pytest.raises(SettingsError, match="absent_share"):
        settings_of({"absent_share": share})
