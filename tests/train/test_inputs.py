"""Inputs of all trials: cached features, notes on infeasible lines, weak recognizers."""

import dataclasses

import numpy as np
import pytest
import torch

from ganhtr.train import inputs as inputs_module
from ganhtr.train.fit import Bench
from ganhtr.train.inputs import prepare_inputs
from ganhtr.train.state import build_state
from ganhtr.train.step import train_step

CPU = torch.device("cpu")


@pytest.fixture
def prepared(small, fresh_recognizer, monkeypatch):
    """prepared(pairs, overrides): inputs with untrained recognizers."""

    def obtain(role, pairs, config, training, device, say):
        say(role)
        return fresh_recognizer(config, pairs)

    monkeypatch.setattr(inputs_module, "obtain_recognizer", obtain)
    return lambda pairs, say=str, **overrides: prepare_inputs(small(**overrides), pairs, CPU, say)


@pytest.mark.parametrize("kind", ["crnn", "transformer"])
def test_taps_are_the_guides_features_of_the_clean_training_lines(kind, prepared, make_pairs):
    pairs = make_pairs(train=("ab", "cd", "ef") * 13)  # more than one chunk
    inputs = prepared(pairs, **{"guide.kind": kind})
    guide = inputs.guide.build(CPU)
    assert (
        inputs.taps.shape == (39, 64 // guide.stride, guide.features)
        and inputs.taps.dtype == np.float32
    )
    for i in (0, 31, 32, 38):
        clean = torch.from_numpy(pairs.train.clean[i : i + 1].astype(np.float32) / 255)[None]
        assert np.allclose(inputs.taps[i], guide.tap(clean)[0].numpy(), atol=1e-5)


def test_guide_and_judge_are_recognizers_of_their_own(prepared, pairs):
    printed = []
    inputs = prepared(pairs, printed.append)
    assert printed == ["guide", "judge"]
    assert (inputs.guide.config.dim, inputs.judge.config.dim) == (8, 6)


@pytest.mark.parametrize("text", ["ground_truth", "predicted"])
def test_a_step_with_taps_is_the_step_without(text, prepared, pairs, small):
    inputs = prepared(pairs)
    config = small(**{"train.discriminator_text": text})
    values, weights = [], []
    for variant in (inputs, dataclasses.replace(inputs, taps=None)):
        bench = Bench.of(variant, CPU)
        state = build_state(config, pairs.charset, bench.guide.widths, CPU)
        batch = bench.train.take(np.arange(4))
        assert (batch.clean_tap is None) == (variant.taps is None)
        values.append(
            {
                name: value.item()
                for name, value in train_step(state, bench.guide, batch, 10.0, True).items()
            }
        )
        weights.append(torch.cat([p.grad.flatten() for p in state.generator.parameters()]))
    assert values[0]["feature"] > 0 and values[0] == pytest.approx(values[1], rel=1e-4)
    assert (weights[0] - weights[1]).norm() <= 1e-4 * weights[1].norm()


def test_taps_that_would_not_fit_are_left_out(prepared, pairs, monkeypatch):
    size = 10 * 16 * 32 * 4
    monkeypatch.setattr(inputs_module, "_memory", lambda: 10 * size)
    assert prepared(pairs).taps.nbytes == size
    monkeypatch.setattr(inputs_module, "_memory", lambda: 10 * size - 1)
    inputs = prepared(pairs)
    assert inputs.taps is None and "more than a tenth of the memory" in inputs.pairs.notes[-1]


def test_notes_name_the_lines_that_no_path_can_spell(prepared, make_pairs):
    long = "ab" * 12
    pairs = make_pairs(
        train=("ab", long, "b", long), validation=("X" * 10 + "a", "X" + "a" * 9), notes=("kept",)
    )
    few = prepared(pairs).pairs.notes
    assert [note.split(";")[0] for note in few] == [
        "kept",
        "train: 2 transcriptions need more frames than their lines have (train-1, train-3)",
        "validation: 1 transcriptions need more frames than their lines have (validation-1)",
    ]
    (many,) = prepared(make_pairs(train=(long,) * 7)).pairs.notes
    assert (
        "train: 7 transcriptions" in many
        and "(train-0, train-1, train-2, train-3, train-4)" in many
    )
    assert prepared(make_pairs()).pairs.notes == ()


@pytest.mark.parametrize(
    ("guide", "judge", "weak"),
    [(0.3, 0.3, False), (0.31, 0.1, True), (0.1, 0.31, True), (0, 0, False)],
)
def test_a_recognizer_is_weak_beyond_thirty_percent(guide, judge, weak, inputs):
    weakened = dataclasses.replace(
        inputs,
        guide=dataclasses.replace(inputs.guide, cer=guide),
        judge=dataclasses.replace(inputs.judge, cer=judge),
    )
    assert weakened.weak_recognizer == weak


def test_the_bench_knows_its_lines(inputs, pairs):
    bench = Bench.of(inputs, CPU)
    assert len(bench.train) == 10 and len(bench.validation) == 18
    characters = sum(map(len, pairs.train.transcripts))
    assert bench.pixels_per_character == pytest.approx(pairs.train.widths.sum() / characters)
    assert not any(
        p.requires_grad
        for recognizer in (bench.guide, bench.judge)
        for p in recognizer.parameters()
    )
