"""`python -m ganhtr recognizer`: files and output, resumed training, and nothing overwritten."""

import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ganhtr.__main__ import main
from ganhtr.charset import Charset
from ganhtr.config import build_config
from ganhtr.config_sections import DataConfig
from ganhtr.data import source
from ganhtr.data.batches import LineBatches
from ganhtr.data.drawn.fonts import stroke_fonts
from ganhtr.data.drawn.synthetic import render_line
from ganhtr.metrics.text import text_errors
from ganhtr.recognizers import obtain as recognizer_module
from ganhtr.recognizers import training as recognizer_training
from ganhtr.recognizers.obtain import obtain_recognizer
from ganhtr.recognizers.readings import read_lines
from ganhtr.recognizers.weights import RecognizerWeights

CPU = torch.device("cpu")
WORDS = (
    "abc",
    "dead",
    "face",
    "bad cab",
    "ace",
    "decade",
    "fade",
    "bead",
    "cab",
    "bed",
    "deaf",
    "fab",
)
SIZES = {
    "data.recognizer_share": 0,
    "data.height": 32,
    "data.width": 64,
    "guide.base": 4,
    "guide.dim": 8,
    "guide.layers": 1,
    "recognizer_training.batch_size": 4,
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """A folder of twelve lines on six pages."""
    folder = tmp_path_factory.mktemp("lines")
    rows = []
    for i, word in enumerate(WORDS):
        Image.fromarray(
            render_line(word, 32, np.random.default_rng([7, i]), stroke_fonts()[i % 3], 64)
        ).save(folder / f"{i}.png")
        rows.append(f"{i}.png\t{word}\tpage {i // 2}\n")
    (folder / "lines.tsv").write_text("".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def own_shelves(tmp_path, monkeypatch):
    """A cache of its original, and no shipped recognizer."""
    monkeypatch.setenv("GANHTR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(recognizer_module, "SHIPPED", tmp_path / "shipped")


@pytest.fixture
def ganhtr(monkeypatch, capsys):
    """ganhtr(*words): exit code, output and errors of `python -m ganhtr recognizer ...`."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["ganhtr", "recognizer", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def train(ganhtr, lines):
    """train(out, *words): trains the smallest recognizer for three epochs."""

    def run(out, *words):
        settings = [word for key, value in SIZES.items() for word in ("--set", f"{key}={value}")]
        return ganhtr(
            "train",
            "--data",
            lines,
            "--out",
            out,
            "--epochs",
            3,
            "--device",
            "cpu",
            *settings,
            *words,
        )

    return run


def figures(out):
    """What was printed from the count of search-validation lines on, but for the picture."""
    return re.findall(r"search-validation, \d+ lines:\n|  (?:clean|degraded) lines:.*", out)


def pairs_of(lines):
    return source.load_pairs(str(lines), DataConfig(height=32, width=64))


def test_a_recognizer_is_trained_saved_and_measured(train, lines, tmp_path):
    out = tmp_path / "new" / "r.safetensors"
    code, printed, errors = train(
        out, "--seed", 5, "--kind", "transformer", "--picture", tmp_path / "pictures" / "r.png"
    )
    assert (code, errors) == (0, "") and list(out.parent.iterdir()) == [out]
    assert [line.split(",")[0] for line in printed.splitlines() if "CTC" in line] == [
        f"recognizer: epoch {i}/3" for i in (1, 2, 3)
    ]
    weights, pairs = RecognizerWeights.load(out), pairs_of(lines)
    assert (
        weights.config.kind,
        weights.config.seed,
        weights.config.dim,
        weights.height,
        weights.width,
    ) == ("transformer", 5, 8, 32, 64)
    assert weights.charset == pairs.charset.characters and len(pairs.validation) < 6
    validation = LineBatches(pairs.validation, pairs.charset, CPU)
    for image in ("clean", "degraded"):
        counts = text_errors(
            pairs.validation.transcripts, read_lines(weights.build(CPU), validation, image)
        )
        characters = sum(map(len, pairs.validation.transcripts))
        assert (
            f"  {image} lines: CER {counts.cer:.1%} ({counts.char_edits.sum()} edits in "
            f"{characters} characters)" in printed
        )
    with Image.open(tmp_path / "pictures" / "r.png") as image:
        assert image.format == "PNG" and image.width > 64


def test_a_study_can_name_what_was_trained(train, lines, tmp_path):
    out = tmp_path / "r.safetensors"
    train(out)
    config = build_config("tiny", {"guide.weights": str(out)})
    printed, pairs = [], pairs_of(lines)
    weights = obtain_recognizer(
        "guide", pairs, config.guide, config.recognizer_training, CPU, printed.append
    )
    assert weights.config.dim == 8 and str(out) in printed[0] and len(printed) == 1
    with pytest.raises(ValueError, match="reads lines of height 32, but data.height is 48"):
        obtain_recognizer(
            "guide",
            source.load_pairs(str(lines), DataConfig(height=48, width=64)),
            config.guide,
            config.recognizer_training,
            CPU,
            str,
        )


def test_a_recognizer_is_measured_again_with_the_test_lines_closed(train, ganhtr, lines, tmp_path):
    out = tmp_path / "r.safetensors"
    _, trained, _ = train(out)
    for test in (tmp_path / "cache" / "lines").glob("*/test.npz"):
        test.unlink()
    code, printed, errors = ganhtr(
        "evaluate", out, "--data", lines, "--picture", tmp_path / "p.png"
    )
    assert (
        (code, errors) == (0, "")
        and figures(printed) == figures(trained)
        and len(figures(printed)) == 3
    )
    assert (tmp_path / "p.png").exists() and not (tmp_path / "cache" / "recognizers").exists()


def test_lines_of_another_charset_are_measured_with_the_recognizers_own(
    train, ganhtr, tmp_path, lines
):
    out, charset, whole = tmp_path / "r.safetensors", tmp_path / "c.txt", tmp_path / "all.txt"
    charset.write_text("\n".join("xab"), encoding="utf-8")
    whole.write_text("\n".join("abcdefg "), encoding="utf-8")
    train(out, "--charset", charset)
    code, printed, _ = ganhtr("evaluate", out, "--data", lines, "--charset", whole)
    counted = Charset("xab").outside(pairs_of(lines).validation.transcripts)
    assert code == 0 and RecognizerWeights.load(out).charset == "xab"
    assert (
        f"note: with the recognizer's charset, search-validation: {counted.total()} characters "
        "are outside the charset" in printed
    )


def test_the_split_and_the_damage_can_be_those_of_the_study(train, ganhtr, lines, tmp_path):
    train(tmp_path / "r.safetensors")
    plain, clean, other = (
        ganhtr("evaluate", tmp_path / "r.safetensors", "--data", lines, *words)[1]
        for words in ((), ("--set", "data.degradation=0"), ("--set", "data.seed=1"))
    )
    assert (
        figures(clean)[1].replace("clean", "degraded") == figures(clean)[2]
        and figures(plain)[1] == figures(clean)[1]
    )
    assert figures(other) != figures(plain)


def stop(monkeypatch, step):
    """Ctrl-C in a step of the training."""
    original = recognizer_training.train_step

    def interrupted(state, lines, batch_size, number, seed):
        if number == step:
            raise KeyboardInterrupt
        return original(state, lines, batch_size, number, seed)

    monkeypatch.setattr(recognizer_training, "train_step", interrupted)
    return original


def test_a_training_goes_on_after_ctrl_c(train, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole.safetensors", tmp_path / "r.safetensors"
    _, trained, _ = train(whole)
    original = stop(monkeypatch, 5)  # two steps an epoch: in the third
    code, printed, _ = train(out, "--resume")
    assert (
        code == 130
        and f"{out}.part does not exist: training starts with the first epoch" in printed
    )
    assert (
        printed.splitlines()[-1] == f"interrupted; --resume continues from {out}.part"
        and not out.exists()
    )
    monkeypatch.setattr(recognizer_training, "train_step", original)
    code, _, errors = train(out)
    assert code == 2 and re.search(
        r"was interrupted .*Add --resume to continue it, or --force to start from the beginning",
        errors,
    )
    code, _, errors = train(out, "--resume", "--set", "recognizer_training.lr=0.01")
    assert code == 2 and "recognizer_training.lr is 0.002 in the file and 0.01 here" in errors
    code, printed, _ = train(out, "--resume")
    assert code == 0 and "resumed after epoch 2 of 3" in printed and "epoch 2/3" not in printed
    assert whole.read_bytes() == out.read_bytes() and figures(printed) == figures(trained)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors*")) == [
        "r.safetensors",
        "whole.safetensors",
    ]


def test_ctrl_c_in_the_first_epoch_leaves_nothing(train, tmp_path, monkeypatch):
    stop(monkeypatch, 1)
    code, printed, _ = train(tmp_path / "r.safetensors")
    assert (
        code == 130
        and printed.endswith("interrupted in the first epoch\n")
        and not list(tmp_path.glob("r.*"))
    )


def test_a_file_is_overwritten_only_when_told_to(train, tmp_path, monkeypatch):
    out = tmp_path / "r.safetensors"
    out.write_text("mine")
    for words in ((), ("--resume",)):
        code, printed, errors = train(out, *words)
        assert (code, printed, out.read_text()) == (
            2,
            "",
            "mine",
        ) and "exists. Name another file, or add --force" in errors
    original = stop(monkeypatch, 3)
    assert train(out, "--force")[0] == 130 and out.read_text() == "mine"
    monkeypatch.setattr(recognizer_training, "train_step", original)
    assert (
        "resumed after epoch 1" in train(out, "--force", "--resume")[1]
        and RecognizerWeights.load(out).height == 32
    )
    stop(monkeypatch, 3)
    train(out, "--force")
    monkeypatch.setattr(recognizer_training, "train_step", original)
    code, printed, _ = train(out, "--force")
    assert code == 0 and "epoch 1/3" in printed and "resumed" not in printed


def test_a_shipped_recognizer_of_the_kind_is_where_it_starts(
    train, tmp_path, pairs, fresh_recognizer, small
):
    config = small(**{"judge.dim": 6})
    for role, section in (("guide", config.guide), ("judge", config.judge)):
        fresh_recognizer(section, pairs).save(recognizer_module.SHIPPED / f"{role}.safetensors")
    count = len(fresh_recognizer(config.judge, pairs).arrays)
    for number, (words, taken) in enumerate(
        [
            ((), count),
            (("--set", "guide.dim=6"), count),
            (("--from-scratch",), None),
            (("--kind", "transformer"), None),
        ]
    ):
        _, printed, _ = train(tmp_path / f"{number}.safetensors", "--epochs", 1, *words)
        match = re.search(r"starts from the shipped weights \((\d+) of", printed)
        assert (int(match[1]) if match else None) == taken, words


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--kind", "rnn"], "guide.kind must be one of crnn, transformer, got 'rnn'"),
        (["--preset", "big"], "preset must be one of tiny, small, seed, got 'big'"),
        (
            ["--epochs", "0"],
            "recognizer_training.epochs must be a whole number from 1 to 10000, got 0",
        ),
        (
            ["--set", "recognizer_training.lr"],
            "--set must be key=value, got 'recognizer_training.lr'",
        ),
        (
            ["--set", "recognizer_training.lr=fast"],
            "recognizer_training.lr must be a number from 1e-07 to 1, got 'fast'",
        ),
        (
            ["--set", "recognizer_training.lrr=1"],
            "--set recognizer_training.lrr is not a configuration key. "
            "Did you mean recognizer_training.lr?",
        ),
        (
            ["--set", "judge.dim=8"],
            r"--set judge.dim has no effect here; allowed are data.\*, guide.\*, "
            r"recognizer_training.\*",
        ),
        (
            ["--set", "guide.weights=x"],
            "guide.weights cannot be set when a recognizer is trained",
        ),
        (["--set", "a", "--set", "b"], "got 'a'\n--set must be key=value, got 'b'"),
        (["--device", "tpu"], "--device must be cpu or cuda, got tpu"),
    ],
)
def test_faulty_words_are_told_before_anything_is_read(words, fault, ganhtr, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "load_pairs", lambda *_: pytest.fail("the lines were read"))
    code, printed, errors = ganhtr("train", "--out", tmp_path / "r.safetensors", *words)
    assert (code, printed) == (2, "") and re.search(fault, errors)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(ganhtr, tmp_path):
    code, _, errors = ganhtr("train", "--out", tmp_path / "r.safetensors", "--device", "cuda")
    assert code == 2 and errors.startswith("--device cuda: PyTorch finds no CUDA device")


def test_an_out_that_cannot_be_written_is_told(train, tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a folder. Name a file in it" in train(tmp_path)[2]
    errors = train(tmp_path / "file" / "r.safetensors")[2]
    assert "cannot be written" in errors and "Name a file in another folder" in errors


def test_evaluate_tells_a_file_that_is_no_recognizer_and_a_size_that_is_not_its_own(
    train, ganhtr, lines, tmp_path
):
    (tmp_path / "no.safetensors").write_bytes(b"no")
    code, _, errors = ganhtr("evaluate", tmp_path / "no.safetensors", "--data", lines)
    assert code == 2 and "no.safetensors: cannot load this file as a trained recognizer" in errors
    train(tmp_path / "r.safetensors")
    code, _, errors = ganhtr(
        "evaluate", tmp_path / "r.safetensors", "--data", lines, "--set", "data.height=48"
    )
    assert code == 2 and "the recognizer has data.height 32, got 48. Omit" in errors
    lr = ("--set", "recognizer_training.lr=1")
    _, _, errors = ganhtr("evaluate", tmp_path / "r.safetensors", *lr)
    assert "--set recognizer_training.lr has no effect here; allowed are data.*" in errors
