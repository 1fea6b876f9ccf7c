"""The ten faults of the original experiment, in order: each has a check that holds here and is shown to fail on the faulty version.

A check is a function that asserts; `caught` runs it on the fault, put back in a small twin or by a patch, and wants it to fail there.
"""

import itertools
import json
import math
import string
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from optuna.trial import TrialState
from ray.tune.search import Searcher
from scipy import stats
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import tune.loss_changes
import tune.problems
import tune.trainable
from ganhtr.charset import Charset
from ganhtr.config import TextEncoderConfig
from ganhtr.data.batches import LineBatches
from ganhtr.losses.recognition import ctc
from ganhtr.metrics.text import greedy_decode, infeasible, text_errors
from ganhtr.models.recognizer import build_reader
from ganhtr.models.text_encoder import TextEncoder
from ganhtr.train import evaluate as evaluate_module
from ganhtr.train import fit as fit_module
from ganhtr.train import inputs as inputs_module
from ganhtr.train import state as state_module
from ganhtr.train.evaluate import EVALUATION_BATCH, by_nothing, chunks, evaluate
from ganhtr.train.fit import Bench, fit
from ganhtr.train.inputs import prepare_inputs
from ganhtr.train.reader import ReaderWeights
from ganhtr.train.state import build_state
from tests.conftest import SMALL
from tests.tune.test_trainable import config_of, drive, trial_class
from tests.tune.test_trial_table import frozen
from tune.driver import plan_of, write_start
from tune.objective import objective_value
from tune.report_text import write_report
from tune.searcher import OptunaSearcher
from tune.space import SpaceError, space_from_plain
from tune.stopping import Patience
from tune.study import Request, StudyFolder
from tune.trial_table import best_row, collect

CPU = torch.device("cpu")
VOC = Charset(string.ascii_letters + string.digits + string.punctuation + "àâäçéèêëîïôöü" + " ")  # 108 characters, as the original's
OFF = {"contrastive.formulation": "none"}
SEARCH = space_from_plain({"budget": {"trials": 5}, "space": {"contrastive.weight": {"float": [0.01, 30], "log": True}}}, "search")


def caught(check, *faulty):
    """The check fails on the fault."""
    with pytest.raises(AssertionError):
        check(*faulty)


def spelt(labels, classes, frames, blank=0):
    """Logits (T, K) of a reader that is 99 % sure of every frame: each label a frame, and a blank behind it."""
    best = torch.full((frames,), blank)
    best[:2 * len(labels):2] = torch.as_tensor(labels)
    return math.log(0.99 / (0.01 / (classes - 1))) * F.one_hot(best, classes).float()


class Speaker(nn.Module):
    """A reader that says given texts in turn, whatever it is shown."""

    stride = 4

    def __init__(self, texts, charset):
        super().__init__()
        self.turn, self.charset = iter(texts), charset

    def forward(self, images):
        texts = itertools.islice(self.turn, len(images))
        return None, torch.stack([spelt(self.charset.target(text), self.charset.classes, images.shape[3] // 4) for text in texts])


# 1. The blank of CTC was the last class for the reader and class 0 for the loss; what came out was clipped and had no gradient.

def test_1_ctc_blank_is_0_for_reader_and_loss():
    text = "Maetsuycker,Nassauw,koffij,negen."
    labels, sizes = VOC.target(text), (VOC.classes, 128)

    def nats(logits):
        return ctc(logits[None], torch.tensor([128]), torch.from_numpy(labels), torch.tensor([33]))[0]

    def check(logits, loss_of):
        loss = loss_of(logits.requires_grad_())
        assert 0 < loss < 5, "a perfect reader costs next to nothing"
        assert torch.autograd.grad(loss, logits)[0].abs().sum() > 0.1, "and what it costs has a gradient"

    right, faulty = spelt(labels, *sizes), spelt(labels - 1, *sizes, blank=108)
    assert greedy_decode(right[None], torch.tensor([128]), VOC) == [text]
    check(right, nats)
    assert 500 < nats(faulty) < math.inf
    caught(check, faulty, nats)
    clipped = nats(faulty.requires_grad_()).clamp(max=300)
    assert clipped == 300 and not torch.autograd.grad(clipped, faulty)[0].any()


def test_1_ctc_infinite_losses_are_counted_and_named(small, make_pairs, make_inputs, fresh_reader, monkeypatch):
    pairs = make_pairs(train=("ab", "a" * 10, "ba", "a"), validation=("a", "a" * 10))  # 16 frames; the ten need 19
    config = small(**{"train.epochs": 1})
    monkeypatch.setattr(inputs_module, "obtain_reader", lambda role, pairs, config, *_: fresh_reader(config, pairs))

    def check():
        bench = Bench.of(make_inputs(config, pairs), CPU)
        (report,) = fit(build_state(config, pairs.charset, bench.guide.widths, CPU), bench)
        assert report.infeasible == report.metrics()["train_infeasible"] == 0.25 and report.metrics()["infeasible"] == 0.5
        train, validation = prepare_inputs(config, pairs, CPU, str).pairs.notes
        assert "1 transcriptions" in train and "train-1" in train and "validation-1" in validation

    check()
    for module in (fit_module, inputs_module, evaluate_module):  # forgets the blank between equal neighbours
        monkeypatch.setattr(module, "infeasible", lambda labels, frames: np.array([len(label) for label in labels]) > frames)
    caught(check)
    assert not fit_module.infeasible([np.ones(10)], np.array([16])) and infeasible([np.ones(10, dtype=int)], np.array([16]))


# 2. CER and WER were taken against the reading of the clean image, references lost doubled letters, decoding was shifted by one.

REFERENCES, READINGS = ("Nassauw", "koffij", "Anna fee", "bee"), ("Nasauw", "koffij", "Anna", "fee")


def collapsed(texts):
    return ["".join(character for character, _ in itertools.groupby(text)) for text in texts]


def shifted(logits, frames, charset):
    return greedy_decode(logits.roll(1, dims=2), frames, charset)


@pytest.mark.parametrize(("name", "fault"), [
    (None, None),
    ("text_errors", lambda references, readings: text_errors(READINGS, readings)),  # what the guide reads in the clean lines as well
    ("text_errors", lambda references, readings: text_errors(collapsed(references), readings)),
    ("greedy_decode", shifted)], ids=["right", "clean reading", "doubled letters", "shifted"])
def test_2_cer_and_wer_are_taken_against_the_untouched_transcription(name, fault, make_pairs, monkeypatch):
    pairs = make_pairs(train=("".join(REFERENCES),) * 4, validation=REFERENCES)
    lines = LineBatches(pairs.validation, pairs.charset, CPU)

    def check():
        guide, judge = Speaker(READINGS, pairs.charset), Speaker(REFERENCES, pairs.charset)
        found = evaluate(by_nothing, lines, guide, judge)
        assert found.guide.char_lengths.tolist() == [7, 6, 8, 3] and found.guide.char_edits.tolist() == [1, 0, 4, 1]
        metrics = found.metrics()
        assert (metrics["cer"], metrics["wer"]) == (6 / 24, 3 / 5) and metrics["judge_cer"] == metrics["judge_wer"] == 0

    if name is None:
        check()
    else:
        monkeypatch.setattr(evaluate_module, name, fault)
        caught(check)


# 3. The recognizer ran in training mode in the loss and in validation, and weights that did not fit were passed over.

def test_3_the_recognizer_is_frozen_in_loss_and_validation(bench, new_state, small, same_tensors):
    def check(bench):
        readers, seen = (bench.guide, bench.judge), set()
        before = [{name: tensor.clone() for name, tensor in reader.state_dict().items()} for reader in readers]
        hooks = [reader.dropout.register_forward_pre_hook(lambda module, _: seen.add(module.training)) for reader in readers]
        reports = list(fit(new_state(small()), bench))
        for hook in hooks:
            hook.remove()
        assert len(reports) == 2 and seen == {False}, "no dropout in any call of the two epochs"
        assert same_tensors([dict(reader.state_dict()) for reader in readers], before), "no drift"
        assert not any(parameter.requires_grad for reader in readers for parameter in reader.parameters())

    check(bench)
    for role in ("guide", "judge"):
        reader = getattr(bench, role)
        reader.train()
        caught(check, bench)
        reader.eval()


def test_3_the_gradient_flows_through_the_recognizer_to_the_image(bench):
    batch = bench.train.take(np.arange(4))

    def check(read):
        logits = read(batch.degraded.requires_grad_())
        loss = ctc(logits, batch.frames(bench.guide.stride), batch.targets, batch.target_lengths).sum()
        assert loss.requires_grad and torch.autograd.grad(loss, batch.degraded)[0].flatten(1).abs().sum(dim=1).gt(0).all()

    check(lambda image: bench.guide(image)[1])
    caught(check, torch.no_grad()(lambda image: bench.guide(image)[1]))  # frozen too much


def skip_mismatch(weights):
    """The faulty loader: takes the arrays that fit and leaves the others at random."""
    reader = build_reader(weights.config, len(weights.charset) + 1, weights.height, weights.width)
    own = reader.state_dict()
    fitting = {name: torch.from_numpy(array) for name, array in weights.arrays.items() if own[name].shape == array.shape}
    return reader.load_state_dict(fitting, strict=False)


@pytest.mark.parametrize("damage", ["missing", "mismatched"])
def test_3_weights_that_do_not_fit_are_refused(damage, inputs, tmp_path):
    arrays = dict(inputs.guide.arrays)
    head = arrays.pop("classify.weight")
    damaged = replace(inputs.guide, arrays=arrays if damage == "missing" else {**arrays, "classify.weight": head[:-1].copy()})
    damaged.save(tmp_path / "guide.safetensors")

    def check(load):
        try:
            load()
        except (ValueError, RuntimeError) as error:
            assert "classify.weight" in str(error)
        else:
            raise AssertionError("random weights passed silently")

    check(lambda: ReaderWeights.load(tmp_path / "guide.safetensors"))
    check(lambda: damaged.build(CPU))
    caught(check, lambda: skip_mismatch(damaged))


# 4. A character outside the charset and an empty label made holes in a mask taken from zeros, and the run crashed at epoch 10.

def lengths_from_zeros(self, text_BL, lengths_B):
    """The faulty text encoder: takes every index but 0 for a character."""
    embedded = self.dropout(self.embedding(text_BL))
    packed = pack_padded_sequence(embedded, (text_BL != 0).sum(dim=1), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=text_BL.shape[1])[0]


@pytest.mark.parametrize("given", ["ground_truth", "predicted"])
def test_4_thirty_epochs_complete_with_unknown_characters_and_empty_lines(given, small, make_pairs, make_inputs, monkeypatch):
    pairs = replace(make_pairs(train=("", "XX", "aXb", "b", "", "ab"), validation=("", "X", "ab")), charset=Charset("ab"))
    config = small(**{"train.epochs": 30, "train.steps_per_epoch": 1, "train.discriminator_text": given})
    bench = Bench.of(make_inputs(config, pairs), CPU)

    def epochs():
        return [report.epoch for report in fit(build_state(config, pairs.charset, bench.guide.widths, CPU), bench)]

    assert epochs() == list(range(1, 31))
    monkeypatch.setattr(TextEncoder, "forward", lengths_from_zeros)
    with pytest.raises(RuntimeError, match="Length of all samples has to be greater than 0"):
        epochs()


def test_4_an_unknown_character_makes_no_hole(monkeypatch):
    encoder = TextEncoder(TextEncoderConfig(), 5, 8).eval()  # 0 padding, 1 a, 2 b, 3 c, 4 unknown

    def check(unknown):
        states = encoder(torch.tensor([[1, unknown, 2, 0], [1, unknown, 3, 0]]), torch.tensor([3, 3]))
        assert not torch.equal(states[0], states[1]), "what stands behind an unknown character counts"
        assert not states[:, 3].any()

    check(4)
    monkeypatch.setattr(TextEncoder, "forward", lengths_from_zeros)
    caught(check, 0)


# What a study does, without Ray: ask, train, tell. 5, 6 and 8 to 10 look at what it leaves.

@pytest.fixture(scope="module")
def new_study(tmp_path_factory, inputs):
    """new_study(space): a study's folder and request, with the lines and readers of `inputs`."""
    def make(space):
        settings = {key: value for key, value in SMALL.items() if key not in ("train.epochs", "train.steps_per_epoch")}
        request = Request(space, "tiny", "a test", settings, "builtin", None, None, space.trials, 0, 1, 0)
        folder = StudyFolder.planned(tmp_path_factory.mktemp("results"), "study", request).create(request)
        write_start(folder, inputs, "score", "cpu")
        return folder, request
    return make


def metrics_of(folder, trial):
    return folder.read_json(f"trials/{trial}/metrics/training_metrics_fp32.json")["epochs"]


def section(text, heading):
    """The table rows of a part of a report, by their first cell."""
    part = text.split(f"### {heading}\n")[1].split("\n### ")[0]
    return {row[1].strip(): [word.strip() for word in row[2:-1]] for row in (line.split("|") for line in part.splitlines()) if len(row) > 2}


@pytest.fixture(scope="module")
def experiment(new_study, inputs):
    """OFF and ON for three seeds: folder, request, journal, rows and report."""
    folder, request = new_study(space_from_plain({"budget": {"seeds": 3, "epochs": 3, "steps_per_epoch": 2}, "fixed": {
        "contrastive.formulation": "infonce", "contrastive.weight": 5.0}}, "experiment"))
    searcher = OptunaSearcher(request.space, folder.journal, request.trials, request.seed)
    searcher.open()
    make = trial_class(plan_of(request, folder, "score"), inputs)
    while (proposal := searcher.suggest("now")) != Searcher.FINISHED:
        *running, last = drive(make(proposal))
        for result in running:
            searcher.on_trial_result("now", result)
        searcher.on_trial_complete("now", last)
    rows = collect(folder, searcher.all_trials())
    write_report(folder, request, rows)
    return SimpleNamespace(folder=folder, request=request, rows=rows, journal=[trial for _, trial in searcher.all_trials()],
                           report=(folder.path / "report.md").read_text(encoding="utf-8"))


# 5. The discriminator stayed at chance, and nothing said so.

def test_5_a_discriminator_at_chance_is_called_out(new_study, inputs, monkeypatch):
    folder, request = new_study(SEARCH)
    make = trial_class(plan_of(request, folder, "score"), inputs)
    quick = {"train.epochs": 4, "train.steps_per_epoch": 6, "train.generator_lr": 1e-6, **OFF}
    drive(make(config_of("off-000", **quick, **{"train.discriminator_optimizer": "sgd", "train.discriminator_lr": 1e-8})))
    drive(make(config_of("off-001", **quick, **{"train.discriminator_lr": 0.01})))
    rows = collect(folder, [("off", frozen("off-000")), ("off", frozen("off-001"))])
    for row in rows:
        halves = [[epoch["diagnostics"][f"accuracy_{half}"] for half in ("real", "fake")] for epoch in metrics_of(folder, row.id)]
        assert len(halves) == 4 and row.peak_accuracy == pytest.approx(max(map(np.mean, halves)))

    def check():
        said = write_report(folder, request, rows)
        for text in (said, (folder.path / "report.md").read_text(encoding="utf-8")):
            assert "stayed at chance in every epoch of 1 of 2 trials (off-000)" in text

    check()
    monkeypatch.setattr(tune.problems, "discriminator", lambda rows: [])
    caught(check)


# 6. The best score started at -1, and scores near -36 were never saved.

def test_6_the_first_epoch_is_the_best_so_far_however_bad(new_study, inputs, monkeypatch):
    def check(best_score):
        folder, request = new_study(SEARCH)
        monkeypatch.setattr(tune.trainable, "Patience", lambda *settings: Patience(*settings, best=best_score))
        (result,) = drive(trial_class(plan_of(request, folder, "score"), inputs, [-36.0])(config_of(**{"train.epochs": 1})))
        assert (folder.path / "trials/on-000/best.safetensors").exists()
        assert (result["best_value"], result["best_epoch"]) == (-36.0, 1) and metrics_of(folder, "on-000")[0]["best_model_saved"]

    assert Patience(15, 0.01).best == -math.inf
    check(Patience(15, 0.01).best)
    caught(check, -1.0)


# 7. Validation dropped the last, incomplete batch.

def drop_remainder(count, size):
    return (indices for indices in chunks(count, size) if len(indices) == size)


def test_7_every_validation_line_counts_once(bench, monkeypatch):
    count = len(bench.validation)
    assert count % EVALUATION_BATCH

    def check(chunks):
        assert np.concatenate(list(chunks(473, 4))).tolist() == list(range(473)), "the original's 473 lines in batches of 4"

    check(chunks)
    caught(check, drop_remainder)
    assert sum(map(len, drop_remainder(473, 4))) == 472
    found = evaluate(by_nothing, bench.validation, bench.guide, bench.judge)
    assert [len(values) for values in (found.psnr, found.ssim, found.ctc, found.guide.char_edits)] == [count] * 4
    monkeypatch.setattr(evaluate_module, "chunks", drop_remainder)
    with pytest.raises(ValueError, match=f"one for each reference, got {EVALUATION_BATCH} for {count}"):
        evaluate(by_nothing, bench.validation, bench.guide, bench.judge)


# 8. One seed, one run an arm: what was told of the arms may have been the seed's.

def test_8_the_arms_of_a_seed_start_alike_and_see_the_same_lines(bench, pairs, small, same_tensors, monkeypatch):
    def start(values):
        """First weights of generator and discriminator, and the lines of every step of two epochs."""
        seen, state = [], build_state(small(**values), pairs.charset, bench.guide.widths, CPU)
        weights = [{name: tensor.clone() for name, tensor in part.state_dict().items()} for part in (state.generator, state.discriminator)]
        monkeypatch.setattr(fit_module, "training_batch", lambda state, lines, rows: [seen.append(rows.tolist()), lines.take(rows)][1])
        return weights, len(list(fit(state, bench))) and seen

    def check():
        off, on = start(OFF), start({"contrastive.weight": 5.0})
        assert same_tensors(off[0], on[0]) and off[1] == on[1] and len(off[1]) == 6

    check()
    assert start(OFF)[1] != start({**OFF, "train.seed": 1})[1]
    for module, name, fault in ((state_module, "torch_stream", lambda *_: nullcontext()),
                                (fit_module, "step_indices", lambda count, size, *_: np.random.default_rng().permutation(count)[:size])):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fault)
            caught(check)


def test_8_an_experiment_runs_both_arms_for_several_seeds_and_tells_the_paired_difference(experiment):
    assert [(row.arm, row.values["train.seed"]) for row in experiment.rows] == [(arm, seed) for arm in ("off", "on") for seed in range(3)]
    off, on = ([epochs[row.best_epoch - 1]["validation"]["psnr"] for row in experiment.rows if row.arm == arm
                for epochs in [metrics_of(experiment.folder, row.id)]] for arm in ("off", "on"))
    interval = stats.ttest_rel(on, off).confidence_interval(0.95)

    def check(report):
        row = section(report, "Summary")["PSNR, dB"]
        assert row[-1] == f"{interval.low:+.3f} to {interval.high:+.3f}" and row[3] == f"{np.mean(on) - np.mean(off):+.3f}"
        assert "over 3 seeds); the interval" in report.split("### Conclusion")[1]

    check(experiment.report)
    write_report(experiment.folder, experiment.request, experiment.rows, (["off-000"], ["on-000"]))
    one_run = (experiment.folder.path / "report.md").read_text(encoding="utf-8")
    assert "one seed cannot tell" in one_run
    caught(check, one_run)


# 9. A total that holds the added term was compared with one that does not.

def test_9_the_total_is_the_sum_of_its_weighted_parts(experiment):
    weights = {"pixel": 200.0, "feature": 5.0, "ctc": 1.0, "adversarial": 3.0, "contrastive": 5.0}

    def check(losses):
        parts = [weight * np.array(losses[name]) for name, weight in weights.items() if name in losses]
        assert losses["total"] == pytest.approx(np.sum(parts, axis=0), rel=1e-5)

    for row in experiment.rows:
        for epoch in metrics_of(experiment.folder, row.id):
            check(epoch["losses"])
            assert ("contrastive" in epoch["losses"]) == (row.arm == "on") and len(epoch["losses"]["total"]) == 2
    faulty = {**epoch["losses"], "total": np.array(epoch["losses"]["total"]) - 5 * np.array(epoch["losses"]["contrastive"])}
    caught(check, faulty)  # the term left out


def test_9_components_are_compared_one_by_one(experiment, monkeypatch):
    def check():
        write_report(experiment.folder, experiment.request, experiment.rows)
        report = (experiment.folder.path / "report.md").read_text(encoding="utf-8")
        rows = section(report, "Loss components at the end")
        for title, name in (("pixel (L1)", "pixel"), ("CTC, nats a line", "ctc"), ("contrastive", "contrastive"), ("total", "total")):
            means = [[metrics_of(experiment.folder, row.id)[-1]["training_losses"].get(name, math.nan) for row in experiment.rows
                      if row.arm == arm] for arm in ("off", "on")]
            assert rows[title][:2] == ["-" if math.isnan(sum(held)) else f"{np.mean(held):#.4g}" for held in means]
        without = [float(value) for value in rows["total without the contrastive term"][:2]]
        assert without[0] == float(rows["total"][0]) and without[1] < float(rows["total"][1])
        assert "not comparable" in report.split("### Loss components")[1]

    check()
    monkeypatch.setattr(tune.loss_changes, "components", lambda pair: ["total"])
    with pytest.raises(KeyError):
        check()


# 10. Forty trials, none complete: metrics of another run, no report for the pruner, a seed a trial, and a failed trial won.

class Deaf(OptunaSearcher):
    """The faulty searcher: hears of no epoch."""

    def on_trial_result(self, trial_id, result):
        pass


def asked(tmp_path, searcher=OptunaSearcher):
    """A search whose trials fail with the best values, but for the third; its proposals and its journal."""
    tmp_path.mkdir()
    held = searcher(SEARCH, tmp_path / "study.journal", 5, 0)
    held.open()
    proposals = []
    for number in range(5):
        proposals.append(held.suggest("now"))
        result = {"epoch": 1, "value": 1.0, "status": "running"}
        held.on_trial_result("now", result)
        held.on_trial_complete("now", {**result, "epoch": 2, "best_value": 1.0, "best_epoch": 1,
                                       "status": "complete" if number == 2 else "failed"})
    return proposals, [trial for _, trial in held.all_trials()]


def test_10_the_search_hears_every_epoch_of_its_own_trials(experiment, tmp_path):
    def check(journal, metrics_of=metrics_of):
        for trial, row in zip(journal, experiment.rows, strict=True):
            values = [objective_value("score", epoch["validation"]) for epoch in metrics_of(experiment.folder, row.id)]
            assert trial.state == TrialState.COMPLETE and trial.value == max(values)
            assert trial.intermediate_values == dict(enumerate(values, start=1)) and len(values) == 3

    check(experiment.journal)
    caught(check, experiment.journal, lambda folder, trial: metrics_of(folder, "off-000"))  # another run's

    def heard(journal):
        assert [list(trial.intermediate_values) for trial in journal] == [[1, 2]] * 5, "failed trials and last epochs too"

    heard(asked(tmp_path / "right")[1])
    caught(heard, asked(tmp_path / "deaf", Deaf)[1])


def test_10_only_a_finished_trial_can_win(experiment, tmp_path):
    good = replace(experiment.rows[0], value=-40.0)
    failed, pruned = (replace(good, id=status, status=status, value=99.0) for status in ("failed", "pruned"))

    def check(best):
        assert best([failed, good, pruned]) is good
        assert best([failed, pruned] * 20) is None, "of forty trials without a finished one there is no best"

    check(best_row)
    caught(check, lambda rows: max(rows, key=lambda row: row.value))
    assert [trial.state for trial in asked(tmp_path / "search")[1]].count(TrialState.COMPLETE) == 1


def test_10_a_search_has_one_seed(new_study, inputs, tmp_path):
    proposals, _ = asked(tmp_path / "search")
    plan = plan_of(*reversed(new_study(SEARCH)), "score")

    def check(proposals):
        assert {plan.config.replace(proposal["values"]).train.seed for proposal in proposals} == {0}

    check(proposals)
    caught(check, [{**proposal, "values": {**proposal["values"], "train.seed": n}} for n, proposal in enumerate(proposals)])
    with pytest.raises(SpaceError, match="the seed is not searched"):
        space_from_plain({"space": {"train.seed": {"int": [0, 9]}}})
