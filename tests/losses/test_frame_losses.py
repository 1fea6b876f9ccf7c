"""Frame losses against naive loops and a library, and one contract for all of the table."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import VICRegLoss

from ganhtr.config import build_config
from ganhtr.config_sections import FRAME_LOSSES
from ganhtr.losses.contrastive import formulation
from ganhtr.losses.contrastive.frame import frame_nce
from ganhtr.losses.contrastive.ratio import ratio
from ganhtr.losses.contrastive.vicreg import vicreg

FRAMES = torch.tensor([5, 3, 1])
SCALE = torch.tensor(4.0, dtype=torch.float64)
LOSSES = {
    name: formulation(build_config("tiny", {"contrastive.formulation": name}).contrastive).loss
    for name in FRAME_LOSSES
}
LOSSES["frame without degraded frames"] = lambda r, c, d, f, s: frame_nce(r, c, None, f, s)


@pytest.fixture
def sides():
    """restored, clean, degraded (3, 5, 4)."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 5, 4, dtype=torch.float64, generator=generator) for _ in range(3)]


@pytest.fixture(params=LOSSES)
def loss(request):
    return LOSSES[request.param]


def frames_of(side, i):
    return [row.tolist() for row in side[i, : FRAMES[i]]]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def test_ratio_is_that_of_a_naive_loop(sides):
    def distance(a, b):
        return sum(
            abs(x - y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)
        ) / (len(a) * len(a[0]))

    expected = [
        distance(frames_of(sides[0], i), frames_of(sides[1], i))
        / (distance(frames_of(sides[0], i), frames_of(sides[2], i)) + 1e-7)
        for i in range(3)
    ]
    assert ratio(*sides, FRAMES, SCALE).tolist() == pytest.approx(expected, rel=1e-9)


def test_ratio_is_0_at_the_clean_line_and_finite_at_the_degraded_one(sides):
    _, clean, degraded = sides
    assert ratio(clean, clean, degraded, FRAMES, SCALE).tolist() == [0, 0, 0]
    there = degraded.clone().requires_grad_()
    values = ratio(there, clean, degraded, FRAMES, SCALE)
    assert values.isfinite().all() and (values > 1e3).all()
    assert torch.autograd.grad(values.sum(), there)[0].isfinite().all()


@pytest.mark.parametrize("twins", [False, True])
def test_frame_nce_is_that_of_a_naive_loop(sides, twins):
    restored, clean, degraded = sides
    expected = []
    for i in range(3):
        losses = []
        for t, query in enumerate(frames_of(restored, i)):
            keys = [math.exp(4 * cosine(query, key)) for key in frames_of(clean, i)]
            extra = math.exp(4 * cosine(query, frames_of(degraded, i)[t])) if twins else 0
            losses.append(-math.log(keys[t] / (sum(keys) + extra)))
        expected.append(sum(losses) / len(losses))
    assert frame_nce(
        restored, clean, degraded if twins else None, FRAMES, SCALE
    ).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_frame_nce_knows_its_place(sides):
    restored, clean, _ = sides
    right = frame_nce(clean, clean, None, FRAMES, SCALE)
    turned = frame_nce(clean.roll(1, dims=1), clean, None, torch.tensor([5, 5, 5]), SCALE)
    assert (
        (right[:2] < frame_nce(restored, clean, None, FRAMES, SCALE)[:2]).all()
        and right[2] == 0
        and (turned > 1).all()
    )


def test_vicreg_is_that_of_the_library(sides):
    restored, clean, _ = sides
    frames = torch.full((3,), 5)
    expected = VICRegLoss(eps=1e-4)(restored.reshape(15, 4), ref_emb=clean.reshape(15, 4))
    assert vicreg(restored, clean, None, frames, SCALE).mean().item() == pytest.approx(
        expected.item(), rel=1e-6
    )


def test_vicreg_is_that_of_a_naive_loop(sides):
    restored, clean, _ = sides
    spread = 0.0
    for side in (restored, clean):
        rows = [row for i in range(3) for row in frames_of(side, i)]
        n, d = len(rows), 4
        means = [sum(row[j] for row in rows) / n for j in range(d)]
        c = [
            [
                sum((row[j] - means[j]) * (row[k] - means[k]) for row in rows) / (n - 1)
                for k in range(d)
            ]
            for j in range(d)
        ]
        spread += 25 * sum(max(0.0, 1 - math.sqrt(c[j][j] + 1e-4)) for j in range(d)) / d / 2
        spread += sum(c[j][k] ** 2 for j in range(d) for k in range(d) if j != k) / d
    apart = [
        sum(
            (x - y) ** 2
            for a, b in zip(frames_of(restored, i), frames_of(clean, i), strict=True)
            for x, y in zip(a, b, strict=True)
        )
        / (4 * int(FRAMES[i]))
        for i in range(3)
    ]
    assert vicreg(restored, clean, None, FRAMES, SCALE).tolist() == pytest.approx(
        [25 * a + spread for a in apart], rel=1e-9
    )


def test_vicreg_of_one_frame_has_no_spread():
    x = torch.ones(1, 2, 3)
    assert vicreg(x, x + 1, None, torch.tensor([1]), SCALE).tolist() == [25.0]


def test_frames_beyond_a_lines_width_have_no_influence(loss, sides):
    values = loss(*sides, FRAMES, SCALE)
    changed = [side.clone() for side in sides]
    for side in changed:
        for i, frames in enumerate(FRAMES):
            side[i, frames:] = 99
        side.requires_grad_()
    again = loss(*changed, FRAMES, SCALE)
    assert again.shape == (3,) and torch.allclose(values, again, rtol=1e-12)
    again.sum().backward()
    assert all(
        not side.grad[i, frames:].any()
        for side in changed
        if side.grad is not None
        for i, frames in enumerate(FRAMES)
    )
    assert changed[0].grad[0].any()


def test_gradients_are_those_of_finite_differences(loss, sides):
    restored = sides[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda r: loss(r, *sides[1:], FRAMES, SCALE), (restored,))


def test_the_order_of_lines_is_of_no_matter(loss, sides):
    order = torch.tensor([2, 0, 1])
    assert torch.allclose(
        loss(*[side[order] for side in sides], FRAMES[order], SCALE),
        loss(*sides, FRAMES, SCALE)[order],
        rtol=1e-12,
    )
