"""Pretraining of the matcher on clean lines, and a matcher that stays as it is."""

import pytest
import torch

from ganhtr.config import ConfigError, build_config
from ganhtr.train.finite import Diverged
from ganhtr.train.fit import fit
from ganhtr.train.pretraining import pretrain_matcher

LEARNING = {"text_encoder.dropout": 0.0, "train.contrastive_lr": 0.01}


def copy_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_the_matcher_learns_from_clean_lines_and_nothing_else_changes(
    bench, new_state, small, same_tensors
):
    state = new_state(small(**LEARNING, **{"contrastive.pretrain": 150}))
    others = [copy_of(part) for part in (state.generator, state.discriminator)]
    pretrain_matcher(state, state.matcher, bench.guide, bench.train)
    assert same_tensors(others, [copy_of(part) for part in (state.generator, state.discriminator)])
    assert state.step == 0 and state.matcher.pretrain_top1 > 0.6, "chance is a quarter"


def test_what_was_pretrained_is_reported_and_repeats_to_the_bit(
    bench, new_state, small, same_tensors
):
    config = small(**{"contrastive.pretrain": 12, "contrastive.negatives": "edited"})
    first, second = new_state(config), new_state(config)
    (report, *_), (again, *_) = (list(fit(state, bench)) for state in (first, second))
    assert same_tensors(copy_of(first.matcher), copy_of(second.matcher))
    assert report.steps == again.steps
    top1 = first.matcher.pretrain_top1.item()
    assert report.metrics()["pretrain_top1"] == pytest.approx(top1) and 0 <= top1 <= 1
    plain = new_state(small(**{"contrastive.negatives": "edited"}))
    (without, *_) = fit(plain, bench)
    assert "pretrain_top1" not in without.steps
    assert without.steps["contrastive"] != report.steps["contrastive"]


def test_pretraining_that_diverges_ends_the_trial(bench, new_state, small):
    state = new_state(small(**{"contrastive.pretrain": 3}))
    with torch.no_grad():
        next(state.matcher.text_encoder.parameters()).fill_(torch.nan)
    with pytest.raises(Diverged, match="contrastive was not finite in pretraining, step 1"):
        next(fit(state, bench))


@pytest.mark.parametrize("queue", [0, 6])
def test_a_frozen_matcher_stays_as_pretraining_made_it_and_still_teaches(
    queue, bench, new_state, small, same_tensors
):
    pretrained = {"contrastive.pretrain": 4, "contrastive.queue": queue, "head.kind": "mlp_bn"}
    state = new_state(small(**pretrained, **{"contrastive.frozen": True}))
    reports = fit(state, bench)
    next(reports)
    learned = [parameter.clone() for parameter in state.matcher.learned()]
    state_before = state.generator.encoder[0][0][1].weight.clone()
    report = next(reports)
    assert same_tensors(learned, [parameter.detach() for parameter in state.matcher.learned()])
    assert "matcher_norm" not in report.steps and report.steps["contrastive_ratio"][0] > 0
    assert not torch.equal(state_before, state.generator.encoder[0][0][1].weight)


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        ({"contrastive.frozen": True}, "contrastive.frozen needs a matcher that was trained"),
        (
            {"contrastive.formulation": "frame", "contrastive.pretrain": 5},
            "contrastive.pretrain must be 0 with contrastive.formulation frame",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(overrides, fault):
    with pytest.raises(ConfigError, match=fault):
        build_config("tiny", overrides)
