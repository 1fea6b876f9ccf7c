"""Gradient accumulation: the update of the whole batch, except for batch norm's statistics."""

import numpy as np
import pytest
import torch
from torch import nn

from ganhtr.train.step import train_step

ARMS = {
    "off": {"contrastive.formulation": "none"},
    "infonce": {"contrastive.weight": 50.0},
    "three levels, twins, queue": {
        "contrastive.anchor": "all",
        "contrastive.negatives": "degraded",
        "contrastive.queue": 8,
    },
    "frame": {"contrastive.formulation": "frame", "contrastive.weight": 50.0},
    "vicreg": {"contrastive.formulation": "vicreg", "contrastive.weight": 5.0},
    "predicted texts": {"train.discriminator_text": "predicted"},
}
FREE = {
    "train.clip_norm": 1e6,
    "train.contrastive_clip_norm": 1e6,
    "text_encoder.dropout": 0.0,
    "train.batch_size": 8,
}


class Fixed(nn.Module):
    """A normalisation that does not look at the batch."""

    def forward(self, x):
        return 0.9 * x


def without_batch_norm(module):
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, Fixed())
        else:
            without_batch_norm(child)


@pytest.fixture
def step_of(bench, new_state, small):
    """step_of(overrides, parts): a state after one step, and what it measured."""

    def make(overrides, parts, batch_norm=False):
        state = new_state(small(**FREE, **overrides, **{"train.micro_batch": 8 // parts}))
        if not batch_norm:
            without_batch_norm(state.generator)
            without_batch_norm(state.discriminator)
        return state, train_step(
            state, bench.guide, bench.train.take(np.arange(8)), 10.0, measure=True
        )

    return make


@pytest.mark.parametrize("parts", [2, 4, 8])
@pytest.mark.parametrize("arm", ARMS)
def test_without_batch_norm_the_gradients_are_those_of_the_large_batch(arm, parts, step_of):
    whole, whole_values = step_of(ARMS[arm], 1)
    cut, cut_values = step_of(ARMS[arm], parts)
    for name, module in whole.modules().items():
        ours = dict(cut.modules()[name].named_parameters())
        for key, parameter in module.named_parameters():
            if parameter.grad is not None:
                scale = parameter.grad.abs().max().clamp(min=1e-3)
                assert ((ours[key].grad - parameter.grad).abs().max() / scale) < 2e-3, (name, key)
    assert whole_values.keys() == cut_values.keys()
    for name in set(whole_values) - {"contrastive_ratio"}:
        assert cut_values[name].item() == pytest.approx(
            whole_values[name].item(), rel=2e-4, abs=1e-5
        ), name


def test_with_batch_norm_the_statistics_are_those_of_each_part_and_taken_once(step_of):
    state, _ = step_of(ARMS["off"], 4, batch_norm=True)
    norms = [m for m in state.generator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and all(norm.num_batches_tracked == 4 for norm in norms)
    whole, _ = step_of(ARMS["off"], 1, batch_norm=True)
    assert not all(
        torch.allclose(a, b)
        for a, b in zip(whole.generator.parameters(), state.generator.parameters(), strict=True)
    )


def test_parts_hold_less_memory_at_once(bench, new_state, small):
    def peak(parts):
        state = new_state(small(**FREE, **{"train.micro_batch": 8 // parts}))
        saved, most = {}, [0]

        def pack(tensor):
            key = (tensor.data_ptr(), tensor.numel())
            saved[key] = saved.get(key, 0) + 1
            most[0] = max(most[0], sum(n * 4 for (_, n) in saved))
            return key, tensor

        def unpack(packed):
            saved.pop(packed[0], None)
            return packed[1]

        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            train_step(state, bench.guide, bench.train.take(np.arange(8)), 10.0)
        return most[0]

    assert peak(4) < 0.6 * peak(1)


@pytest.mark.parametrize("micro", [0, 8, 100])
def test_a_micro_batch_that_is_not_smaller_changes_nothing(
    micro, bench, new_state, small, step_of, same_tensors
):
    state = new_state(small(**FREE, **{"train.micro_batch": micro}))
    values = train_step(state, bench.guide, bench.train.take(np.arange(8)), 10.0, measure=True)
    whole, expected = step_of({}, 1, batch_norm=True)
    assert same_tensors(values, expected) and same_tensors(
        state.generator.state_dict(), whole.generator.state_dict()
    )
