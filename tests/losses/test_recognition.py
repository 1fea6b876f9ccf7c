"""Losses of the guide: features against a loop, CTC against all paths, the blank's index."""

import itertools
import math

import pytest
import torch

from ganhtr.losses.recognition import ctc, feature_distance, frame_mask

FRAMES = torch.tensor([4, 1, 3])


def test_the_mask_covers_each_lines_own_frames():
    assert frame_mask(FRAMES, 5).tolist() == [[t < frames for t in range(5)] for frames in FRAMES]


def test_feature_distance_is_that_of_a_naive_loop():
    torch.manual_seed(0)
    restored, clean = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    distances = feature_distance(restored, clean, FRAMES)
    for i, frames in enumerate(FRAMES):
        squares = [
            (restored[i, t, d] - clean[i, t, d]).item() ** 2
            for t in range(frames)
            for d in range(5)
        ]
        assert distances[i].item() == pytest.approx(sum(squares) / len(squares), rel=1e-12)
    restored[1, 1:], clean[2, 3:] = 1e3, -1e3
    assert torch.equal(feature_distance(restored, clean, FRAMES), distances)


def collapse(path):
    """CTC's rule: repeats are merged, then blanks (0) fall out."""
    return tuple(label for label, _ in itertools.groupby(path) if label)


def by_all_paths(probabilities_TK, target):
    """-log of the summed probability of all paths that spell `target`; infinite without any."""
    frames, classes = probabilities_TK.shape
    total = sum(
        math.prod(probabilities_TK[t, label].item() for t, label in enumerate(path))
        for path in itertools.product(range(classes), repeat=frames)
        if collapse(path) == target
    )
    return -math.log(total) if total else math.inf


TARGETS = ((), (1,), (2,), (1, 1), (1, 2), (2, 1), (2, 2, 1), (1, 2, 1), (1, 2, 2, 1), (1, 1, 1))
CASES = [(target, frames) for target in TARGETS for frames in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def ctc_case():
    """Logits (B, 5, 3) in float64, the last frame outside all lines; CTC by enumeration."""
    logits = 2 * torch.randn(
        len(CASES), 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    expected = [
        by_all_paths(line[:frames].softmax(dim=1), target)
        for line, (target, frames) in zip(logits, CASES, strict=True)
    ]
    return logits.requires_grad_(), torch.tensor(expected, dtype=torch.float64)


def run_ctc(logits, cases):
    labels = torch.tensor([label for target, _ in cases for label in target], dtype=torch.long)
    frames, lengths = (
        torch.tensor(column) for column in zip(*((f, len(t)) for t, f in cases), strict=True)
    )
    return ctc(logits, frames, labels, lengths)


def test_ctc_is_the_sum_over_all_paths(ctc_case):
    logits, expected = ctc_case
    losses = run_ctc(logits, CASES)
    feasible = expected.isfinite()
    assert losses.shape == (len(CASES),) and 8 < int((~feasible).sum()) < len(CASES) / 2
    assert torch.allclose(losses[feasible], expected[feasible], rtol=1e-9)


def test_a_line_that_its_frames_cannot_spell_gives_zero_and_no_gradient(ctc_case):
    logits, expected = ctc_case
    losses = run_ctc(logits, CASES)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    feasible = expected.isfinite()
    assert (losses[~feasible] == 0).all() and (gradient[~feasible] == 0).all()
    assert gradient.isfinite().all() and (gradient[feasible].abs().sum(dim=(1, 2)) > 1e-3).all()


def test_the_gradient_is_that_of_the_enumeration_and_stays_inside_the_line(ctc_case):
    logits, expected = ctc_case
    i = CASES.index(((1, 2), 3))
    (gradient,) = torch.autograd.grad(run_ctc(logits, CASES).sum(), logits)
    assert all((gradient[j, frames:] == 0).all() for j, (_, frames) in enumerate(CASES))
    for t, k in itertools.product(range(3), range(3)):
        nudged = logits[i].detach().clone()
        nudged[t, k] += 1e-6
        slope = (by_all_paths(nudged[:3].softmax(dim=1), (1, 2)) - expected[i].item()) / 1e-6
        assert gradient[i, t, k].item() == pytest.approx(slope, abs=1e-4)


def test_a_line_does_not_depend_on_the_others(ctc_case):
    logits, _ = ctc_case
    together = run_ctc(logits, CASES)
    for i in (3, 17, 30):
        assert torch.allclose(
            run_ctc(logits[i : i + 1], CASES[i : i + 1])[0], together[i], rtol=1e-12
        )


def test_the_convention_of_the_blank():
    """A certain recognizer costs < 5 nats with blank 0, > 500 with the last class as blank.

    The experiment's first fault: its recognizer gave character i the class i - 1 and the blank
    class 108; the loss took 0 for the blank and i for the character, and its value, clipped, had no
    gradient.
    """
    characters, frames = 108, 128
    text = [1 + (37 * i) % characters for i in range(33)]
    spelt = [0] * frames
    for i, character in enumerate(text):
        spelt[3 * i], spelt[3 * i + 1] = character, character
    margin = math.log(0.99 / (0.01 / characters))  # 99 % in every frame
    labels, lengths = torch.tensor(text), torch.tensor([33])

    def loss_of(classes):
        logits = (
            margin * torch.nn.functional.one_hot(torch.tensor([classes]), characters + 1).float()
        )
        return ctc(logits, torch.tensor([frames]), labels, lengths).item()

    assert 0 < loss_of(spelt) < 5
    assert 500 < loss_of([label - 1 if label else characters for label in spelt]) < math.inf
