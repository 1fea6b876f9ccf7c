"""The loop and its checkpoints: one report per epoch, divergence with its cause, exact resume."""

import errno
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from ganhtr import atomic
from ganhtr.atomic import write_atomically
from ganhtr.data.batches import step_indices
from ganhtr.train import fit as fit_module
from ganhtr.train.checkpoint import read_checkpoint, restore_state, save_checkpoint, save_generator
from ganhtr.train.evaluate import by_generator, evaluate
from ganhtr.train.finite import Diverged
from ganhtr.train.fit import Bench, fit, samples, training_batches
from ganhtr.train.step import train_step

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
OFF = {"contrastive.formulation": "none"}
VALIDATED = {"psnr", "ssim", "cer", "wer", "judge_cer", "judge_wer", "ctc", "infeasible"}
TIMED = {"seconds", "validation_seconds", "pretraining_seconds", "peak_memory_mb"}
LOSSES = {"total", "pixel", "feature", "ctc", "adversarial", "discriminator"}
OTHERS = {"generator_norm", "discriminator_norm", "accuracy_real", "accuracy_fake"}
MATCHED = {"matcher_norm", "retrieval_top1", "length_top1", "contrastive_position"}


def insides(state):
    """Everything that a step changes."""
    return [
        state.step,
        {name: module.state_dict() for name, module in state.modules().items()},
        {name: optimizer.state_dict() for name, optimizer in state.optimizers.items()},
    ]


def numbers(report):
    """What a report says, but for the time it took."""
    lines = report.evaluation
    arrays = [lines.psnr, lines.ssim, lines.ctc, lines.guide.char_edits, lines.judge.char_edits]
    return [report.epoch, report.steps, report.infeasible, [array.tolist() for array in arrays]]


@pytest.mark.parametrize("overrides", [OFF, {}], ids=["off", "on"])
def test_an_epoch_is_a_report(overrides, bench, new_state, small):
    state = new_state(small(**overrides))
    on = state.matcher is not None
    reports = []
    for report in fit(state, bench):
        reports.append(report)
        assert state.step == 3 * len(reports) and state.epoch == report.epoch == len(reports)
        once = {"contrastive_ratio"} if on else set()
        expected = LOSSES | OTHERS | (MATCHED | {"contrastive"} if on else set())
        lengths = {name: len(values) for name, values in report.steps.items()}
        assert lengths == dict.fromkeys(expected, 3) | dict.fromkeys(once, 1)
        metrics = report.metrics()
        losses = {f"train_{name}" for name in LOSSES | ({"contrastive"} if on else set())}
        matched = MATCHED if on else set()
        assert metrics.keys() == VALIDATED | losses | OTHERS | matched | once | TIMED | {
            "train_infeasible"
        }
        assert metrics["train_ctc"] == pytest.approx(sum(report.steps["ctc"]) / 3)
        assert metrics["ctc"] == report.evaluation.metrics()["ctc"] != metrics["train_ctc"]
        assert math.isnan(report.mean("contrastive")) != on
        assert 0 < report.validation_seconds < report.seconds and report.peak_memory_mb == 0
    assert len(reports) == 2 and list(fit(state, bench)) == []


def test_a_report_tells_the_steps_that_were_taken(bench, new_state, small):
    state, by_hand = new_state(small()), new_state(small())
    (first, second) = fit(state, bench)
    measured = [
        train_step(
            by_hand,
            bench.guide,
            bench.train.take(step_indices(10, 4, step, 0)),
            bench.pixels_per_character,
            measure=step % 3 == 0,
        )
        for step in range(6)
    ]
    for name in ("total", "contrastive", "accuracy_fake", "length_top1", "matcher_norm"):
        assert first.steps[name] + second.steps[name] == [
            values[name].item() for values in measured
        ]
    assert [first.steps["contrastive_ratio"], second.steps["contrastive_ratio"]] == [
        [measured[step]["contrastive_ratio"].item()] for step in (0, 3)
    ]


def test_every_validation_line_counts_once(bench, new_state, small, pairs):
    assert len(pairs.validation) == 18  # one evaluation batch and two lines
    state = new_state(small())
    *_, report = fit(state, bench)
    evaluation = report.evaluation
    assert not state.restorer.training
    assert evaluation.guide.char_lengths.tolist() == [
        len(text) for text in pairs.validation.transcripts
    ]
    by_line = []
    with torch.no_grad():
        for i, width in enumerate(pairs.validation.widths):
            batch = bench.validation.take(np.array([i]))
            restored = state.generator(batch.degraded)[0, 0, :, :width]
            by_line.append(
                -10 * math.log10(((restored - batch.clean[0, 0, :, :width]) ** 2).mean().item())
            )
    assert evaluation.psnr == pytest.approx(by_line, rel=1e-4)
    assert report.metrics()["psnr"] == pytest.approx(np.mean(by_line), rel=1e-4)


def test_the_generator_trains_again_after_an_evaluation(bench, new_state, small):
    state = new_state(small())
    running = fit(state, bench)
    next(running)
    before = state.generator.encoder[0][0][2].running_mean.clone()
    next(running)
    assert not torch.equal(before, state.generator.encoder[0][0][2].running_mean)


def test_infeasible_lines_are_reported(small, make_pairs, make_inputs, new_state):
    long = "abababababababababababab"
    pairs = make_pairs(train=("ab", long, "ba", "a", "b"), validation=("a", long))
    bench = Bench.of(make_inputs(small(), pairs), CPU)
    state = new_state(small(**{"train.steps_per_epoch": 5, "train.epochs": 1}))
    state.charset = pairs.charset
    (report,) = fit(state, bench)  # 20 lines seen, in four passes of five
    assert report.infeasible == pytest.approx(0.2)
    assert report.evaluation.infeasible.tolist() == [False, True]
    assert report.evaluation.ctc[1] == 0
    assert report.metrics()["infeasible"] == 0.5
    assert report.metrics()["ctc"] == pytest.approx(report.evaluation.ctc[0])


def test_a_batch_larger_than_the_split_is_refused(bench, new_state, small):
    with pytest.raises(ValueError, match="train.batch_size must be at most"):
        next(fit(new_state(small(**{"train.batch_size": 11})), bench))


@pytest.mark.parametrize(
    ("module", "part"),
    [("generator", "pixel"), ("discriminator", "discriminator"), ("matcher", "contrastive")],
)
def test_a_poisoned_network_is_named(module, part, bench, new_state, small):
    state = new_state(small())
    with torch.no_grad():
        next(state.modules()[module].parameters()).view(-1)[0] = float("nan")
    with pytest.raises(
        Diverged, match=f"diverged: {part} was not finite in epoch 1, step 1"
    ) as caught:
        next(fit(state, bench))
    assert (caught.value.epoch, caught.value.step, caught.value.part) == (1, 1, part)


@pytest.mark.parametrize("part", ["ctc", "matcher_norm", "total"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_first_spoilt_step_is_named(part, value, bench, new_state, small, monkeypatch):
    def poisoned(state, *arguments, **options):
        values = train_step(state, *arguments, **options)
        spoilt = {5: {part, "total"}, 6: {"pixel", "total"}}.get(state.step, set())
        return {**values, **{name: torch.tensor(value) for name in spoilt}}

    monkeypatch.setattr(fit_module, "train_step", poisoned)
    running = fit(new_state(small()), bench)
    next(running)
    with pytest.raises(Diverged) as caught:
        next(running)
    assert (caught.value.epoch, caught.value.step, caught.value.part) == (2, 2, part)


def test_a_divergence_can_be_pickled():
    error = pickle.loads(pickle.dumps(Diverged(3, 7, "ctc")))
    assert (type(error), error.epoch, error.step, error.part) == (Diverged, 3, 7, "ctc")
    assert str(error) == "diverged: ctc was not finite in epoch 3, step 7"


def test_samples_show_the_first_validation_lines(bench, new_state, small, pairs):
    state = new_state(small())
    images = samples(state, bench, 3)
    assert images.shape == (3, 3, 32, 64) and images.dtype == np.uint8
    assert np.array_equal(images[:, 0], pairs.validation.degraded[:3])
    assert np.array_equal(images[:, 2], pairs.validation.clean[:3])
    outside = np.arange(64) >= pairs.validation.widths[:3, None, None]
    assert (np.where(outside, images[:, 1], 255) == 255).all() and images[:, 1].min() < 255
    assert samples(state, bench, 99).shape[0] == 18


@pytest.mark.parametrize(
    "overrides",
    [
        OFF,
        {
            "contrastive.learned_temperature": True,
            "head.kind": "mlp_bn",
            "contrastive.queue": 6,
            "train.schedule": "plateau",
            "contrastive.negatives": "edited",
            "train.micro_batch": 2,
        },
        {
            "contrastive.formulation": "clip",
            "train.discriminator_optimizer": "sgd",
            "train.discriminator_text": "predicted",
            "train.schedule": "cosine",
            "train.ema": 0.9,
            "contrastive.pretrain": 3,
        },
    ],
    ids=["off", "infonce", "clip"],
)
def test_a_resumed_run_is_the_unbroken_one(
    overrides, bench, new_state, small, same_tensors, tmp_path
):
    config = small(**overrides, **{"train.epochs": 3})
    unbroken, broken, resumed = (new_state(config) for _ in range(3))
    reports = list(fit(unbroken, bench))
    next(fit(broken, bench))
    save_checkpoint(tmp_path / "last.pt", broken, {"patience": 3})
    torch.manual_seed(99)
    checkpoint = read_checkpoint(tmp_path / "last.pt", CPU)
    restore_state(resumed, checkpoint)
    assert checkpoint["progress"] == {"patience": 3} and resumed.epoch == 1
    assert same_tensors(insides(resumed), insides(broken))
    rest = list(fit(resumed, bench))
    assert [numbers(report) for report in rest] == [numbers(report) for report in reports[1:]]
    assert same_tensors(insides(resumed), insides(unbroken))
    assert not same_tensors(insides(resumed)[1], insides(broken)[1])


@pytest.fixture
def saved(new_state, bench, small, tmp_path):
    """The file of a checkpoint after an epoch, and its state."""
    state = new_state(small())
    next(fit(state, bench))
    save_checkpoint(tmp_path / "last.pt", state, {})
    return tmp_path / "last.pt", state


class Harm:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_no_code_of_a_checkpoint_runs(saved, tmp_path):
    path, _ = saved
    torch.save(
        {
            "step": 1,
            "progress": Harm(tmp_path / "harm"),
            "schedule": {},
            "modules": {},
            "optimizers": {},
        },
        path,
    )
    with pytest.raises(ValueError, match="last.pt: cannot load this file as the checkpoint"):
        read_checkpoint(path, CPU)
    path.write_bytes(pickle.dumps(Harm(tmp_path / "harm")))
    with pytest.raises(ValueError, match="last.pt: cannot load this file as the checkpoint"):
        read_checkpoint(path, CPU)
    assert not (tmp_path / "harm").exists()


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize(
    "damage",
    [
        "missing",
        "empty",
        "text",
        "pickle",
        "half",
        "cut tail",
        "flipped bit",
        "list",
        "tensor",
        "lacking",
    ],
)
def test_a_damaged_checkpoint_is_named(damage, saved):
    path, _ = saved
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda record: record.file_size)
    # inside the record, which begins after a header of at least 30 bytes and its padding
    middle = largest.header_offset + 30 + largest.file_size // 2
    if damage == "missing":
        path.unlink()
    elif damage in ("list", "tensor", "lacking"):
        torch.save({"list": [1], "tensor": torch.ones(3), "lacking": {"step": 1}}[damage], path)
    else:
        path.write_bytes(
            {
                "empty": b"",
                "text": b"no checkpoint",
                "pickle": b"\x80\x02.",
                "cut tail": whole[:-1],
                "half": whole[: len(whole) // 2],
                "flipped bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            }[damage]
        )
    with pytest.raises(
        ValueError,
        match="(?s)last.pt: cannot load .* as the checkpoint of a trial .* Delete it to start",
    ):
        read_checkpoint(path, CPU)


@pytest.mark.parametrize(
    "other",
    [
        OFF,
        {"head.dim": 7},
        {"generator.base": 3},
        {"head.kind": "mlp_bn"},
        {"contrastive.queue": 8},
        {"train.ema": 0.5},
    ],
    ids=str,
)
def test_a_checkpoint_of_another_configuration_is_refused(other, saved, new_state, small):
    checkpoint = read_checkpoint(saved[0], CPU)
    with pytest.raises((RuntimeError, KeyError)):
        restore_state(new_state(small(**other)), checkpoint)


def test_an_arm_without_matcher_gives_none_to_one_with(new_state, small, tmp_path):
    save_checkpoint(tmp_path / "off.pt", new_state(small(**OFF)), {})
    with pytest.raises((RuntimeError, KeyError), match="matcher"):
        restore_state(new_state(small()), read_checkpoint(tmp_path / "off.pt", CPU))


def test_a_failed_write_leaves_the_old_checkpoint(saved, monkeypatch, bench):
    path, state = saved
    before = path.read_bytes()
    next(fit(state, bench))

    def full(*arguments):
        raise OSError("no space left")

    for place in ("torch.save", "os.fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            with pytest.raises(OSError, match="no space left"):
                save_checkpoint(path, state, {})
        assert path.read_bytes() == before
    save_checkpoint(path, state, {})
    assert read_checkpoint(path, CPU)["step"] == 6
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]


def test_bytes_are_on_the_disk_before_the_file_appears(tmp_path, monkeypatch):
    seen = []

    def sync(number):
        seen.append((os.fstat(number).st_size, (tmp_path / "a").exists()))

    monkeypatch.setattr(atomic.os, "fsync", sync)
    write_atomically(tmp_path / "a", b"four")
    assert seen == [(4, False)] and (tmp_path / "a").read_bytes() == b"four"


def test_an_ended_checkpoint_holds_no_optimisers(saved, same_tensors, tmp_path):
    path, state = saved
    save_checkpoint(tmp_path / "ended.pt", state, {"status": "complete"}, optimizers=False)
    ended = read_checkpoint(tmp_path / "ended.pt", CPU)
    assert ended["optimizers"] == {} and ended["progress"] == {"status": "complete"}
    assert same_tensors(
        ended["modules"],
        {name: dict(module.state_dict()) for name, module in state.modules().items()},
    )
    assert (tmp_path / "ended.pt").stat().st_size < path.stat().st_size


def test_the_saved_generator_restores_alike(saved, new_state, bench, small, tmp_path):
    from safetensors.torch import load_file

    _, state = saved
    save_generator(tmp_path / "best.safetensors", state)
    other = new_state(small(**{"train.seed": 5}))
    other.restorer.load_state_dict(load_file(tmp_path / "best.safetensors"), strict=True)
    a, b = (
        evaluate(by_generator(s.restorer), bench.validation, bench.guide, bench.judge)
        for s in (state, other)
    )
    assert np.array_equal(a.psnr, b.psnr)


def test_the_average_is_evaluated_shown_and_saved(new_state, bench, small, tmp_path):
    """With `train.ema` training itself is unchanged, and the averaged weights are the result."""
    from safetensors.torch import load_file

    plain, averaged = new_state(small(**OFF)), new_state(small(**OFF, **{"train.ema": 0.9}))
    first, second = (list(fit(state, bench))[-1] for state in (plain, averaged))
    assert first.steps == second.steps
    assert not np.array_equal(first.evaluation.psnr, second.evaluation.psnr)
    images = [samples(state, bench, 2)[:, 1] for state in (plain, averaged)]
    assert not np.array_equal(*images)
    save_generator(tmp_path / "best.safetensors", averaged)
    plain.generator.load_state_dict(load_file(tmp_path / "best.safetensors"), strict=True)
    again = evaluate(by_generator(plain.generator), bench.validation, bench.guide, bench.judge)
    assert np.array_equal(again.psnr, second.evaluation.psnr)


def test_epochs_can_be_measured_on_some_lines(inputs, new_state, small, pairs):
    some = Bench.of(inputs, CPU, epoch_lines=3)
    (report, *_) = fit(new_state(small(**OFF)), some)
    assert report.evaluation.psnr.shape == (3,) and len(some.validation) == len(pairs.validation)
    last = len(pairs.validation) - 1
    expected = tuple(pairs.validation.names[i] for i in (0, round(last / 2), last))
    assert some.epoch_lines.lines.names == expected


def test_a_checkpoint_is_written_without_a_copy_in_memory(saved, monkeypatch):
    """At preset `seed` a checkpoint has 2 GB."""
    path, state = saved
    save, targets = torch.save, []

    def watched(values, target):
        targets.append(target)
        save(values, target)

    monkeypatch.setattr(torch, "save", watched)
    save_checkpoint(path, state, {})
    assert [target.name.endswith(".writing") for target in targets] == [True]


def test_a_disk_that_fills_up_within_a_checkpoint_is_an_oserror(saved):
    """PyTorch raises a RuntimeError where the file's write() raises an OSError."""
    program = """
import resource, signal, sys
from pathlib import Path
import torch
from ganhtr.atomic import write_torch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, 10**5))
try:
    write_torch(Path(sys.argv[1]), {"a": torch.zeros(10**5)})
except OSError as error:
    print(error.errno, error.filename)
"""
    before = saved[0].read_bytes()
    run = [sys.executable, "-c", program, str(saved[0])]
    printed = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert printed.split() == [str(errno.EFBIG), str(saved[0])]
    assert saved[0].read_bytes() == before and len(list(saved[0].parent.iterdir())) == 1


@pytest.mark.parametrize(("first", "noticed"), [(4, 25), (25, 25), (30, 50)])
def test_a_run_that_diverges_ends_within_the_epoch(
    first, noticed, new_state, bench, small, monkeypatch
):
    state = new_state(small(**OFF, **{"train.steps_per_epoch": 1000}))
    step = fit_module.train_step

    def diverging(*arguments):
        values = step(*arguments)
        return {**values, "ctc": values["ctc"] * float("nan")} if state.step >= first else values

    monkeypatch.setattr(fit_module, "train_step", diverging)
    with pytest.raises(Diverged, match=f"ctc was not finite in epoch 1, step {first}$"):
        next(fit(state, bench))
    assert state.step == noticed


def test_fresh_images_made_ahead_by_processes_are_those_made_here(new_state, bench, small):
    config = small(**{"augment.fresh": 0.7, "train.epochs": 7, "train.steps_per_epoch": 2})
    made = []
    for processes in (0, 1):
        state = new_state(config)
        state.step = 2  # resumed
        with closing(training_batches(state, bench.train, processes)) as batches:
            made.append([(indices.tolist(), batch.degraded) for indices, batch in batches])
    assert len(made[0]) == 12
    for (here, image), (there, other) in zip(*made, strict=True):
        assert here == there and torch.equal(image, other)


def test_a_run_that_is_left_ends_the_processes_that_work_ahead(new_state, bench, small):
    state = new_state(small(**{"augment.fresh": 1.0}))
    with closing(training_batches(state, bench.train, 1)) as batches:
        next(batches)
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()


def test_the_processes_that_work_ahead_end_with_a_killed_run(tmp_path):
    program = """
import os, signal
import numpy as np
from ganhtr.config_sections import AugmentConfig
from ganhtr.data.augment import degraded_ahead
from ganhtr.data.pairs import Lines

if __name__ == "__main__":
    image = np.zeros((2, 16, 32), dtype=np.uint8)
    lines = Lines(image, image, np.array([32, 32]), ("a", "b"), ("a", "b"), ("a", "b"))
    with degraded_ahead(lines, AugmentConfig(fresh=1.0), 0, 1) as images:
        next(images((step, np.array([0])) for step in range(9)))
        import multiprocessing
        print(multiprocessing.active_children()[0].pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""
    (tmp_path / "run.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = [sys.executable, str(tmp_path / "run.py")]
    ended = subprocess.run(run, capture_output=True, text=True, env=environment)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    child = Path("/proc") / ended.stdout.strip()
    deadline = time.monotonic() + 20
    while child.exists() and "Z" not in (child / "stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the process outlived the run"
        time.sleep(0.1)
