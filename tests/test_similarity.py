"""The heart of the paper, against its own equations and against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mattelike import similarity

HEADS, CHANNELS = 3, 8
TEMPERATURES = (6.0, 10.0, 20.0)
AFFINITIES = (8.0, 12.0, 16.0)


def grid(seed: int, height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(HEADS * CHANNELS, height, width)).astype(np.float32)


def tokens(seed: int, height: int = 5, width: int = 7) -> np.ndarray:
    return similarity.split_heads(grid(seed, height, width), HEADS)


def weights(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(count).astype(np.float32)


def test_heads_are_split_by_channel_and_every_token_has_length_one():
    split = tokens(0)
    assert split.shape == (HEADS, 35, CHANNELS)
    assert np.allclose(np.linalg.norm(split, axis=-1), 1, atol=1e-5)
    raw = grid(0)[CHANNELS : 2 * CHANNELS, 2, 3]
    assert np.allclose(split[1, 2 * 7 + 3], raw / np.linalg.norm(raw), atol=1e-5)


def test_A7_equation_4_is_the_mean_of_one_softmax_a_query():
    queries, features = tokens(1)[0][:6], tokens(2)[0]
    expected = np.zeros(35)
    for query in queries:
        logits = np.array([query @ f / CHANNELS**0.5 for f in features], np.float64)
        expected += np.exp(logits) / np.exp(logits).sum()
    assert np.allclose(similarity.inter_similarity(queries, features), expected / 6, atol=1e-6)
    assert np.allclose(similarity.inter_similarity(queries, features, "sum"), expected, atol=1e-6)


def test_A7_inter_similarity_sums_to_the_number_of_queries_whatever_the_target_shows():
    queries, features = tokens(1)[0][:6], tokens(2)[0]
    assert similarity.inter_similarity(queries, features, "sum").sum() == pytest.approx(6, rel=1e-5)
    assert similarity.inter_similarity(queries, -features).sum() == pytest.approx(1, rel=1e-5)


def test_no_queries_give_zeros_not_nan():
    assert np.array_equal(
        similarity.inter_similarity(tokens(1)[0][:0], tokens(2)[0]), np.zeros(35, np.float32)
    )


def test_A6_equation_5_weights_the_keys_not_the_queries():
    attention = similarity.softmax(np.random.default_rng(3).normal(size=(6, 6)))
    s = weights(6).astype(np.float64)
    found = similarity.intra_similarity(attention, s)
    for i in range(6):
        for j in range(6):
            assert found[i, j] == attention[i, j] * s[j]
    assert not np.allclose(found, attention * s[:, None])


def test_A15_propagation_equals_the_row_sums_of_equation_5_without_the_map():
    target = tokens(4)[0]
    s = weights(35)
    attention = similarity.softmax(target @ target.T * 9.0)
    expected = similarity.intra_similarity(attention, s).sum(axis=-1)
    for block in (1, 5, 8, 35, 1000):
        found = similarity.propagate(target, target, s[:, None], 9.0, block=block)[:, 0]
        assert np.allclose(found, expected, rtol=1e-5)


def test_A16_propagation_never_holds_more_than_a_block_of_rows(monkeypatch):
    seen = []
    real = similarity.softmax
    monkeypatch.setattr(similarity, "softmax", lambda x: (seen.append(x.shape), real(x))[1])
    similarity.propagate(tokens(4)[0], tokens(4)[0], weights(35)[:, None], 9.0, block=8)
    assert max(shape[-2] for shape in seen) == 8


def test_contrast_is_one_for_the_thing_itself_and_zero_for_its_surroundings():
    reference = tokens(5)
    w = (np.arange(35) < 10).astype(np.float32)
    cosine = reference @ np.swapaxes(reference, -1, -2)
    share = similarity.contrast(cosine, w, (60.0, 60.0, 60.0)).mean(axis=0)
    assert share[:10].min() > 0.95
    assert share[10:].max() < 0.05


def test_a_negative_reference_takes_a_lookalike_away():
    reference, lookalike = tokens(6), tokens(7)
    w = np.ones(35, np.float32)
    alone = similarity.compare(lookalike, reference, w, TEMPERATURES, AFFINITIES)
    both = similarity.compare(
        lookalike,
        np.concatenate([reference, lookalike], axis=1),
        np.concatenate([w, 0 * w]),
        TEMPERATURES,
        AFFINITIES,
    )
    assert np.allclose(alone.contrast, 1, atol=1e-5)
    assert both.contrast.mean() < 0.4


def test_the_best_of_none_is_no_cosine_at_all():
    cosine = np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 3, 4)
    chosen = np.array([True, False, True, False])
    np.testing.assert_array_equal(similarity.best(cosine, chosen), cosine[..., 2])
    np.testing.assert_array_equal(similarity.best(cosine, np.zeros(4, bool)), np.full((1, 3), -1, np.float32))


def test_A31_the_order_of_references_does_not_matter():
    a, b, target = tokens(8), tokens(9), tokens(10)
    wa, wb = weights(35, 1), weights(35, 2)
    one = similarity.compare(
        target, np.concatenate([a, b], 1), np.concatenate([wa, wb]), TEMPERATURES, AFFINITIES
    )
    other = similarity.compare(
        target, np.concatenate([b, a], 1), np.concatenate([wb, wa]), TEMPERATURES, AFFINITIES
    )
    assert np.allclose(one.stacked(), other.stacked(), atol=1e-5)


def test_A31_the_same_reference_twice_changes_nothing():
    a, target, w = tokens(8), tokens(10), weights(35, 1)
    one = similarity.compare(target, a, w, TEMPERATURES, AFFINITIES)
    twice = similarity.compare(
        target, np.concatenate([a, a], 1), np.concatenate([w, w]), TEMPERATURES, AFFINITIES
    )
    assert np.allclose(one.stacked(), twice.stacked(), atol=1e-5)


def test_reference_tokens_that_are_not_kept_are_as_if_left_out():
    """Batches whose references keep different numbers of tokens say what each would say alone."""
    target, reference, w = tokens(11), tokens(12), weights(35)
    kept = np.random.default_rng(3).random(35) < 0.6
    found = similarity.compare(target, reference, w, TEMPERATURES, AFFINITIES, kept=kept)
    alone = similarity.compare(target, reference[:, kept], w[kept], TEMPERATURES, AFFINITIES)
    assert np.allclose(found.stacked(), alone.stacked(), atol=1e-5)


def test_numpy_and_torch_agree_and_gradients_flow():
    target, reference, w = tokens(11), tokens(12), weights(35)
    expected = similarity.compare(target, reference, w, TEMPERATURES, AFFINITIES).stacked()
    leaf = torch.tensor(target, requires_grad=True)
    found = similarity.compare(
        leaf, torch.tensor(reference), torch.tensor(w), torch.tensor(TEMPERATURES), torch.tensor(AFFINITIES)
    ).stacked()
    assert np.allclose(expected, found.detach().numpy(), atol=2e-6)
    found.sum().backward()
    assert leaf.grad is not None
    assert float(leaf.grad.abs().sum()) > 0


def test_leading_dimensions_are_a_batch():
    targets = torch.tensor(np.stack([tokens(1), tokens(2)]))
    references = torch.tensor(np.stack([tokens(3), tokens(4)]))
    w = torch.tensor(np.stack([weights(35, 1), weights(35, 2)]))
    together = similarity.compare(
        targets, references, w, torch.tensor(TEMPERATURES), torch.tensor(AFFINITIES)
    ).stacked()
    for i in range(2):
        alone = similarity.compare(
            targets[i], references[i], w[i], torch.tensor(TEMPERATURES), torch.tensor(AFFINITIES)
        ).stacked()
        assert torch.allclose(together[i], alone, atol=1e-6)


def test_channel_names_follow_the_channels():
    evidence = similarity.compare(tokens(1), tokens(2), weights(35), TEMPERATURES, AFFINITIES)
    names = similarity.channel_names(HEADS)
    stacked = evidence.stacked()
    assert len(names) == stacked.shape[0]
    assert np.array_equal(stacked[names.index("best_background.1")], evidence.best_background[1])


def test_families_of_heads_stand_side_by_side():
    """Two families are what each says alone; the second is one wide head of its own."""
    wide = np.random.default_rng(9).normal(size=(40, 5, 7)).astype(np.float32)
    families = similarity.split_families(np.concatenate([grid(1), wide]), HEADS, (40,))
    references = similarity.split_families(np.concatenate([grid(2), wide[::-1]]), HEADS, (40,))
    assert [f.shape for f in families] == [(HEADS, 35, CHANNELS), (1, 35, 40)]
    w, t, a = weights(35), (*TEMPERATURES, 15.0), (*AFFINITIES, 9.0)
    found = similarity.compare_families(families, references, w, t, a, similarity.pooled(families, a))
    learned = similarity.compare(families[0], references[0], w, TEMPERATURES, AFFINITIES)
    own = similarity.compare(families[1], references[1], w, (15.0,), (9.0,))
    for name in similarity.EVIDENCE:
        assert np.array_equal(
            getattr(found, name), np.concatenate([getattr(learned, name), getattr(own, name)])
        )


def grouped(things: np.ndarray, sharpness: float = 6.0) -> np.ndarray:
    """Grouping tokens that know which thing each cell is part of."""
    return (sharpness * np.eye(things.max() + 1, dtype=np.float32)[things])[None]


def test_every_cell_of_a_thing_speaks_for_all_of_it():
    """Two things whose parts are unlike each other: pooled, the parts of one are one token, the mean."""
    things = np.repeat([0, 1], [20, 15])
    target = tokens(4)
    whole = similarity.pooled([target], AFFINITIES, grouped(things))[0]
    assert whole.shape == target.shape
    for thing in (0, 1):
        mean = target[:, things == thing].mean(axis=1, keepdims=True)
        expected = np.broadcast_to(similarity.normalised(mean), whole[:, things == thing].shape)
        assert np.allclose(whole[:, things == thing], expected, atol=1e-4)


def test_a_thing_is_found_by_all_its_parts_where_single_cells_mislead():
    """A cell of the wrong thing looks like the reference; what it is part of does not."""
    things = np.repeat([0, 1], [20, 15])
    target = tokens(4)
    reference = target[:, :20].copy()
    typical = (reference @ similarity.mean_token(reference, np.ones(20)).swapaxes(1, 2)).mean(axis=(0, 2))
    target[:, 30] = reference[:, typical.argmax()]
    whole = similarity.pooled([target], AFFINITIES, grouped(things))
    w = np.ones(20, np.float32)
    found = similarity.compare(target, reference, w, TEMPERATURES, AFFINITIES, whole[0])
    assert found.mean_foreground[:, 30].mean() > found.mean_foreground[:, :20].mean()
    assert (found.thing_lead[:, :20] > 0.99).all()
    assert (found.thing_lead[:, 20:] < 0.5).all()


def test_without_grouping_tokens_cells_are_pooled_by_likeness():
    target = tokens(4)
    alike = similarity.pooled([target], AFFINITIES)[0]
    expected = similarity.propagate(target, target, target, np.array(AFFINITIES)[:, None, None])
    assert np.allclose(alike, similarity.normalised(expected), atol=1e-6)


def test_grouping_tokens_are_one_more_voice_when_marks_grow():
    reference, left = halves()
    positive = np.zeros(64, np.float32)
    positive[9] = 1
    grouping = grouped((~left).astype(int))
    with_it = similarity.grown([reference], positive, 0 * positive, AFFINITIES, box=False, grouping=grouping)
    alone = similarity.seeded(reference, positive, 0 * positive, AFFINITIES)
    own = similarity.seeded(grouping, positive, 0 * positive, (1.0,))
    assert np.allclose(with_it, (alone + own) / 2, atol=1e-6)
    assert own[left].min() > own[~left].max() + 0.5


def test_marks_grow_by_the_mean_of_all_families():
    reference, left = halves()
    families = (reference, tokens(3, 8, 8))
    positive = np.zeros(64, np.float32)
    positive[9] = 1
    both = similarity.grown(families, positive, 0 * positive, (*AFFINITIES, *AFFINITIES), box=False)
    alone = [similarity.seeded(f, positive, 0 * positive, AFFINITIES) for f in families]
    assert np.allclose(both, (alone[0] + alone[1]) / 2, atol=1e-6)
    box = similarity.grown(families[:1], left.astype(np.float32), 0 * positive, AFFINITIES, box=True)
    assert np.allclose(box, similarity.boxed(reference, left.astype(np.float32), AFFINITIES))


def test_A34_extension_adds_the_most_attended_and_keeps_the_prompt():
    rows = np.array([[0.1, 0.5, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25]])
    prompted = np.array([3, 2])
    assert similarity.extend(rows, prompted, 0).tolist() == [2, 3]
    assert similarity.extend(rows, prompted, 1).tolist() == [0, 1, 2, 3]
    assert similarity.extend(rows[:1], prompted[:1], 2).tolist() == [1, 2, 3]
    assert len(similarity.extend(rows, prompted, 3)) <= 2 * (1 + 3)


def test_A34_with_identity_attention_only_ties_by_index_are_added():
    prompted = np.array([4])
    assert similarity.extend(np.eye(6)[prompted], prompted, 2).tolist() == [0, 4]


def halves() -> tuple[np.ndarray, np.ndarray]:
    """A reference of two materials, left and right, with a little noise; and which cells are left."""
    rng = np.random.default_rng(0)
    left = np.arange(64) % 8 < 4
    base = np.where(
        left[None, :, None], rng.normal(size=(HEADS, 1, CHANNELS)), rng.normal(size=(HEADS, 1, CHANNELS))
    )
    noisy = base + 0.2 * rng.normal(size=base.shape)
    return similarity.normalised(noisy.astype(np.float32)), left


def test_one_click_grows_to_what_it_resembles():
    reference, left = halves()
    positive = np.zeros(64, np.float32)
    positive[9] = 1
    found = similarity.seeded(reference, positive, 0 * positive, AFFINITIES)
    assert found[left].min() > 0.5 > found[~left].max()
    assert found[9] == 1


def test_negative_clicks_count_and_stay_out():
    reference, left = halves()
    positive, negative = np.zeros(64, np.float32), np.zeros(64, np.float32)
    positive[9], negative[15] = 1, 1
    found = similarity.seeded(reference, positive, negative, AFFINITIES)
    assert found[15] == 0
    assert found[left].mean() > 0.9
    assert found[~left].mean() < 0.1


def test_a_box_means_the_thing_inside_it():
    reference, left = halves()
    inside = (np.arange(64) % 8 < 6).astype(np.float32)
    found = similarity.boxed(reference, inside, AFFINITIES)
    assert found[left].min() > 0.5
    assert found[~left].max() < 0.5
    assert np.all(found[inside == 0] == 0)


def test_A33_presence_is_higher_where_the_thing_is():
    reference, left = halves()
    w = left.astype(np.float32)
    here = similarity.compare(reference, reference, w, TEMPERATURES, AFFINITIES)
    elsewhere = similarity.compare(tokens(3), reference, w, TEMPERATURES, AFFINITIES)
    assert similarity.presence_score(here) > similarity.presence_score(elsewhere) + 0.2
