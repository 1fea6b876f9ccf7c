"""Training of both kinds of recognizers: clean lines only, warm start, resumed training."""

import dataclasses
import io
import re
import zipfile

import numpy as np
import pytest
import torch

from ganhtr.charset import Charset
from ganhtr.config_sections import RecognizerConfig, RecognizerTrainingConfig
from ganhtr.data.batches import LineBatches
from ganhtr.data.drawn.fonts import stroke_fonts
from ganhtr.data.drawn.synthetic import render_line
from ganhtr.data.pairs import Lines, Pairs, fit_line
from ganhtr.models.recognizer import build_recognizer
from ganhtr.recognizers import training as recognizer_training
from ganhtr.recognizers.checkpoint import CheckpointError
from ganhtr.recognizers.readings import recognizer_cer
from ganhtr.recognizers.training import (
    Recipe,
    augment,
    begin,
    part_of,
    train_recognizer,
    train_to_file,
    warm_start,
)
from ganhtr.recognizers.weights import RecognizerWeights

CPU = torch.device("cpu")
TRAINING = RecognizerTrainingConfig(epochs=4, batch_size=4, lr=0.02)
OTHER = {
    "kind": "transformer",
    "base": 5,
    "dim": 16,
    "layers": 2,
    "heads": 4,
    "dropout": 0.2,
    "seed": 9,
}


@pytest.fixture
def config(small):
    return small().guide


def trained(config, pairs, printed=None, **options):
    return train_recognizer(
        Recipe(pairs, config, TRAINING),
        CPU,
        [].append if printed is None else printed.append,
        **options,
    )


def equal(a, b):
    """Whether the arrays of two recognizers are equal, bit by bit."""
    return a.keys() == b.keys() and all(
        np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a
    )


def poisoned(lines):
    """The same number of lines, all else noise."""
    noise = np.random.default_rng(0).integers(0, 256, lines.clean.shape, dtype=np.uint8)
    return dataclasses.replace(
        lines, clean=noise, degraded=noise, transcripts=("fff",) * len(lines)
    )


def test_training_lowers_the_loss_and_says_so(config, pairs):
    printed = []
    made = trained(config, pairs, printed)
    losses = [float(re.search(r"epoch \d/4, CTC ([\d.]+) nats", line)[1]) for line in printed]
    assert len(losses) == 4 and losses[-1] < 0.8 * losses[0]
    assert [line.split(",")[0] for line in printed] == [
        f"recognizer: epoch {i}/4" for i in range(1, 5)
    ]
    assert f"CER {made.cer:.1%}" in printed[-1]
    content = LineBatches(pairs.validation, pairs.charset, CPU)
    assert recognizer_cer(made.build(CPU), content) == pytest.approx(made.cer)


@pytest.mark.parametrize("kind", ["crnn", "transformer"])
def test_the_same_seed_trains_the_same_recognizer(kind, config, pairs):
    config = dataclasses.replace(config, kind=kind, dropout=0.3)
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(made))
        made.append(trained(dataclasses.replace(config, seed=seed), pairs).arrays)
    assert equal(made[0], made[1]) and not equal(made[0], made[2])
    assert all(np.isfinite(array).all() for array in made[0].values())


def test_every_step_of_every_epoch_is_in_training_mode(config, pairs):
    plain, dropped = (
        trained(dataclasses.replace(config, dropout=dropout), pairs).arrays
        for dropout in (0.0, 0.5)
    )
    assert plain["convolutions.1.num_batches_tracked"] == 4 * 2
    assert not np.array_equal(plain["classify.weight"], dropped["classify.weight"])


def test_only_clean_training_lines_are_trained_on(config, pairs):
    made = trained(config, pairs)
    degraded = np.zeros_like(pairs.train.degraded)
    other = dataclasses.replace(
        pairs,
        validation=poisoned(pairs.validation),
        train=dataclasses.replace(pairs.train, degraded=degraded),
    )
    again = trained(config, other)
    assert equal(made.arrays, again.arrays)
    assert not equal(
        made.arrays, trained(config, dataclasses.replace(pairs, train=poisoned(pairs.train))).arrays
    )


def test_fewer_lines_than_a_batch_train_all_the_same(config, make_pairs):
    printed = []
    trained(config, make_pairs(train=("ab", "cd")), printed)
    assert len(printed) == 4 and all("nan" not in line for line in printed)


def test_variation_moves_and_tints_the_ink_alone():
    clean = torch.ones((3, 1, 32, 20))
    clean[:, :, 10:20, 5:9] = 0.1
    shifts = set()
    for seed in range(30):
        made = augment(clean, np.random.default_rng(seed))
        ink = made < 1
        rows = ink[0, 0].any(dim=1).nonzero().flatten()
        assert ink.sum() == 3 * 40 and len(rows) == 10 and 0 <= made.min() <= made.max() <= 1
        assert (ink[:, :, :, 5:9].sum(dim=(1, 2, 3)) == 40).all()
        shifts.add(int(rows[0]) - 10)
        tints = ((1 - made) / 0.9).amax(dim=(1, 2, 3))
        assert (
            tints.min() >= 0.75 - 1e-6
            and tints.max() <= 1.1 + 1e-6
            and len(set(tints.tolist())) == 3
        )
    assert shifts == {-2, -1, 0, 1, 2}


def test_ink_at_an_edge_is_cut_off_and_does_not_return_at_the_other():
    clean = torch.ones((1, 1, 32, 4))
    clean[:, :, :3] = 0.0
    for seed in range(30):
        made = augment(clean, np.random.default_rng(seed))
        assert (made[:, :, 16:] == 1).all()
        rows = (made[0, 0, :, 0] < 1).nonzero().flatten().tolist()
        assert rows == list(range(rows[0], rows[-1] + 1)) and len(rows) in (1, 2, 3)


def test_a_warm_start_copies_class_rows_by_character(config, pairs, fresh_recognizer):
    start = fresh_recognizer(config, pairs)  # charset " abcdef"
    charset = Charset("fzb a")
    recognizer = build_recognizer(config, charset.classes, 32, 64)
    original = {name: tensor.clone().numpy() for name, tensor in recognizer.state_dict().items()}
    assert (
        warm_start(recognizer, start, charset)
        == f"{len(original)} of {len(original)} arrays, 4 of 5 characters"
    )
    source_of = {0: 0, 1: 7, 3: 3, 4: 1, 5: 2}  # blank, f, b, space, a; z (2) is new
    for name, tensor in recognizer.state_dict().items():
        if name.split(".")[0] in ("classify", "shortcut"):
            for to, take in source_of.items():
                assert np.array_equal(tensor[to].numpy(), start.arrays[name][take]), (name, to)
            assert np.array_equal(tensor[2].numpy(), original[name][2])
        else:
            assert np.array_equal(tensor.numpy(), start.arrays[name]), name


def test_a_warm_start_permutes_rows_of_a_charset_of_equal_size(config, pairs, fresh_recognizer):
    start = fresh_recognizer(config, pairs)
    recognizer = build_recognizer(config, 8, 32, 64)
    warm_start(recognizer, start, Charset("fedcba "))
    assert np.array_equal(
        recognizer.classify.weight[1:].detach().numpy(), start.arrays["classify.weight"][:0:-1]
    )


def test_a_warm_start_leaves_what_does_not_fit(config, pairs, fresh_recognizer):
    start = fresh_recognizer(config, pairs)
    recognizer = build_recognizer(
        dataclasses.replace(config, dim=10), pairs.charset.classes, 32, 64
    )
    original = {name: tensor.clone() for name, tensor in recognizer.state_dict().items()}
    words = warm_start(recognizer, start, pairs.charset)
    fitting = [
        name for name, tensor in original.items() if tuple(tensor.shape) == start.arrays[name].shape
    ]
    assert words == f"{len(fitting)} of {len(original)} arrays, 7 of 7 characters" and 0 < len(
        fitting
    ) < len(original)
    assert torch.equal(recognizer.classify.weight, original["classify.weight"])
    assert np.array_equal(
        recognizer.state_dict()["shortcut.weight"].numpy(), start.arrays["shortcut.weight"]
    )


def eight_words(height):
    """Eight lines twice as wide as they are high, to train on and to read again."""
    words = ("abc", "dead", "face", "bad", "cab", "ace", "decade", "fade")
    rows = [
        fit_line(
            render_line(
                word, height, np.random.default_rng([5, i]), stroke_fonts()[i % 3], 2 * height
            ),
            height,
            2 * height,
        )
        for i, word in enumerate(words)
    ]
    clean, widths = (np.array(column) for column in zip(*rows, strict=True))
    lines = Lines(clean, clean, widths.astype(np.int32), words, words, words)
    return Pairs(lines, lines, Charset.of(words), "eight", "d", "c")


@pytest.mark.parametrize(
    ("height", "settings", "epochs", "lr"),
    [
        (32, {"kind": "crnn", "base": 8, "dim": 32, "layers": 1}, 70, 0.01),
        (
            64,
            {"kind": "transformer", "base": 2, "dim": 32, "layers": 2, "heads": 4},
            100,
            0.004,
        ),  # its frames are twice as wide
    ],
    ids=["crnn", "transformer"],
)
def test_both_kinds_learn_to_read(height, settings, epochs, lr):
    pairs = eight_words(height)
    made = train_recognizer(
        Recipe(pairs, RecognizerConfig(**settings), RecognizerTrainingConfig(epochs, 8, lr)),
        CPU,
        [].append,
    )
    content = LineBatches(pairs.validation, pairs.charset, CPU)
    assert recognizer_cer(made.build(CPU), content) < 0.2  # frozen and in eval mode


def test_early_batch_norm_statistics_follow_the_batches(pairs):
    """With a momentum of 0.01 alone, a trained recognizer could not read in eval mode."""
    recipe = Recipe(
        pairs, RecognizerConfig("transformer", 2, 8, 1, 2), RecognizerTrainingConfig(20, 4, 1e-7)
    )
    state, lines = begin(recipe, 2, CPU), LineBatches(pairs.train, pairs.charset, CPU)
    norm, means = state.recognizer.convolutions[1], []
    state.recognizer.convolutions[0].register_forward_hook(
        lambda module, inputs, made: means.append(made.detach().mean(dim=(0, 2, 3)))
    )
    state.recognizer.train()
    expected = torch.zeros_like(norm.running_mean)
    for step in range(20):
        recognizer_training.train_step(state, lines, 4, step, 0)
        expected = expected.lerp(means[-1], 9 / (10 + step))
        assert torch.allclose(norm.running_mean, expected, atol=1e-5)


def test_lines_that_no_path_can_spell_are_counted_and_only_those_are_refused(config, make_pairs):
    printed = []
    trained(config, make_pairs(train=("ab", "ab" * 12, "cd")), printed)
    assert printed[0] == (
        "recognizer: 1 of 3 training lines are not used: their transcriptions need more frames "
        "than the lines have"
    )
    fault = r"every transcription needs more frames .* \(4 pixels per frame\).*data.height"
    with pytest.raises(ValueError, match=fault):
        trained(config, make_pairs(train=("ab" * 12,) * 4))


def test_a_loss_that_is_no_number_stops_the_training(config, pairs, monkeypatch):
    monkeypatch.setattr(
        recognizer_training, "ctc", lambda logits, *rest: logits.sum(dim=(1, 2)) * float("nan")
    )
    fault = "recognizer: the CTC loss is nan in epoch 1. Lower recognizer_training.lr"
    with pytest.raises(ValueError, match=fault):
        trained(config, pairs)


class Killed(BaseException):
    """The end of a process, as far as one can be had in a test."""


def broken_off(path, recipe, monkeypatch, step=None, saving=False, resume=False):
    """Train until `step`, or until the weights are about to be saved; returns the output."""
    printed, original = [], recognizer_training.train_step
    with monkeypatch.context() as patch:

        def die(state, lines, batch_size, number, seed):
            if number == step:
                raise Killed
            return original(state, lines, batch_size, number, seed)

        def die_saving(*_):
            raise Killed

        patch.setattr(recognizer_training, "train_step", die)
        if saving:
            patch.setattr(RecognizerWeights, "save", die_saving)
        with pytest.raises(Killed):
            train_to_file(path, recipe, CPU, printed.append, resume=resume)
    return printed


@pytest.mark.parametrize("kind", ["crnn", "transformer"])
def test_a_training_that_was_broken_off_ends_with_the_same_file(
    kind, config, pairs, tmp_path, monkeypatch, fresh_recognizer
):
    config = dataclasses.replace(config, kind=kind, dropout=0.3)
    start = fresh_recognizer(config, make_other(pairs))
    recipe = Recipe(pairs, config, TRAINING, start)  # 4 epochs of 2 steps
    printed, whole, broken = [], tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    train_to_file(whole, recipe, CPU, printed.append)
    kept = part_of(broken)
    assert (
        not any("resumed" in line for line in broken_off(broken, recipe, monkeypatch, step=3))
        and kept.exists()
        and not broken.exists()
    )
    torch.manual_seed(99)
    again = broken_off(broken, recipe, monkeypatch, step=6, resume=True)
    assert "recognizer: resumed after epoch 1 of 4" in again and not any(
        "starts from" in line for line in again
    )
    assert [line.split(",")[0] for line in again if "CTC" in line] == [
        "recognizer: epoch 2/4",
        "recognizer: epoch 3/4",
    ]
    assert broken_off(broken, recipe, monkeypatch, saving=True, resume=True)[-1] == printed[-1]
    train_to_file(broken, recipe, CPU, again.append, resume=True)
    assert again[-1] == "recognizer: resumed after epoch 4 of 4"
    assert whole.read_bytes() == broken.read_bytes() and sorted(tmp_path.iterdir()) == [
        broken,
        whole,
    ]
    assert not equal(
        RecognizerWeights.load(whole).arrays,
        train_recognizer(dataclasses.replace(recipe, start=None), CPU, printed.append).arrays,
    )


def make_other(pairs):
    """The same lines, to be read by another charset."""
    return dataclasses.replace(pairs, charset=Charset("fedcba"))


def test_without_resume_a_training_starts_anew(config, pairs, tmp_path, monkeypatch):
    path, recipe = tmp_path / "r.safetensors", Recipe(pairs, config, TRAINING)
    broken_off(path, recipe, monkeypatch, step=5)
    assert broken_off(path, recipe, monkeypatch, step=1) == [] and not part_of(path).exists()


@pytest.fixture
def checkpoint(config, pairs, tmp_path, monkeypatch):
    """The path of a recognizer whose training was broken off after the second epoch."""
    path = tmp_path / "r.safetensors"
    broken_off(path, Recipe(pairs, config, TRAINING), monkeypatch, step=5)
    return path


CHANGED = [("guide", key, value) for key, value in OTHER.items()] + [
    ("recognizer_training", "epochs", 5),
    ("recognizer_training", "batch_size", 5),
    ("recognizer_training", "lr", 0.01),
]


@pytest.mark.parametrize(
    ("section", "key", "value"), CHANGED, ids=[f"{section}.{key}" for section, key, _ in CHANGED]
)
def test_a_checkpoint_of_other_settings_is_refused(section, key, value, checkpoint, config, pairs):
    recipe = Recipe(pairs, config, TRAINING)
    recipe = (
        dataclasses.replace(recipe, config=dataclasses.replace(config, **{key: value}))
        if section == "guide"
        else dataclasses.replace(recipe, training=dataclasses.replace(TRAINING, **{key: value}))
    )
    content = part_of(checkpoint).read_bytes()
    with pytest.raises(
        CheckpointError,
        match=rf"\.part: .*\({section}\.{key} is \S+ in the file and {value!r} here\)",
    ):
        train_to_file(checkpoint, recipe, CPU, [].append, resume=True)
    assert part_of(checkpoint).read_bytes() == content


def test_a_checkpoint_of_other_lines_charset_or_start_is_refused(
    checkpoint, config, pairs, fresh_recognizer
):
    recipe = Recipe(pairs, config, TRAINING)
    for changed, words in (
        (dataclasses.replace(pairs, clean_digest="new"), "lines is 'c' in the file and 'new' here"),
        (make_other(pairs), "characters is ' abcdef' in the file and 'fedcba' here"),
    ):
        with pytest.raises(CheckpointError, match=re.escape(words)):
            train_to_file(
                checkpoint, dataclasses.replace(recipe, pairs=changed), CPU, [].append, resume=True
            )
    with pytest.raises(CheckpointError, match="start is 'nothing' in the file and 'fresh 1' here"):
        train_to_file(
            checkpoint,
            dataclasses.replace(recipe, start=fresh_recognizer(config, pairs)),
            CPU,
            [].append,
            resume=True,
        )


def flipped(path):
    """The file with a byte of its largest member changed."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    data[largest.header_offset + 100 + largest.file_size // 2] ^= 1
    return bytes(data)


class Evil:
    """A pickle that would run code."""

    def __reduce__(self):
        return print, ("code was run",)


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage", ["empty", "half", "a byte", "code", "lacking", "list", "no tensor"]
)
def test_a_damaged_checkpoint_is_named(damage, checkpoint, config, pairs, capsys):
    part = part_of(checkpoint)
    content = torch.load(part, weights_only=True)
    made = {
        "empty": lambda: b"",
        "half": lambda: part.read_bytes()[:5000],
        "a byte": lambda: flipped(part),
        "code": lambda: saved({**content, "epoch": Evil()}),
        "lacking": lambda: saved({"settings": content["settings"]}),
        "list": lambda: saved([1]),
        "no tensor": lambda: saved(
            {**content, "recognizer": {**content["recognizer"], "classify.bias": torch.ones(3)}}
        ),
    }
    part.write_bytes(made[damage]())
    fault = r"(?s)r\.safetensors\.part: .* Delete (it|the file) to start from the beginning"
    with pytest.raises(CheckpointError, match=fault):
        train_to_file(checkpoint, Recipe(pairs, config, TRAINING), CPU, [].append, resume=True)
    assert "code was run" not in capsys.readouterr().out
