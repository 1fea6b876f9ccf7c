"""The contrastive loss of a batch: candidates, levels, control arm, floor and chance."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ganhtr.charset import Charset
from ganhtr.config import ConfigError, build_config
from ganhtr.config_sections import LINE_LOSSES
from ganhtr.data.batches import step_indices
from ganhtr.losses.contrastive import LineLoss
from ganhtr.losses.contrastive.infonce import infonce
from ganhtr.train import contrast
from ganhtr.train.contrast import (
    Texts,
    between_floor_and_chance,
    compare_lines,
    instance_labels,
    level_shares,
    paired_texts,
)
from ganhtr.train.state import build_matcher
from ganhtr.train.step import train_step


@pytest.fixture
def run(bench, new_state, small):
    """run(overrides, steps): a state after some steps, with the values of each."""

    def make(overrides, steps=1):
        state = new_state(small(**overrides))
        batches = [
            bench.train.take(step_indices(len(bench.train), state.config.train.batch_size, n, 0))
            for n in range(steps)
        ]
        return state, [
            train_step(state, bench.guide, batch, 10.0, measure=True) for batch in batches
        ]

    return make


@pytest.fixture
def seen_losses(monkeypatch):
    """The cosines and masks that the loss gets in a step, without those of the diagnostics."""
    seen = []
    original = contrast.compare_lines

    def watched(matcher, loss, *rest):
        def note(cosines, same, scale, bias):
            if cosines.requires_grad:
                seen.append((cosines.detach(), same, scale.detach(), bias.detach()))
            return loss.loss(cosines, same, scale, bias)

        return original(matcher, LineLoss(note, loss.learned_temperature, loss.learned_bias), *rest)

    monkeypatch.setattr("ganhtr.train.matcher_update.compare_lines", watched)
    return seen


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({}, {"proj": 1.0}),
        ({"anchor": "cnn"}, {"cnn": 1.0}),
        ({"anchor": "all"}, {"cnn": 1 / 3, "proj": 1 / 3, "encoder": 1 / 3}),
        ({"anchor": "all", "cnn_weight": 0.0, "proj_weight": 3.0}, {"proj": 0.75, "encoder": 0.25}),
    ],
)
def test_shares_sum_to_one(overrides, expected):
    contrastive = build_config(
        "tiny", {f"contrastive.{key}": value for key, value in overrides.items()}
    ).contrastive
    assert level_shares(contrastive) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("overrides", "columns"),
    [
        ({}, 4),
        ({"contrastive.negatives": "edited"}, 8),
        ({"contrastive.negatives": "degraded"}, 8),
        ({"contrastive.pooling": "window", "contrastive.windows": 3}, 12),
        (
            {
                "contrastive.pooling": "window",
                "contrastive.windows": 3,
                "contrastive.negatives": "edited",
            },
            24,
        ),
    ],
)
def test_candidates_are_the_texts_and_what_is_added(overrides, columns, run, seen_losses):
    run(overrides)
    ((cosines, same, _, _),) = seen_losses
    rows = 12 if "contrastive.windows" in overrides else 4
    assert cosines.shape == same.shape == (rows, columns)
    assert same[:, :rows].diagonal().all() and not same[:, rows:].any()


def test_edited_texts_are_harder_than_other_lines(run, seen_losses):
    run({"contrastive.negatives": "edited"}, steps=3)
    cosines = torch.stack([cosines for cosines, *_ in seen_losses])
    right, wrong = (
        cosines[:, :, :4].diagonal(dim1=1, dim2=2),
        cosines[:, :, 4:].diagonal(dim1=1, dim2=2),
    )
    other = cosines[:, :, :4][:, ~torch.eye(4, dtype=torch.bool)].view(3, 4, 3)
    assert (right - wrong).abs().mean() < (right[..., None] - other).abs().mean() and (
        right != wrong
    ).any()


def test_the_queue_fills_with_earlier_texts_and_knows_the_own_ones(run, seen_losses, pairs):
    state, _ = run({"contrastive.queue": 6, "train.batch_size": 4}, steps=4)
    in_batch, with_queue = seen_losses[::2], seen_losses[1::2]
    assert [cosines.shape[1] for cosines, *_ in in_batch] == [4, 4, 4, 4]
    assert [cosines.shape[1] for cosines, *_ in with_queue] == [4, 8, 10, 10]
    queue = state.matcher.levels["proj"].queue
    ids = [int(i) for n in range(4) for i in step_indices(len(pairs.train), 4, n, 0)]
    texts = [pairs.train.transcripts[i] for i in ids]
    numbers = {text: i for i, text in enumerate(dict.fromkeys(pairs.train.transcripts))}
    assert sorted(queue.contents()[1].tolist()) == sorted(numbers[text] for text in texts[-6:])
    second = with_queue[1][1]  # its queue holds the first batch
    assert second[:, 4:].tolist() == [
        [texts[4 + i] == texts[j] for j in range(4)] for i in range(4)
    ]


def test_a_queue_is_resumed_to_the_bit(run, new_state, bench, small, same_tensors, tmp_path):
    from ganhtr.train.checkpoint import read_checkpoint, restore_state, save_checkpoint

    overrides = {
        "contrastive.queue": 6,
        "head.kind": "mlp_bn",
        "contrastive.learned_temperature": True,
    }
    state, _ = run(overrides, steps=2)
    save_checkpoint(tmp_path / "c.pt", state, {})
    other = new_state(small(**overrides))
    restore_state(other, read_checkpoint(tmp_path / "c.pt", torch.device("cpu")))
    batch = bench.train.take(np.arange(4))
    a, b = (train_step(one, bench.guide, batch, 10.0) for one in (state, other))
    assert same_tensors(a, b) and same_tensors(
        state.matcher.state_dict(), other.matcher.state_dict()
    )


def test_shuffled_gives_every_line_another_lines_text(bench, small):
    config, batch = small(**{"contrastive.shuffled": True}), bench.train.take(np.arange(4))
    turns = []
    for step in range(12):
        texts = paired_texts(batch, config, step)
        order = [
            next(j for j in range(4) if batch.text_ids[j] == text_id)
            for text_id in texts.ids.tolist()
        ]
        assert all(i != j for i, j in enumerate(order)) and sorted(order) == [0, 1, 2, 3]
        assert torch.equal(texts.rows, batch.text[order]) and torch.equal(
            texts.lengths, batch.text_lengths[order]
        )
        turns.append(order[0])
    assert set(turns) == {1, 2, 3}
    plain = paired_texts(batch, small(), 0)
    assert plain.rows is batch.text and plain.ids is batch.text_ids


def test_shuffled_lines_cannot_be_matched_and_true_ones_can(run):
    """The matcher learns to match when the texts are the lines' own; the generator hardly moves."""

    def top1(shuffled):
        overrides = {
            "contrastive.shuffled": shuffled,
            "contrastive.weight": 1e-6,
            "text_encoder.dropout": 0.0,
            "train.contrastive_lr": 0.01,
            "train.generator_lr": 1e-7,
        }
        _, values = run(overrides, steps=80)
        return np.mean([v["retrieval_top1"].item() for v in values[-20:]])

    assert top1(False) > top1(True) + 0.15


def test_the_loss_of_several_levels_is_their_weighted_sum(run, seen_losses):
    _, (values,) = run(
        {
            "contrastive.anchor": "all",
            "contrastive.cnn_weight": 2.0,
            "contrastive.encoder_weight": 0.5,
        }
    )
    assert len(seen_losses) == 3
    losses = [infonce(cosines, same, scale).mean() for cosines, same, scale, _ in seen_losses]
    expected = sum(w * loss for w, loss in zip((2.0, 1.0, 0.5), losses, strict=True)) / 3.5
    assert values["contrastive"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("n", [2, 4, 16])
@pytest.mark.parametrize("temperature", [0.07, 0.5, 5.0])
def test_the_position_of_a_loss_is_0_at_a_simplex_and_1_at_chance(n, temperature):
    same, scale = torch.eye(n, dtype=torch.bool), torch.tensor(1 / temperature)
    at = lambda cosines: infonce(cosines, same, scale)  # noqa: E731
    points = F.normalize(torch.eye(n) - 1 / n, dim=1)  # a regular simplex
    best, chance = at(points @ points.t()).mean(), at(torch.full((n, n), 0.3)).mean()
    assert between_floor_and_chance(best, at, same).item() == pytest.approx(0, abs=1e-4)
    assert between_floor_and_chance(chance, at, same).item() == pytest.approx(1, rel=1e-4)
    assert chance.item() == pytest.approx(math.log(n), rel=1e-5)
    trained = torch.nn.Parameter(torch.randn(n, n, generator=torch.Generator().manual_seed(0)))
    optimizer = torch.optim.Adam([trained], 0.05)
    for _ in range(300):  # nothing that an optimiser finds lies below the floor
        unit = F.normalize(trained, dim=1)
        loss = at(unit @ F.normalize(torch.eye(n), dim=1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert between_floor_and_chance(loss.detach(), at, same).item() > -1e-4


def test_a_batch_of_one_text_has_no_position():
    same = torch.ones(3, 3, dtype=torch.bool)
    assert between_floor_and_chance(
        torch.tensor(0.0), lambda c: infonce(c, same, torch.tensor(5.0)), same
    ).isnan()


def test_labels_tell_texts_and_windows_apart():
    assert instance_labels(torch.tensor([5, 0, 5]), 2).tolist() == [10, 11, 0, 1, 10, 11]


@pytest.mark.parametrize(
    ("overrides", "candidates"),
    [
        ({}, [4]),
        ({"contrastive.negatives": "edited"}, [8]),
        ({"contrastive.queue": 256}, [4, 4]),
        ({"contrastive.pooling": "window", "contrastive.windows": 3}, [12]),
    ],
)
def test_siglip_starts_at_the_odds_of_a_random_candidate(overrides, candidates, run, seen_losses):
    run({"contrastive.formulation": "siglip", **overrides})
    biases = [bias.item() for *_, bias in seen_losses]
    assert biases == pytest.approx([-math.log(count - 1) for count in candidates])


@pytest.mark.parametrize("formulation", LINE_LOSSES)
def test_a_queue_does_not_keep_the_matcher_from_learning(formulation):
    """Sixty-four lines of fixed random features find their texts, with a queue as without.

    If positives come from another encoder than the negatives, the heads learn to tell the encoders
    apart, and top-1 stays at chance (0.125).
    """
    size = {"text_encoder.embedding": 16, "head.width": 32, "head.dim": 16}
    charset, rng = Charset("abcdefghijklmnopqrst"), torch.Generator().manual_seed(0)
    features_NTD = torch.randn(64, 6, 16, generator=rng)
    rows_NL = torch.randint(1, len(charset), (64, 5), generator=rng)
    frames_B, lengths_B = torch.full((8,), 6), torch.full((8,), 5)

    def top1(queue):
        overrides = {"contrastive.formulation": formulation, "contrastive.queue": queue}
        config = build_config("tiny", {**size, "text_encoder.dropout": 0.0, **overrides})
        matcher, loss = build_matcher(config, charset.tokens, {"proj": 16})
        optimizer = torch.optim.Adam(matcher.learned(), 0.005)
        order, found = torch.Generator().manual_seed(1), []
        for step in range(120):
            ids_B = torch.randperm(64, generator=order)[:8]
            texts, features = Texts(rows_NL[ids_B], lengths_B, ids_B), {"proj": features_NTD[ids_B]}
            compared = compare_lines(
                matcher, loss, config, charset, features, {}, frames_B, texts, step
            )
            optimizer.zero_grad()
            compared.loss.mean().backward()
            optimizer.step()
            matcher.after_update(compared.keys, ids_B, 0.999, step)
            found.append(compared.values["retrieval_top1"].item())
        return np.mean(found[-40:])

    without = top1(0)
    assert without > 0.4 and top1(64) > without - 0.1


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (
            {"contrastive.formulation": "ratio", "contrastive.shuffled": True},
            "contrastive.shuffled must be false with .* ratio",
        ),
        (
            {"contrastive.formulation": "frame", "contrastive.queue": 256},
            "contrastive.queue must be 0 with",
        ),
        (
            {"contrastive.formulation": "vicreg", "contrastive.negatives": "degraded"},
            "contrastive.negatives must be batch with",
        ),
        (
            {"contrastive.formulation": "frame", "contrastive.negatives": "edited"},
            "must be batch or degraded with",
        ),
        (
            {"contrastive.anchor": "all", "head.kind": "none"},
            "head.kind must not be none with contrastive.anchor all",
        ),
        (
            {"contrastive.anchor": "all", "head.shared": True},
            "head.shared must be false with contrastive.anchor all",
        ),
        (
            {
                "contrastive.anchor": "all",
                **{f"contrastive.{n}_weight": 0.0 for n in ("cnn", "proj", "encoder")},
            },
            "proj_weight and encoder_weight are all 0. Raise",
        ),
        (
            {"train.batch_size": 6, "train.micro_batch": 4},
            "train.batch_size must be a multiple of train.micro_batch.*got 6 and 4",
        ),
    ],
)
def test_knobs_that_mean_nothing_together_are_refused(overrides, fault):
    with pytest.raises(ConfigError, match=fault):
        build_config("tiny", overrides)
