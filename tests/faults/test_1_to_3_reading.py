"""Faults 1 to 3 of the original experiment: CTC blank, error rates, unfrozen recognizer.

A check is a function that asserts. It holds on the code; `caught` runs it on the fault, which a
small twin or a patch puts back, and wants it to fail there.
"""

import itertools
import math
import string
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganhtr.charset import Charset
from ganhtr.data.batches import LineBatches
from ganhtr.losses.recognition import ctc
from ganhtr.metrics.text import greedy_decode, text_errors
from ganhtr.models.recognizer import build_recognizer
from ganhtr.recognizers.weights import RecognizerWeights
from ganhtr.train import evaluate as evaluate_module
from ganhtr.train import fit as fit_module
from ganhtr.train import inputs as inputs_module
from ganhtr.train.evaluate import REFERENCES, evaluate
from ganhtr.train.fit import Bench, fit
from ganhtr.train.inputs import prepare_inputs
from ganhtr.train.state import build_state
from ganhtr.train.step import train_step
from ganhtr.train.view import restore

CPU = torch.device("cpu")
VOC = Charset(
    string.ascii_letters + string.digits + string.punctuation + "àâäçéèêëîïôöü" + " "
)  # 108 characters, as the original's


def spelt(labels, classes, frames, blank=0):
    """Logits (T, K), 99 % certain in every frame: a frame per label, each followed by a blank."""
    best = torch.full((frames,), blank)
    best[: 2 * len(labels) : 2] = torch.as_tensor(labels)
    return math.log(0.99 / (0.01 / (classes - 1))) * F.one_hot(best, classes).float()


# --- 1: the blank was the recognizer's last class, but 0 in the loss, which was clipped at 300 ---


def test_1_ctc_blank_is_0_for_the_recognizer_and_for_the_loss(caught):
    text, frames = "Maetsuycker,Nassauw,koffij,negen.", torch.tensor([128])
    labels = VOC.target(text)

    def nats(logits_TK):
        return ctc(logits_TK[None], frames, torch.from_numpy(labels), torch.tensor([len(labels)]))[
            0
        ]

    def check(logits_TK, loss_of):
        loss = loss_of(logits_TK.requires_grad_())
        assert 0 < loss < 5, "a perfect recognizer costs next to nothing"
        assert torch.autograd.grad(loss, logits_TK)[0].abs().sum() > 0.1, (
            "what it costs has a gradient"
        )

    right, faulty = (
        spelt(labels, VOC.classes, 128),
        spelt(labels - 1, VOC.classes, 128, blank=len(VOC)),
    )
    assert len(VOC) == 108 and greedy_decode(right[None], frames, VOC) == [text]
    check(right, nats)
    caught(check, faulty, nats)
    assert 500 < nats(faulty) < math.inf and torch.autograd.grad(nats(faulty), faulty)[0].any()
    clipped = nats(faulty).clamp(max=300)
    assert clipped == 300 and not torch.autograd.grad(clipped, faulty)[0].any()


def test_1_ctc_takes_the_recognizers_labels_in_training_and_in_validation(
    inputs, pairs, small, monkeypatch, caught
):
    characters = pairs.charset.characters

    def by_hand(bench, image, batch, texts):
        logits_BTK, frames = (
            bench.guide(image)[1].detach().log_softmax(dim=2),
            batch.frames(bench.guide.stride).tolist(),
        )
        labels = [
            torch.tensor([1 + characters.index(c) for c in text if c in characters])
            for text in texts
        ]
        return [
            F.ctc_loss(
                logits[:count], label, [count], [len(label)], blank=0, reduction="sum"
            ).item()
            for logits, count, label in zip(logits_BTK, frames, labels, strict=True)
        ]

    def check():
        bench = Bench.of(inputs, CPU)
        state = build_state(small(), pairs.charset, bench.guide.widths, CPU)
        batch, validation_batch = (
            bench.train.take(np.arange(4)),
            bench.validation.take(np.arange(len(bench.validation))),
        )
        expected = by_hand(
            bench,
            restore(state.generator, batch.degraded, batch.inside),
            batch,
            pairs.train.transcripts[:4],
        )
        assert train_step(state, bench.guide, batch, 10.0)["ctc"].item() == pytest.approx(
            np.mean(expected), rel=1e-4
        )
        expected = by_hand(
            bench, validation_batch.degraded, validation_batch, pairs.validation.transcripts
        )
        assert evaluate(
            REFERENCES["degraded"], bench.validation, bench.guide, bench.judge
        ).ctc == pytest.approx(expected, rel=1e-4)

    check()
    target = Charset.target
    monkeypatch.setattr(
        Charset, "target", lambda charset, text: target(charset, text) - 1
    )  # labels of a blank that stands last
    caught(check)


def by_length_alone(labels, frames):
    """The faulty count of lines without a path: forgets the blank between equal neighbours."""
    return np.array([len(label) for label in labels]) > frames


def test_1_ctc_infinite_losses_are_counted_and_named(
    small, make_pairs, make_inputs, fresh_recognizer, monkeypatch, caught
):
    pairs = make_pairs(
        train=("ab", "a" * 10, "ba", "a"), validation=("a", "a" * 10)
    )  # ten of a kind need 19 frames, and have 16 at most
    config = small(**{"train.epochs": 1})
    monkeypatch.setattr(
        inputs_module,
        "obtain_recognizer",
        lambda role, pairs, config, *_: fresh_recognizer(config, pairs),
    )
    log_probs = torch.zeros(16, 1, 2).log_softmax(dim=2)
    assert F.ctc_loss(
        log_probs, torch.ones(10, dtype=torch.long), [16], [10], reduction="sum"
    ).isinf()

    def check():
        bench = Bench.of(make_inputs(config, pairs), CPU)
        (report,) = fit(
            build_state(config, pairs.charset, bench.guide.widths, CPU), bench
        )  # sees each line three times
        assert (
            report.infeasible == report.metrics()["train_infeasible"] == 0.25
            and report.metrics()["infeasible"] == 0.5
        )
        train, validation = prepare_inputs(config, pairs, CPU, str).pairs.notes
        assert "1 transcriptions" in train and "train-1" in train and "validation-1" in validation

    check()
    for module in (fit_module, evaluate_module, inputs_module):
        with monkeypatch.context() as patch:
            patch.setattr(module, "infeasible", by_length_alone)
            if module is inputs_module:
                with pytest.raises(
                    ValueError, match="not enough values to unpack"
                ):  # no note at all
                    check()
            else:
                caught(check)


# --- 2: wrong references for error rates, without doubled letters; decoding shifted by one ---

TRANSCRIPTIONS, READINGS = (
    ("Nassauw", "koffij", "Anna fee", "bee"),
    ("Nasauw", "koffij", "Anna", "fee"),
)


class Speaker(nn.Module):
    """A recognizer that returns given texts in turn, for restored and for clean lines."""

    stride = 4

    def __init__(self, texts, charset):
        super().__init__()
        self.turn, self.charset = iter(texts), charset

    def forward(self, images):
        texts = itertools.islice(self.turn, len(images))
        return None, torch.stack(
            [
                spelt(self.charset.target(text), self.charset.classes, images.shape[3] // 4)
                for text in texts
            ]
        )


def against_the_clean_reading(references, readings):
    return text_errors(READINGS, readings)


def without_doubled_letters(references, readings):
    return text_errors(
        ["".join(letter for letter, _ in itertools.groupby(text)) for text in references], readings
    )


def shifted(logits_BTK, frames_B, charset):
    return greedy_decode(logits_BTK.roll(1, dims=2), frames_B, charset)


@pytest.mark.parametrize(
    "fault", [None, against_the_clean_reading, without_doubled_letters, shifted]
)
def test_2_cer_and_wer_are_taken_against_the_untouched_transcription(
    fault, make_pairs, monkeypatch, caught
):
    pairs = make_pairs(train=("".join(TRANSCRIPTIONS),) * 4, validation=TRANSCRIPTIONS)
    lines = LineBatches(pairs.validation, pairs.charset, CPU)

    def check():
        evaluation = evaluate(
            REFERENCES["degraded"],
            lines,
            Speaker(READINGS, pairs.charset),
            Speaker(TRANSCRIPTIONS, pairs.charset),
        )
        assert evaluation.guide.char_lengths.tolist() == [
            7,
            6,
            8,
            3,
        ] and evaluation.guide.char_edits.tolist() == [1, 0, 4, 1]
        metrics = evaluation.metrics()
        assert (metrics["cer"], metrics["wer"]) == (6 / 24, 3 / 5) and metrics[
            "judge_cer"
        ] == metrics["judge_wer"] == 0

    if fault is None:
        check()
    else:
        monkeypatch.setattr(
            evaluate_module, "greedy_decode" if fault is shifted else "text_errors", fault
        )
        caught(check)


# --- 3: the recognizer ran in training mode; weights that did not fit were ignored ---


def test_3_the_recognizer_is_frozen_in_loss_and_validation(
    inputs, new_state, small, same_tensors, caught
):
    def check(bench):
        recognizers, modes = (bench.guide, bench.judge), set()
        before = [
            {name: tensor.clone() for name, tensor in recognizer.state_dict().items()}
            for recognizer in recognizers
        ]
        for recognizer in recognizers:
            recognizer.dropout.register_forward_pre_hook(
                lambda dropout, _: modes.add(dropout.training)
            )
        assert len(list(fit(new_state(small()), bench))) == 2
        assert modes == {False}, "no dropout in any call of the two epochs"
        assert same_tensors(
            [dict(recognizer.state_dict()) for recognizer in recognizers], before
        ), "nothing drifts"
        assert not any(
            parameter.requires_grad
            for recognizer in recognizers
            for parameter in recognizer.parameters()
        )

    check(Bench.of(inputs, CPU))
    for role in ("guide", "judge"):
        bench = Bench.of(inputs, CPU)
        getattr(bench, role).train()
        caught(check, bench)


def test_3_the_gradient_flows_through_the_recognizer_to_the_image(bench, caught):
    batch = bench.train.take(np.arange(4))

    def check(read):
        loss = ctc(
            read(batch.degraded.requires_grad_()),
            batch.frames(bench.guide.stride),
            batch.targets,
            batch.target_lengths,
        ).sum()
        assert (
            loss.requires_grad
            and torch.autograd.grad(loss, batch.degraded)[0].flatten(1).abs().sum(dim=1).gt(0).all()
        )

    check(lambda image: bench.guide(image)[1])
    caught(check, torch.no_grad()(lambda image: bench.guide(image)[1]))  # frozen too much


def skip_mismatch(weights):
    """The faulty loader: takes the arrays that fit and leaves the others at random."""
    recognizer = build_recognizer(
        weights.config, len(weights.charset) + 1, weights.height, weights.width
    )
    expected_state = recognizer.state_dict()
    return recognizer.load_state_dict(
        {
            name: torch.from_numpy(array)
            for name, array in weights.arrays.items()
            if expected_state[name].shape == array.shape
        },
        strict=False,
    )


@pytest.mark.parametrize("damage", ["missing", "mismatched"])
def test_3_weights_that_do_not_fit_are_refused(damage, inputs, tmp_path, caught):
    arrays = dict(inputs.guide.arrays)
    head = arrays.pop("classify.weight")
    damaged = replace(
        inputs.guide,
        arrays=arrays if damage == "missing" else {**arrays, "classify.weight": head[:-1].copy()},
    )
    damaged.save(tmp_path / "guide.safetensors")

    def check(load):
        try:
            load()
        except (ValueError, RuntimeError) as error:
            assert "classify.weight" in str(error)
        else:
            raise AssertionError("random weights passed silently")

    check(lambda: RecognizerWeights.load(tmp_path / "guide.safetensors"))
    check(lambda: damaged.build(CPU))
    caught(check, lambda: skip_mismatch(damaged))
