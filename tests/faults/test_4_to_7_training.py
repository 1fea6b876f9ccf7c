"""Faults 4 to 7 of the original experiment: crash, blind discriminator, best score, lost line.

A check is a function that asserts. It holds on the code; `caught` runs it on the fault, which a
small twin or a patch puts back, and wants it to fail there.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import tune.reporting.problems
import tune.runner.trainable
from ganhtr.charset import Charset
from ganhtr.config_sections import TextEncoderConfig
from ganhtr.data.batches import chunks
from ganhtr.models.text_encoder import TextEncoder
from ganhtr.train import evaluate as evaluate_module
from ganhtr.train.evaluate import EVALUATION_BATCH, REFERENCES, evaluate
from ganhtr.train.fit import Bench, fit
from ganhtr.train.state import build_state
from tests.faults.conftest import epochs_of
from tests.tune.runner.test_trainable import config_of, drive, trial_class
from tests.tune.study.test_trial_table import frozen
from tune.reporting.study_report import write_report
from tune.runner.patience import Patience
from tune.runner.preparation import plan_of
from tune.space.load import space_from_plain
from tune.study.trial_table import collect

CPU = torch.device("cpu")
SEARCH = space_from_plain(
    {"space": {"contrastive.weight": {"float": [0.01, 30], "log": True}}}, "search"
)


# --- 4: unknown characters and empty labels broke a mask of zeros; both arms crashed ---


def lengths_from_zeros(self, text_BL, lengths_B):
    """The faulty text encoder: takes every index but 0 for a character."""
    embedded = self.dropout(self.embedding(text_BL))
    packed = pack_padded_sequence(
        embedded, (text_BL != 0).sum(dim=1), batch_first=True, enforce_sorted=False
    )
    return pad_packed_sequence(
        self.recurrent(packed)[0], batch_first=True, total_length=text_BL.shape[1]
    )[0]


@pytest.mark.parametrize("text", ["ground_truth", "predicted"])
def test_4_thirty_epochs_complete_with_unknown_characters_and_empty_lines(
    text, small, make_pairs, make_inputs, monkeypatch
):
    pairs = replace(
        make_pairs(train=("", "XX", "aXb", "b", "", "ab"), validation=("", "X", "ab")),
        charset=Charset("ab"),
    )
    config = small(
        **{"train.epochs": 30, "train.steps_per_epoch": 1, "train.discriminator_text": text}
    )
    bench = Bench.of(make_inputs(config, pairs), CPU)

    def epochs():
        return [
            report.epoch
            for report in fit(build_state(config, pairs.charset, bench.guide.widths, CPU), bench)
        ]

    assert epochs() == list(range(1, 31))
    monkeypatch.setattr(TextEncoder, "forward", lengths_from_zeros)
    with pytest.raises(RuntimeError, match="Length of all samples has to be greater than 0"):
        epochs()


def test_4_an_unknown_character_makes_no_hole(monkeypatch, caught):
    encoder = TextEncoder(TextEncoderConfig(), 5, 8).eval()
    rows = [Charset("abc").encode(text).tolist() for text in ("aXb", "aXc")]
    assert rows == [[1, 4, 2], [1, 4, 3]]

    def check(rows):
        states = encoder(torch.tensor([[*row, 0] for row in rows]), torch.tensor([3, 3]))
        assert not torch.equal(states[0], states[1]), (
            "what stands behind an unknown character counts"
        )
        assert not states[:, 3].any(), "padding does not"

    check(rows)
    monkeypatch.setattr(TextEncoder, "forward", lengths_from_zeros)
    caught(check, [[0 if index == 4 else index for index in row] for row in rows])


# --- 5: the discriminator stayed at chance, and nothing said so ---


def test_5_a_discriminator_at_chance_is_called_out(new_study, inputs, monkeypatch, caught):
    request, folder = new_study(SEARCH)
    make = trial_class(plan_of(request, folder, "score"), inputs)
    common = {
        "contrastive.formulation": "none",
        "train.epochs": 3,
        "train.steps_per_epoch": 8,
        "train.generator_lr": 1e-6,
    }
    drive(
        make(
            config_of(
                "off-000",
                **common,
                **{"train.discriminator_optimizer": "sgd", "train.discriminator_lr": 1e-8},
            )
        )
    )
    drive(make(config_of("off-001", **common, **{"train.discriminator_lr": 0.01})))
    rows = collect(folder, [("off", frozen("off-000")), ("off", frozen("off-001"))])
    for row in rows:
        halves = [
            [epoch["diagnostics"][f"accuracy_{half}"] for half in ("real", "fake")]
            for epoch in epochs_of(folder, row.id)
        ]
        assert len(halves) == 3 and row.peak_accuracy == pytest.approx(max(map(np.mean, halves)))

    def check():
        report = write_report(folder, request, rows)
        for text in (report, (folder.path / "report.md").read_text(encoding="utf-8")):
            assert "stayed at chance in every epoch of 1 of 2 trials (off-000)" in text

    check()
    monkeypatch.setattr(tune.reporting.problems, "discriminator", lambda rows: [])
    caught(check)


# --- 6: the best score started at -1, and scores near -36 were never saved ---


def test_6_the_first_epoch_is_saved_however_bad(new_study, inputs, monkeypatch, caught):
    def check(start):
        request, folder = new_study(SEARCH)
        monkeypatch.setattr(
            tune.runner.trainable, "Patience", lambda *settings: Patience(*settings, **start)
        )
        (result,) = drive(
            trial_class(plan_of(request, folder, "score"), inputs, [-36.0])(
                config_of(**{"train.epochs": 1})
            )
        )
        assert (folder.path / "trials/on-000/best.safetensors").exists()
        assert (result["best_value"], result["best_epoch"]) == (-36.0, 1) and epochs_of(
            folder, "on-000"
        )[0]["best_model_saved"]

    assert Patience(15, 0.01).best == -math.inf
    check({})
    caught(check, {"best": -1.0})


# --- 7: validation dropped its last, incomplete batch ---


def drop_remainder(count, size):
    """The faulty batches."""
    return (indices for indices in chunks(count, size) if len(indices) == size)


def test_7_every_validation_line_counts_once(bench, monkeypatch, caught):
    def check(batches):
        assert np.concatenate(list(batches(473, 4))).tolist() == list(
            range(473)
        )  # the original's lines and batch

    check(chunks)
    caught(check, drop_remainder)
    count = len(bench.validation)
    assert sum(map(len, drop_remainder(473, 4))) == 472 and count % EVALUATION_BATCH
    evaluation = evaluate(REFERENCES["degraded"], bench.validation, bench.guide, bench.judge)
    assert [
        len(values)
        for values in (
            evaluation.psnr,
            evaluation.ssim,
            evaluation.ctc,
            evaluation.guide.char_edits,
        )
    ] == [count] * 4
    monkeypatch.setattr(evaluate_module, "chunks", drop_remainder)
    with pytest.raises(
        ValueError, match=f"one reading per reference, got {EVALUATION_BATCH} for {count}"
    ):
        evaluate(REFERENCES["degraded"], bench.validation, bench.guide, bench.judge)
