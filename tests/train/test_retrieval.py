"""Retrieval on a split: against counting every batch, and on a matcher that learns."""

import copy
from itertools import combinations

import numpy as np
import pytest
import torch

from ganhtr.train.pretraining import pretrain_matcher
from ganhtr.train.retrieval import expected_top1, measure_retrieval


def top1_of_all_batches(similarities, ids, size):
    """The definition: every batch of other transcriptions, one by one."""
    shares = []
    for line in range(len(ids)):
        own = max(similarities[line][ids == ids[line]])
        others = [other for other in range(len(ids)) if ids[other] != ids[line]]
        batches = list(combinations(others, min(size - 1, len(others))))
        shares.append(
            np.mean([all(similarities[line][other] < own for other in batch) for batch in batches])
        )
    return np.mean(shares)


@pytest.mark.parametrize("size", [1, 2, 4, 9, 20])
@pytest.mark.parametrize("ids", [range(9), [0, 1, 2, 2, 3, 4, 0, 5, 6]])
def test_the_expectation_is_the_mean_over_all_batches(size, ids):
    ids = np.array(ids)
    similarities = np.random.default_rng(size).normal(size=(9, 9)) + 0.8 * np.eye(9)
    expected = top1_of_all_batches(similarities, ids, size)
    assert expected_top1(similarities, ids, size) == pytest.approx(expected)


def test_a_constant_similarity_matches_nothing():
    assert expected_top1(np.ones((6, 6)), np.arange(6), 3) == 0.0


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"contrastive.pooling": "window"},
        {"contrastive.anchor": "all"},
        {"head.kind": "mlp_bn", "contrastive.queue": 8},
    ],
    ids=["mean", "windows", "levels", "batch norm and queue"],
)
def test_a_matcher_that_learned_finds_the_transcriptions_of_its_lines(
    overrides, bench, new_state, small
):
    overrides = {"text_encoder.dropout": 0.0, "train.contrastive_lr": 0.01, **overrides}
    state = new_state(small(**{"contrastive.pretrain": 150, **overrides}))
    before = measure_retrieval(state, bench.guide, bench.train)
    weights = [parameter.clone() for parameter in state.matcher.parameters()]
    pretrain_matcher(state, state.matcher, bench.guide, bench.train)
    learned = copy.deepcopy(state.matcher.state_dict())
    after = measure_retrieval(state, bench.guide, bench.train)
    assert after["clean_top1"] > before["clean_top1"] + 0.15 and after["clean_top1"] > 0.4
    assert all(0 <= value <= 1 for value in (*before.values(), *after.values()))
    assert after == measure_retrieval(state, bench.guide, bench.train)
    assert not all(map(torch.equal, weights, state.matcher.parameters()))
    same = [torch.equal(value, state.matcher.state_dict()[name]) for name, value in learned.items()]
    assert all(same) and state.matcher.training


def test_a_similarity_that_is_not_finite_is_an_error():
    with pytest.raises(ArithmeticError, match="not finite"):
        expected_top1(np.full((3, 3), np.nan), np.arange(3), 2)


@pytest.mark.parametrize(
    "overrides",
    [{"contrastive.formulation": name} for name in ("none", "ratio", "frame")]
    + [{"contrastive.weight": 0.0}],
    ids=["none", "ratio", "frame", "weight 0"],
)
def test_there_is_no_retrieval_without_a_loss_on_transcriptions(overrides, bench, new_state, small):
    state = new_state(small(**overrides))
    assert measure_retrieval(state, bench.guide, bench.train) == {}
