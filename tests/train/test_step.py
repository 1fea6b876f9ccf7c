"""The training step: equal random numbers across arms, correct gradients, correct metrics."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganhtr.data.batches import LineBatches, step_indices
from ganhtr.seeds import derive_seed
from ganhtr.train import step as step_module
from ganhtr.train.contrast import length_top1, retrieval_top1
from ganhtr.train.discriminator_update import (
    DiscriminatorTexts,
    read_indices,
    update_discriminator,
)
from ganhtr.train.fit import Bench
from ganhtr.train.matcher_update import update_matcher
from ganhtr.train.state import build_state
from ganhtr.train.step import train_step
from ganhtr.train.view import restore

CPU = torch.device("cpu")
OFF = {"contrastive.formulation": "none"}
ARMS = {
    "infonce, mlp": {},
    "infonce, no head": {"head.kind": "none"},
    "infonce, linear, learned": {"head.kind": "linear", "contrastive.learned_temperature": True},
    "infonce, symmetric, batch norm": {
        "contrastive.symmetric": True,
        "head.kind": "mlp_bn",
        "head.layers": 2,
    },
    "infonce, one residual head": {"head.kind": "residual", "head.shared": True},
    "clip": {"contrastive.formulation": "clip", "contrastive.weight": 30.0},
    "clip, predicted": {"contrastive.formulation": "clip", "train.discriminator_text": "predicted"},
    "dcl, windows": {
        "contrastive.formulation": "dcl",
        "contrastive.pooling": "window",
        "contrastive.windows": 3,
    },
    "siglip, attention, queue": {
        "contrastive.formulation": "siglip",
        "contrastive.pooling": "attention",
        "contrastive.queue": 6,
    },
    "triplet, edited texts": {
        "contrastive.formulation": "triplet",
        "contrastive.negatives": "edited",
        "contrastive.margin": 1.0,
    },
    "supcon, degraded twins, encoder": {
        "contrastive.formulation": "supcon",
        "contrastive.negatives": "degraded",
        "contrastive.anchor": "encoder",
    },
    "infonce, three levels, queue": {
        "contrastive.anchor": "all",
        "contrastive.queue": 5,
        "contrastive.cnn_weight": 0.5,
    },
    "infonce, shuffled, windows, queue": {
        "contrastive.shuffled": True,
        "contrastive.pooling": "window",
        "contrastive.queue": 64,
    },
    "ratio": {"contrastive.formulation": "ratio"},
    "ratio, three levels": {"contrastive.formulation": "ratio", "contrastive.anchor": "all"},
    "frame": {"contrastive.formulation": "frame", "contrastive.anchor": "cnn"},
    "frame, degraded twins": {
        "contrastive.formulation": "frame",
        "contrastive.negatives": "degraded",
        "head.kind": "mlp_bn",
    },
    "vicreg": {"contrastive.formulation": "vicreg", "head.kind": "none"},
}
UNCLIPPED = {
    "train.clip_norm": 1e6,
    "train.contrastive_clip_norm": 1e6,
    "text_encoder.dropout": 0.0,
}


def update_without_gradient(*arguments):
    """The matcher's update, with a gradient of zero at the guide's features."""
    gradients, values = update_matcher(*arguments)
    return {name: torch.zeros_like(gradient) for name, gradient in gradients.items()}, values


@pytest.fixture
def trained(bench, new_state, small, monkeypatch):
    """trained(overrides): a state after some steps, and what each step measured."""

    def train(overrides, steps=3, cut=False):
        update = update_without_gradient if cut else update_matcher
        monkeypatch.setattr(step_module, "update_matcher", update)
        state = new_state(small(**overrides))
        measured = []
        for number in range(steps):
            indices = step_indices(
                len(bench.train), state.config.train.batch_size, number, state.config.train.seed
            )
            measured.append(
                train_step(state, bench.guide, bench.train.take(indices), 10.0, measure=number == 0)
            )
        return state, measured

    return train


def shared(state):
    """Weights, buffers and moments of both networks, which the OFF arm and every ON arm have."""
    return {
        name: [module.state_dict(), state.optimizers[name].state_dict()]
        for name, module in state.modules().items()
        if name != "matcher"
    }


@pytest.mark.parametrize("arm", ARMS)
def test_the_arms_differ_by_the_contrastive_gradient_alone(arm, trained, same_tensors):
    text = {"train.discriminator_text": ARMS[arm].get("train.discriminator_text", "ground_truth")}
    off, _ = trained({**OFF, **text})
    cut, _ = trained(ARMS[arm], cut=True)
    on, measured = trained(ARMS[arm])
    assert same_tensors(shared(off), shared(cut))
    assert not same_tensors(shared(off)["generator"], shared(on)["generator"])
    assert all(
        values["contrastive"].isfinite() and values["contrastive"] != 0 for values in measured
    )
    assert measured[0]["contrastive_ratio"] > 0
    assert off.matcher is None and "matcher" not in off.optimizers
    learned = cut.matcher.learned()
    fresh = trained(ARMS[arm], steps=0)[0].matcher.learned()
    assert all(
        not torch.equal(a, b) for a, b in zip(learned, fresh, strict=True) if a.grad.any()
    ) and len(learned) == len(fresh)


@pytest.mark.parametrize("overrides", [OFF, {}], ids=["off", "on"])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(overrides, trained, same_tensors):
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(runs))
        np.random.seed(len(runs))
        state, measured = trained({**overrides, "train.seed": seed})
        runs.append(
            ({name: module.state_dict() for name, module in state.modules().items()}, measured)
        )
    assert same_tensors(runs[0], runs[1])
    for name in runs[0][0]:
        assert not same_tensors(runs[0][0][name], runs[2][0][name])


def test_dropout_depends_on_the_step_alone(bench, new_state, small):
    losses = []
    for steps in (0, 1, 1):
        state = new_state(small(**{"text_encoder.dropout": 0.5}))
        state.step = steps
        losses.append(
            train_step(state, bench.guide, bench.train.take(np.arange(4)), 10.0)[
                "contrastive"
            ].item()
        )
    assert losses[1] == losses[2] != losses[0]


@pytest.mark.parametrize("kind", ["crnn", "transformer"])
def test_the_guide_stays_frozen_in_eval_mode(kind, small, pairs, make_inputs, same_tensors):
    config = small(**{"guide.kind": kind, "guide.dropout": 0.5})
    bench = Bench.of(make_inputs(config, pairs), CPU)
    before = copy.deepcopy(bench.guide.state_dict())
    state = build_state(config, pairs.charset, bench.guide.widths, CPU)
    for _ in range(2):
        train_step(state, bench.guide, bench.train.take(np.arange(4)), 10.0, measure=True)
    assert same_tensors(before, bench.guide.state_dict())
    assert not any(module.training for module in bench.guide.modules())
    assert all(p.grad is None and not p.requires_grad for p in bench.guide.parameters())
    assert state.generator.training and state.discriminator.training and state.matcher.training


@pytest.mark.parametrize(
    ("overrides", "looks"),
    [
        (OFF, 2),
        ({"train.discriminator_text": "predicted"}, 2),
        ({"contrastive.formulation": "frame"}, 2),
        ({"contrastive.formulation": "ratio"}, 3),
        ({"contrastive.negatives": "degraded"}, 3),
    ],
)
def test_the_guide_looks_at_each_image_once_a_step(
    overrides, looks, bench, new_state, small, monkeypatch
):
    """Restored and clean lines, degraded ones if the loss needs them; clean ones only uncached."""
    seen = []
    trunk = type(bench.guide).trunk
    batch = bench.train.take(np.arange(4))
    tap = bench.guide.tap(batch.clean)
    monkeypatch.setattr(
        type(bench.guide), "trunk", lambda guide, image: seen.append(image) or trunk(guide, image)
    )
    for cached in (None, tap):
        seen.clear()
        values = train_step(
            new_state(small(**overrides)), bench.guide, replace(batch, clean_tap=cached), 10.0
        )
        assert len(seen) == looks - (cached is not None) and values["total"].isfinite()


def test_weight_zero_is_off(trained, same_tensors):
    off, off_measured = trained(OFF)
    zero, zero_measured = trained({"contrastive.weight": 0.0})
    assert same_tensors(shared(off), shared(zero))
    assert same_tensors(off_measured, zero_measured)
    assert not zero.optimizers["matcher"].state


def naive_discriminator_loss(discriminator, clean, restored, batch):
    """Cross-entropy written out: targets .9 and 0, half each, averaged over the batch."""
    real = discriminator(clean, batch.text, batch.text_lengths)
    fake = discriminator(restored, batch.text, batch.text_lengths)
    real_loss = -(0.9 * F.logsigmoid(real) + 0.1 * F.logsigmoid(-real))
    return sum((real_loss - F.logsigmoid(-fake)) / 2) / len(batch)


def naive_parts(state, guide, batch, restored):
    """Every loss of the generator, line by line, over the pixels, frames and characters of each."""
    parts = {"pixel": 0.0, "feature": 0.0, "ctc": 0.0, "adversarial": 0.0}
    tap, clean_tap = guide.tap(restored), guide.tap(batch.clean)
    logits = guide.read(tap)
    verdicts = state.discriminator(restored, batch.text, batch.text_lengths)
    images, texts, first = [], [], 0
    for i, width in enumerate(batch.widths.tolist()):
        frames, length = math.ceil(width / guide.stride), int(batch.target_lengths[i])
        target = batch.targets[first : first + length]
        first += length
        parts["pixel"] += (restored[i, 0, :, :width] - batch.clean[i, 0, :, :width]).abs().mean()
        parts["feature"] += F.mse_loss(tap[i, :frames], clean_tap[i, :frames])
        parts["ctc"] += F.ctc_loss(
            logits[i, :frames].log_softmax(1), target, [frames], [length], reduction="sum"
        )
        parts["adversarial"] += -(
            0.9 * F.logsigmoid(verdicts[i]) + 0.1 * F.logsigmoid(-verdicts[i])
        )
        images.append(tap[i, :frames].mean(0))
        texts.append(batch.text[i : i + 1, : batch.text_lengths[i]])
    if state.matcher is not None:
        matcher = state.matcher
        level = matcher.levels["proj"]
        image = level.image_head(torch.stack(images))
        text = level.text_head(
            torch.cat(
                [matcher.text_encoder(t, torch.tensor([t.shape[1]])).mean(dim=1) for t in texts]
            )
        )
        cosines = (
            F.cosine_similarity(image[:, None], text[None], dim=2)
            / state.config.contrastive.temperature
        )
        loss = 0.0
        for i in range(len(batch)):
            others = [j for j in range(len(batch)) if j == i or not batch.same[i, j]]
            loss -= cosines[i, i] - torch.stack([cosines[i, j] for j in others]).logsumexp(0)
        parts["contrastive"] = loss
    return {name: part / len(batch) for name, part in parts.items()}


def gradients(module):
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.requires_grad])


def near(a, b):
    assert (a - b).norm() <= 1e-4 * b.norm(), ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("overrides", [OFF, {"contrastive.weight": 70.0}], ids=["off", "on"])
def test_the_gradients_are_those_of_the_whole_written_out(overrides, bench, new_state, small):
    config = small(**overrides, **UNCLIPPED, **{"loss.adversarial": 0.5})
    state, naive = new_state(config), new_state(config)
    batch = bench.train.take(np.array([0, 1, 3, 4]))  # 0 and 4 have equal transcriptions
    values = train_step(state, bench.guide, batch, 10.0, measure=True)

    restored = torch.where(batch.inside, naive.generator(batch.degraded), torch.ones(()))
    restored.retain_grad()
    loss = naive_discriminator_loss(naive.discriminator, batch.clean, restored.detach(), batch)
    loss.backward()
    naive.optimizers["discriminator"].step()
    near(
        gradients(state.discriminator), gradients(naive.discriminator)
    )  # nothing came from the generator's update
    assert values["discriminator"].item() == pytest.approx(loss.item(), rel=1e-5)

    parts = naive_parts(naive, bench.guide, batch, restored)
    weights = {"pixel": 200.0, "feature": 5.0, "ctc": 1.0, "adversarial": 0.5, "contrastive": 70.0}
    norms = {
        name: torch.autograd.grad(weights[name] * part, restored, retain_graph=True)[0].norm()
        for name, part in parts.items()
    }
    total = sum(weights[name] * part for name, part in parts.items())
    total.backward()
    near(gradients(state.generator), gradients(naive.generator))
    for name, part in parts.items():
        assert values[name].item() == pytest.approx(part.item(), rel=1e-4), name
    assert values["total"].item() == pytest.approx(total.item(), rel=1e-4)
    assert values["generator_norm"].item() == pytest.approx(
        gradients(naive.generator).norm().item(), rel=1e-3
    )
    if naive.matcher is not None:
        near(gradients(state.matcher), gradients(naive.matcher) / 70)
        ratio = norms["contrastive"] / norms["pixel"]
        assert values["contrastive_ratio"].item() == pytest.approx(ratio.item(), rel=1e-3)


def test_gradients_are_clipped_each_to_its_norm(bench, new_state, small):
    state = new_state(small(**{"train.clip_norm": 0.02, "train.contrastive_clip_norm": 0.001}))
    values = train_step(state, bench.guide, bench.train.take(np.arange(4)), 10.0)
    for name, limit in (("generator", 0.02), ("discriminator", 0.02), ("matcher", 0.001)):
        assert values[f"{name}_norm"] > limit
        assert gradients(state.modules()[name]).norm().item() == pytest.approx(limit, rel=1e-3)


def test_the_matcher_learns_alike_whatever_the_weight(trained):
    light, heavy, fresh = (
        trained({"contrastive.weight": weight}, steps)[0].matcher
        for weight, steps in ((1.0, 1), (10.0, 1), (1.0, 0))
    )
    learned = [
        (a - b).norm().item() for a, b in zip(light.parameters(), fresh.parameters(), strict=True)
    ]
    apart = [
        (a - b).norm().item() for a, b in zip(light.parameters(), heavy.parameters(), strict=True)
    ]
    assert sum(learned) > 0.05 and max(apart) < 1e-4


@pytest.mark.parametrize("formulation", ["infonce", "clip"])
def test_a_learned_scale_never_passes_a_hundred(formulation, bench, new_state, small):
    state = new_state(
        small(**{"contrastive.formulation": formulation, "contrastive.learned_temperature": True})
    )
    with torch.no_grad():
        state.matcher.log_scale.fill_(math.log(200))
    train_step(state, bench.guide, bench.train.take(np.arange(4)), 10.0)
    assert state.matcher.inverse_temperature.item() == pytest.approx(100, rel=0.01)
    assert state.matcher.inverse_temperature.item() <= 100 * (1 + 1e-5)


def test_the_original_optimiser_of_the_discriminator(bench, new_state, small):
    config = small(
        **UNCLIPPED, **{"train.discriminator_optimizer": "sgd", "train.discriminator_lr": 0.01}
    )
    state = new_state(config)
    before = [p.detach().clone() for p in state.discriminator.trainable()]
    train_step(state, bench.guide, bench.train.take(np.arange(4)), 10.0)
    for p, was in zip(state.discriminator.trainable(), before, strict=True):
        assert torch.allclose(p, was - 0.01 * p.grad, atol=1e-7)
    assert {group["momentum"] for group in state.optimizers["discriminator"].param_groups} == {0.9}


class OneSided(nn.Module):
    """Classifies by the text (longer than two is real) or by the image (bright is real) alone."""

    def __init__(self, by):
        super().__init__()
        self.by, self.scale = by, nn.Parameter(torch.ones(()))

    def trainable(self):
        return [self.scale]

    def encode_text(self, text, lengths):
        return lengths.float() - 2.5

    def classify(self, image, text):
        return self.scale * (text if self.by == "text" else image.mean(dim=(1, 2, 3)) - 0.5)


@pytest.mark.parametrize(
    ("by", "predicted", "expected"),
    [
        ("text", True, (1, 1, 0)),
        ("text", False, (1, 0)),
        ("image", True, (1, 1, 1)),
        ("image", False, (1, 1)),
    ],
)
def test_swapping_the_images_unmasks_one_that_looks_at_the_text(
    by, predicted, expected, bench, new_state, small
):
    state = new_state(small())
    state.discriminator = OneSided(by)
    state.optimizers["discriminator"] = torch.optim.SGD(state.discriminator.trainable(), lr=0.0)
    batch = bench.train.take(np.arange(4))
    batch.clean.fill_(0.9)
    long, short = (
        (torch.ones((4, 3), dtype=torch.int64), torch.full((4,), length)) for length in (3, 1)
    )
    texts = DiscriminatorTexts(long, short if predicted else long)
    values = update_discriminator(
        state, [batch], [torch.full_like(batch.clean, 0.1)], [texts], measure=True
    )
    names = ("accuracy_real", "accuracy_fake", "accuracy_swapped")
    assert (
        tuple(values[name].item() for name in names if name in values) == expected
    )  # with one text for both there is nothing to swap
    assert "accuracy_swapped" not in update_discriminator(
        state, [batch], [batch.clean], [texts], measure=False
    )


@pytest.mark.parametrize("kind", ["ground_truth", "predicted"])
def test_the_discriminator_is_given_the_text_asked_for(kind, bench, new_state, small, monkeypatch):
    state = new_state(small(**{"train.discriminator_text": kind}))
    calls = []
    monkeypatch.setattr(
        step_module,
        "update_discriminator",
        lambda *arguments: calls.append(arguments[3]) or update_discriminator(*arguments),
    )
    batch = bench.train.take(np.arange(4))
    train_step(state, bench.guide, batch, 10.0)
    ((texts,),) = calls  # of the one part of one step
    if kind == "ground_truth":
        assert texts.real is texts.fake and torch.equal(texts.real[0], batch.text)
        assert torch.equal(texts.real[1], batch.text_lengths)
    else:
        with torch.no_grad():
            fresh = new_state(state.config).generator
            restored = restore(fresh, batch.degraded, batch.inside)
            readings = [
                read_indices(state, bench.guide(image)[1], batch.frames(4))
                for image in (batch.clean, restored)
            ]
        for shown, read in zip((texts.real, texts.fake), readings, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(shown, read, strict=True))


def test_predicted_texts_are_what_the_recognizer_reads_within_the_width(new_state, small, pairs):
    state = new_state(small())
    readings = torch.zeros((2, 4, 4), dtype=torch.int64)
    readings[0] = torch.tensor([[1, 1, 2, 0], [2, 0, 2, 3], [0, 0, 0, 0], [3, 3, 0, 3]])
    readings[1] = torch.tensor([[0, 0, 0, 1], [1, 2, 3, 3], [4, 4, 4, 4], [0, 5, 5, 0]])
    clean, restored = F.one_hot(readings, pairs.charset.classes).float()
    frames = torch.tensor([4, 3, 4, 4])
    texts = DiscriminatorTexts(
        read_indices(state, clean, frames), read_indices(state, restored, frames)
    )
    assert (texts.real[0].tolist(), texts.real[1].tolist()) == (
        [[1, 2], [2, 2], [0, 0], [3, 3]],
        [2, 2, 0, 2],
    )
    assert (texts.fake[0].tolist(), texts.fake[1].tolist()) == (
        [[1, 0, 0], [1, 2, 3], [4, 0, 0], [5, 0, 0]],
        [1, 3, 1, 1],
    )


def test_restored_lines_are_paper_outside_their_width(bench, new_state, small):
    batch = bench.train.take(np.arange(len(bench.train)))
    restored = restore(new_state(small()).generator, batch.degraded, batch.inside)
    outside = ~batch.inside.expand_as(restored)
    assert (restored[outside] == 1).all() and (restored[~outside] < 1).all() and outside.any()


@pytest.mark.parametrize("seed", range(4))
def test_retrieval_counts_as_a_loop_does(seed, bench):
    order = np.random.default_rng(seed).permutation(len(bench.train))
    batch = bench.train.take(order)  # two lines have equal transcriptions
    texts = [bench.train.lines.transcripts[i] for i in order]
    cosines = torch.rand((10, 10), generator=torch.Generator().manual_seed(seed)) + 0.5 * torch.eye(
        10
    )
    top1, length = retrieval_top1(cosines, batch.same), length_top1(batch, 9.0)
    hits, by_length = 0, 0.0
    for i, row in enumerate(cosines.tolist()):
        hits += texts[max(range(10), key=row.__getitem__)] == texts[i]
        gaps = [abs(batch.widths[i].item() - 9.0 * len(text)) for text in texts]
        nearest = [text for text, gap in zip(texts, gaps, strict=True) if gap == min(gaps)]
        by_length += nearest.count(texts[i]) / len(nearest)
    assert 0 < hits < 10 and top1.item() == pytest.approx(hits / 10)
    assert 0 < by_length < 10 and length.item() == pytest.approx(by_length / 10)


def test_the_equal_transcription_is_found_too(bench):
    batch = bench.train.take(np.array([0, 4, 1]))  # abc, abc, dead
    cosines = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert retrieval_top1(cosines, batch.same).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "overrides",
    [
        OFF,
        *(
            {**arm, "train.discriminator_text": kind}
            for arm in ({}, {"head.kind": "none"}, {"contrastive.formulation": "clip"})
            for kind in ("predicted", "ground_truth")
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "texts", [("", "aXb", "abababababababababababab", "aa"), ("", "", "X", "")]
)
def test_odd_transcriptions_train_without_harm(overrides, texts, small, make_pairs, make_inputs):
    pairs = make_pairs(train=(*texts, "ab"))
    bench = Bench.of(make_inputs(small(), pairs), CPU)
    assert bench.infeasible.tolist() == [len(text) > 16 for text in (*texts, "ab")]
    charset = type(pairs.charset)("ab")  # X is outside
    state = build_state(small(**overrides), charset, bench.guide.widths, CPU)
    lines = LineBatches(pairs.train, charset, CPU)
    for _ in range(2):
        values = train_step(state, bench.guide, lines.take(np.arange(4)), 10.0, measure=True)
        assert all(value.isfinite() for value in values.values()), values
    assert all(
        p.isfinite().all() for module in state.modules().values() for p in module.parameters()
    )


def test_everything_is_single_precision(trained):
    state, measured = trained(
        {"head.kind": "mlp_bn", "contrastive.learned_temperature": True}, steps=1
    )
    moments = [t for o in state.optimizers.values() for s in o.state.values() for t in s.values()]
    learned = [p for module in state.modules().values() for p in module.parameters()]
    floats = [b for m in state.modules().values() for b in m.buffers() if b.is_floating_point()]
    assert len(moments) == 3 * sum(p.requires_grad for p in learned)
    tensors = [
        *learned,
        *(p.grad for p in learned if p.requires_grad),
        *moments,
        *floats,
        *measured[0].values(),
    ]
    assert {t.dtype for t in tensors} == {torch.float32}
    assert (
        not torch.backends.cuda.matmul.allow_tf32
        and torch.get_float32_matmul_precision() == "highest"
    )


def test_reduced_precision_is_refused(new_state, small):
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(RuntimeError, match="must not run under autocast"),
    ):
        new_state(small())
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(RuntimeError, match="needs the default dtype float32"):
            new_state(small())
    finally:
        torch.set_default_dtype(torch.float32)


def test_steps_are_counted_and_make_epochs(trained):
    state, _ = trained({}, steps=4)
    assert state.step == 4 and state.epoch == 1
    assert derive_seed(0, "dropout", 1) != derive_seed(0, "dropout", 2)


def test_early_statistics_of_a_small_momentum_are_those_of_the_data(new_state, bench, small):
    """Sixty steps with momentum 0.01 would leave half of the initial mean 0 and variance 1."""
    state = new_state(small(**OFF, **{"generator.bn_momentum": 0.01, "train.generator_lr": 1e-5}))
    batches = [bench.train.take(step_indices(len(bench.train), 4, step, 0)) for step in range(60)]
    for batch in batches:
        train_step(state, bench.guide, batch, 10.0)
    settled = copy.deepcopy(state.generator)
    for norm in (m for m in settled.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batches
    with torch.no_grad():
        for batch in batches:
            settled(batch.degraded)
    for name in ("running_mean", "running_var"):
        expected, actual = (
            torch.cat([b.flatten() for key, b in network.named_buffers() if key.endswith(name)])
            for network in (settled, state.generator)
        )
        assert (actual - expected).norm() < 0.1 * expected.norm()
