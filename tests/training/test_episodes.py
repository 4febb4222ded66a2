"""Batches: the answers belong to the questions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mattelike.training import episodes, prompts, synthesis
from mattelike.training.episodes import EpisodeSettings
from mattelike.training.groups import GLUE, kind_of, related
from tests.training.toys import SHAPES, toy_pack

SETTINGS = EpisodeSettings(sides=(64,), scene_pairs=1, real_pairs=1, questions=8, absent=0.25)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    pack = toy_pack(tmp_path_factory.mktemp("pack"))
    return episodes.Episodes(episodes.library(pack, False), SETTINGS, 100)


def test_absent_means_an_empty_answer_and_present_a_full_one(made):
    shares = []
    for step in range(12):
        batch = made[step]
        filled = batch.truth.flatten(1).sum(dim=1) > 0
        assert torch.equal(filled.float(), batch.present)
        shares.append(float(batch.present.mean()))
    assert 0.6 < sum(shares) / len(shares) < 0.95


def test_questions_about_photos_are_not_crowded_out_by_scenes():
    """Scenes hold many things: what is known of photos is asked first."""
    scenes = [(thing, target, True) for thing in range(4) for target in (0, 1)]
    photos = [(4, 3, True), (5, 2, True)]
    settings = EpisodeSettings(questions=4, absent=0.0)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        asked = episodes.drawn(scenes + photos, [], {2, 3}, settings, generator)
        assert len(asked) == 4
        assert set(photos) <= set(asked)


def test_pairs_about_parts_of_a_person_come_up_as_often_as_asked(made):
    groups = dict(made.library.groups)
    groups["bar"] = [
        replace(place, item=replace(place.item, source=episodes.PARTS)) for place in groups["bar"]
    ]
    library = replace(made.library, groups=groups)

    def share(parts: float) -> float:
        chosen = episodes.Episodes(library, replace(SETTINGS, parts=parts), 1)
        pairs = [chosen.real_pair(64, torch.Generator().manual_seed(seed)) for seed in range(40)]
        asked = [all(any(layer.kind == "bar" for layer in p.layers) for p in pair) for pair in pairs]
        return sum(asked) / len(asked)

    assert share(0.0) < 0.5 < share(0.8) < 1.0
    assert share(1.0) == 1.0


def test_two_things_fixed_to_each_other_are_one_answer(made):
    """How much of what hangs together is meant is said by the mark, so neither half is asked for alone."""
    chosen = episodes.Episodes(made.library, replace(SETTINGS, glued=1.0), 1)
    for seed in range(8):
        pair = chosen.scene_pair(96, torch.Generator().manual_seed(seed))
        both = [layer for picture in pair for layer in picture.layers if GLUE in layer.kind]
        assert len(both) == 2
        assert both[0].kind == both[1].kind
        halves = set(both[0].kind.split(GLUE))
        assert len(halves) == 2
        assert not any(layer.kind in halves for picture in pair for layer in picture.layers)


def test_the_second_of_two_fixed_things_lies_where_it_was_told():
    first, second = synthesis.fixed((50.0, 50.0, 40.0), 0.0, torch.Generator().manual_seed(1))
    assert first[0] == second[0] == 50.0, "in one row"
    assert first[1] < 50.0 < second[1]
    assert second[1] - first[1] < (first[2] + second[2]) / 2, "squares of their sizes overlap"


def test_things_within_a_large_one_are_answers_of_their_own(made):
    """What is meant is what is marked: neither the large thing with what lies within it, nor the reverse."""
    chosen = episodes.Episodes(made.library, replace(SETTINGS, nested=1.0), 1)
    shared = 0
    for seed in range(12):
        first, second = chosen.scene_pair(96, torch.Generator().manual_seed(seed))
        for picture in (first, second):
            total = sum(layer.alpha for layer in picture.layers)
            assert float(total.max()) <= 1 + 1e-4, "no pixel belongs to two"
        shared += bool({layer.kind for layer in first.layers} & {layer.kind for layer in second.layers})
    assert shared >= 10, "each answers for the other"


@pytest.mark.parametrize("seed", range(5))
def test_what_lies_within_a_large_thing_begins_in_its_square(seed):
    (row, column, size), *others = synthesis.nested(3, 96, torch.Generator().manual_seed(seed))
    assert len(others) == 2
    for own_row, own_column, own in others:
        assert own < 0.6 * size
        assert abs(own_row - row) <= size / 4 and abs(own_column - column) <= size / 4


def test_a_thing_toned_like_what_it_lies_on_keeps_its_texture():
    generator = torch.Generator().manual_seed(3)
    colour, behind = 0.3 + 0.2 * torch.rand(3, 8, 8, generator=generator), torch.full((3, 8, 8), 0.7)
    alpha = torch.ones(1, 8, 8)
    toned = synthesis.toned(colour, alpha, behind, 0.5)
    assert torch.allclose(toned.mean(dim=(1, 2)), (colour.mean(dim=(1, 2)) + 0.7) / 2, atol=1e-5)
    assert torch.allclose(toned.std(dim=(1, 2)), colour.std(dim=(1, 2)), atol=1e-5)


def test_nothing_is_learnt_from_a_set_that_is_left_out(made):
    pack = made.library.pack
    sources = {place.item.source for places in made.library.groups.values() for place in places}
    none_left = episodes.library(pack, clean=False, without=tuple(sources))
    assert not none_left.groups and not none_left.backgrounds
    untouched = episodes.library(pack, clean=False, without=("another",))
    assert untouched.groups.keys() == made.library.groups.keys()


def test_nothing_is_learnt_from_a_single_item_that_is_left_out(made):
    wrong, *right = made.library.groups["bar"]
    assert right, "another item of its kind is there"
    left = episodes.library(made.library.pack, clean=False, without=(wrong.item.name,))
    assert [place.item.name for place in left.groups["bar"]] == [place.item.name for place in right]


def test_single_large_things_come_up_as_often_as_asked(made):
    chosen = episodes.Episodes(made.library, replace(SETTINGS, alone=0.5), 1)
    pairs = [chosen.scene_pair(96, torch.Generator().manual_seed(seed)) for seed in range(40)]
    single = [all(len(picture.layers) == 1 for picture in pair) for pair in pairs]
    assert 0.3 < sum(single) / len(single) < 0.9
    assert all(
        pair[0].layers[0].kind == pair[1].layers[0].kind
        for pair, one in zip(pairs, single, strict=True)
        if one
    )


def test_things_pasted_into_a_scene_bring_no_rim_of_what_lay_around_them(made, monkeypatch):
    """A white thing cut out of a black photo, on white: nothing dark may be left along its edge."""
    place = made.library.groups["disc"][0]
    alpha = torch.zeros(40, 40)
    alpha[12:28, 12:28] = 1
    white_on_black = torch.cat([alpha.expand(3, 40, 40), alpha[None]])
    monkeypatch.setattr(type(made.library.pack), "rgba", lambda self, place: white_on_black)
    monkeypatch.setattr(synthesis, "backdrop", lambda library, side, generator: torch.ones(3, side, side))
    monkeypatch.setattr(synthesis, "chance", lambda generator, share: False)
    monkeypatch.setattr(synthesis.augment, "photographed", lambda rgb, generator: rgb)
    picture = synthesis.scene(
        made.library, [made.library.thing(place)], 96, torch.Generator().manual_seed(2), alone=True
    )
    rim = (picture.layers[0].alpha > 0.05) & (picture.layers[0].alpha < 0.95)
    assert bool(rim.any())
    assert float(picture.rgb.min()) > 0.97


def test_alpha_is_in_range_and_sizes_agree(made):
    batch = made[3]
    questions, references = batch.references.shape
    assert batch.truth.shape == batch.trusted.shape == (questions, 64, 64)
    assert batch.marks.positive.shape == (questions, references, 16)
    assert 0 <= float(batch.truth.min()) <= float(batch.truth.max()) <= 1
    assert 0 <= float(batch.images.min()) <= float(batch.images.max()) <= 1


def test_the_same_image_has_a_different_answer_for_each_reference(made):
    library = made.library
    generator = torch.Generator().manual_seed(5)
    places = [library.groups[shape][0] for shape in SHAPES[:4]]
    picture = synthesis.scene(library, [library.thing(place) for place in places], 96, generator)
    assert len({layer.kind for layer in picture.layers}) == len(picture.layers)
    total = torch.stack([layer.alpha for layer in picture.layers]).sum(dim=0)
    assert float(total.max()) <= 1 + 1e-4, "visible parts of different things never overlap"


def test_two_of_a_kind_are_one_answer(made):
    library = made.library
    places = [library.groups["disc"][0], library.groups["disc"][1], library.groups["bar"][0]]
    things = [library.thing(place) for place in places]
    picture = synthesis.scene(library, things, 96, torch.Generator().manual_seed(1))
    assert [layer.kind for layer in picture.layers].count("disc") == 1


def test_a_view_always_shows_its_thing(made, monkeypatch):
    """A small thing at the rim of a long photo is out of sight in most crops."""
    place = next(p for p in made.library.groups["disc"])
    photo = torch.rand(4, 60, 400, generator=torch.Generator().manual_seed(0))
    photo[3] = 0
    photo[3, 2:12, 390:399] = 1
    monkeypatch.setattr(type(made.library.pack), "rgba", lambda self, place: photo)
    for seed in range(40):
        picture = synthesis.view(made.library, place, 96, torch.Generator().manual_seed(seed))
        assert float(picture.layers[0].alpha.max()) > 0.4


def test_hard_masks_are_not_trusted_at_their_edges():
    alpha = torch.zeros(40, 40)
    alpha[10:30, 10:30] = 1
    trusted = synthesis.trust(alpha, "mask", 3)
    assert trusted[20, 20] == 1
    assert trusted[0, 0] == 1
    assert trusted[10, 20] == trusted[9, 20] == 0
    assert float(synthesis.trust(alpha, "alpha", 3).min()) == 1


@pytest.mark.parametrize("seed", range(8))
def test_simulated_marks_lie_on_the_thing(seed):
    alpha = torch.zeros(64, 64)
    alpha[16:48, 8:40] = 1
    generator = torch.Generator().manual_seed(seed)
    positive, negative, form = prompts.marks(alpha, 16, generator, sparse=True)
    cells = torch.nn.functional.avg_pool2d(alpha[None], 16)[0].flatten()
    if form == prompts.SEEDS:
        assert float(cells[positive > 0].min()) > 0.5
        assert float((cells * negative).sum()) < 0.1
    else:
        assert torch.equal(positive + negative, torch.ones(16))
        assert float(positive[cells > 0.9].min()) == 1


def test_a_thing_thinner_than_a_cell_keeps_a_token():
    alpha = torch.zeros(64, 64)
    alpha[:, 20:22] = 1
    positive, _, _ = prompts.marks(alpha, 16, torch.Generator().manual_seed(0), sparse=False)
    assert float(positive.max()) >= 0.5


def test_kinds_come_together_across_sets_and_near_ones_are_left_alone():
    assert kind_of("caltech101", "airplanes", "x") == kind_of("fluent3d", "objects_travel", "airplane")
    assert related("beagle", "beagle") is False
    assert related("pug", "golden_retriever")
    assert not related("pug", "teapot")
    assert related("ecssd/1", "ecssd/2"), "nobody wrote down what these show"
    made_of_two = f"pug{GLUE}teapot"
    assert related(made_of_two, "teapot"), "half of it is one"
    assert related("golden_retriever", made_of_two)
    assert not related(made_of_two, "airplane")


def test_batches_are_looked_at_from_afar_as_often_as_asked_and_are_else_the_same(made):
    asked = episodes.Episodes(made.library, replace(SETTINGS, afar=0.5), 30)
    batches = [asked[step] for step in range(30)]
    assert 5 < sum(batch.afar for batch in batches) < 25
    assert not any(made[step].afar for step in range(5))
    assert torch.equal(batches[4].images, made[4].images)
