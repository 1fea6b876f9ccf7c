"""Learning rates: the factor at every step, the plateau, and the same rates after a resume."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganhtr.config import build_config
from ganhtr.train.schedule import Schedule


def schedule(kind="constant", epochs=4, steps=5, warmup=0.0):
    return Schedule(
        build_config(
            "tiny",
            {
                "train.schedule": kind,
                "train.epochs": epochs,
                "train.steps_per_epoch": steps,
                "train.warmup_epochs": warmup,
            },
        ).train
    )


def optimizers():
    torch.manual_seed(0)
    a, b = torch.nn.Linear(3, 2), torch.nn.Linear(2, 1)
    return {
        "generator": torch.optim.Adam(a.parameters(), lr=0.002, fused=True),
        "discriminator": torch.optim.SGD(
            [{"params": [b.weight]}, {"params": [b.bias], "lr": 0.7}], lr=0.1, momentum=0.9
        ),
    }


def rates(optimizers_by_name):
    return [
        group["lr"] for optimizer in optimizers_by_name.values() for group in optimizer.param_groups
    ]


def test_constant_leaves_every_rate_as_it_is():
    optimizers_by_name = optimizers()
    before = rates(optimizers_by_name)
    for step in range(30):
        schedule().apply(optimizers_by_name, step)
        assert rates(optimizers_by_name) == before == [0.002, 0.1, 0.7]


def test_a_cosine_falls_from_one_to_just_above_zero():
    assert [schedule("cosine").factor(step) for step in range(20)] == pytest.approx(
        [(1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)]
    )
    assert schedule("cosine").factor(0) == 1 and schedule("cosine").factor(10) == pytest.approx(0.5)
    assert schedule("cosine", epochs=10_000, steps=1000).factor(10**7 - 1) > 0


@pytest.mark.parametrize("kind", ["constant", "cosine", "plateau"])
def test_warm_up_rises_in_equal_steps_from_nothing_to_one(kind):
    warm = schedule(kind, warmup=1.8)  # 9 of 20 steps
    assert [warm.factor(step) for step in range(10)] == pytest.approx(
        [(step + 1) / 10 for step in range(10)]
    )
    assert warm.factor(9) == 1
    rest = [warm.factor(step) for step in range(9, 20)]
    assert rest == (
        pytest.approx([(1 + math.cos(math.pi * i / 11)) / 2 for i in range(11)])
        if kind == "cosine"
        else [1] * 11
    )


@given(
    st.sampled_from(["constant", "cosine"]), st.integers(1, 9), st.integers(1, 9), st.floats(0, 12)
)
def test_the_factor_rises_then_falls_and_is_never_zero(kind, epochs, steps, warmup):
    one = schedule(kind, epochs, steps, warmup)
    values = [one.factor(step) for step in range(epochs * steps)]
    assert all(0 < value <= 1 for value in values)
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1]) and values[top:] == sorted(
        values[top:], reverse=True
    )
    assert values == [one.factor(step) for step in range(epochs * steps)]
    largest = max(
        1 / (warmup * steps + 1), math.pi / 2 / max(1, epochs * steps - warmup * steps)
    )  # of the two slopes
    assert all(abs(a - b) <= largest + 1e-9 for a, b in pairwise(values))


@pytest.mark.parametrize(
    ("psnrs", "halvings"),
    [
        ([10, 11, 12, 13, 14], [0, 0, 0, 0, 0]),
        ([10, 10, 10, 10, 10, 10, 10], [0, 0, 0, 1, 1, 1, 2]),
        ([10, 10.01, 10.01, 10.01], [0, 0, 0, 1]),  # exactly 0.01 is no gain
        (
            [10, 10.005, 10.0099, 10.0111, 10.02, 10.02, 10.02],
            [0, 0, 0, 0, 0, 0, 1],
        ),  # small steps add up to one
        ([10, 9, 10, 9.9, 11, 3, 3, 3], [0, 0, 0, 1, 1, 1, 1, 2]),
        ([10, 9, 9, 11, 9, 9, 12], [0, 0, 0, 0, 0, 0, 0]),
        ([math.nan, math.nan, math.nan, 10], [0, 0, 1, 1]),
    ],
)
def test_a_plateau_halves_after_three_epochs_without_a_gain(psnrs, halvings):
    plateau, others = schedule("plateau"), [schedule(), schedule("cosine")]
    before = [other.factor(7) for other in others]
    for psnr, expected in zip(psnrs, halvings, strict=True):
        for one in (plateau, *others):
            one.observe(psnr)
        assert plateau.factor(7) == 0.5**expected
    assert [other.factor(7) for other in others] == before


def test_every_group_keeps_its_own_rate():
    optimizers_by_name, plateau = optimizers(), schedule("plateau", warmup=0.4)
    for _ in range(4):
        plateau.observe(1.0)
    for step in (0, 0, 1, 9, 9):
        plateau.apply(optimizers_by_name, step)
        assert rates(optimizers_by_name) == pytest.approx(
            [base * min(1, (step + 1) / 3) / 2 for base in (0.002, 0.1, 0.7)]
        )


@pytest.mark.parametrize(
    ("kind", "warmup"), [("constant", 0.0), ("constant", 1.3), ("cosine", 0.7), ("plateau", 1.0)]
)
@pytest.mark.parametrize("stop", [0, 1, 3, 5, 12, 19])
def test_a_resumed_run_has_the_same_rates(kind, warmup, stop, tmp_path):
    psnrs = [10, 10, 10, 10]

    def run(one, optimizers_by_name, steps):
        seen = []
        for step in steps:
            one.apply(optimizers_by_name, step)
            seen.append(rates(optimizers_by_name))
            if step % 5 == 4:
                one.observe(psnrs[step // 5])
        return seen

    whole = run(schedule(kind, warmup=warmup), optimizers(), range(20))
    one, optimizers_by_name = schedule(kind, warmup=warmup), optimizers()
    first = run(one, optimizers_by_name, range(stop))
    torch.save(
        [one.state_dict(), {name: o.state_dict() for name, o in optimizers_by_name.items()}],
        tmp_path / "held",
    )
    kept, states = torch.load(tmp_path / "held", weights_only=True)
    again, fresh = schedule(kind, warmup=warmup), optimizers()
    again.load_state_dict(kept)
    for name, optimizer in fresh.items():
        optimizer.load_state_dict(states[name])
    assert first + run(again, fresh, range(stop, 20)) == whole


def test_rates_of_a_run_saved_before_there_was_a_schedule_are_whole():
    optimizers_by_name, cosine = optimizers(), schedule("cosine")
    before = {
        name: copy.deepcopy(optimizer.state_dict())
        for name, optimizer in optimizers_by_name.items()
    }
    cosine.apply(optimizers_by_name, 15)
    for name, optimizer in optimizers_by_name.items():
        optimizer.load_state_dict(before[name])
    cosine.apply(optimizers_by_name, 10)
    assert rates(optimizers_by_name) == pytest.approx([0.001, 0.05, 0.35])


def test_the_state_is_plain_and_whole():
    plateau = schedule("plateau")
    for psnr in (10, 9, 9, 9, 8, 8):
        plateau.observe(psnr)
    assert plateau.state_dict() == {"best": 10, "stale": 2, "halvings": 1}
    again = schedule("plateau")
    again.load_state_dict(plateau.state_dict())
    again.observe(8)
    assert again.factor(0) == 0.25 and plateau.factor(0) == 0.5
