"""`python -m ganhtr recognizer`: what it writes and says, that it goes on where it was broken off, and that it overwrites nothing."""

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
    """A cache of its own, and no shipped recognizer."""
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
    """What was said from the count of search-validation lines on, but for the picture."""
    return re.findall(r"search-validation, \d+ lines:\n|  (?:clean|degraded) lines:.*", out)


def pairs_of(lines):
    return source.load_pairs(str(lines), DataConfig(height=32, width=64))


def test_a_recognizer_is_trained_saved_and_measured(train, lines, tmp_path):
    out = tmp_path / "new" / "r.safetensors"
    code, said, wrong = train(
        out, "--seed", 5, "--kind", "transformer", "--picture", tmp_path / "pictures" / "r.png"
    )
    assert (code, wrong) == (0, "") and list(out.parent.iterdir()) == [out]
    assert [line.split(",")[0] for line in said.splitlines() if "CTC" in line] == [
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
    held = LineBatches(pairs.validation, pairs.charset, CPU)
    for image in ("clean", "degraded"):
        errors = text_errors(
            pairs.validation.transcripts, read_lines(weights.build(CPU), held, image)
        )
        characters = sum(map(len, pairs.validation.transcripts))
        assert (
            f"  {image} lines: CER {errors.cer:.1%} ({errors.char_edits.sum()} edits to {characters} characters)"
            in said
        )
    with Image.open(tmp_path / "pictures" / "r.png") as image:
        assert image.format == "PNG" and image.width > 64


def test_a_study_can_name_what_was_trained(train, lines, tmp_path):
    out = tmp_path / "r.safetensors"
    train(out)
    config = build_config("tiny", {"guide.weights": str(out)})
    said, pairs = [], pairs_of(lines)
    held = obtain_recognizer(
        "guide", pairs, config.guide, config.recognizer_training, CPU, said.append
    )
    assert held.config.dim == 8 and str(out) in said[0] and len(said) == 1
    with pytest.raises(ValueError, match="data.height must be the recognizer's"):
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
    code, said, wrong = ganhtr("evaluate", out, "--data", lines, "--picture", tmp_path / "p.png")
    assert (
        (code, wrong) == (0, "") and figures(said) == figures(trained) and len(figures(said)) == 3
    )
    assert (tmp_path / "p.png").exists() and not (tmp_path / "cache" / "recognizers").exists()


def test_lines_of_another_charset_are_measured_with_the_recognizers_own(
    train, ganhtr, tmp_path, lines
):
    out, charset, whole = tmp_path / "r.safetensors", tmp_path / "c.txt", tmp_path / "all.txt"
    charset.write_text("\n".join("xab"), encoding="utf-8")
    whole.write_text("\n".join("abcdefg "), encoding="utf-8")
    train(out, "--charset", charset)
    code, said, _ = ganhtr("evaluate", out, "--data", lines, "--charset", whole)
    counted = Charset("xab").outside(pairs_of(lines).validation.transcripts)
    assert code == 0 and RecognizerWeights.load(out).charset == "xab"
    assert (
        f"note: by the recognizer's charset, search-validation: {counted.total()} characters are outside the charset"
        in said
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
    own = recognizer_training.train_step

    def interrupted(state, lines, batch_size, number, seed):
        if number == step:
            raise KeyboardInterrupt
        return own(state, lines, batch_size, number, seed)

    monkeypatch.setattr(recognizer_training, "train_step", interrupted)
    return own


def test_a_training_goes_on_after_ctrl_c(train, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole.safetensors", tmp_path / "r.safetensors"
    _, trained, _ = train(whole)
    own = stop(monkeypatch, 5)  # two steps an epoch: in the third
    code, said, _ = train(out, "--resume")
    assert code == 130 and f"there is no {out}.part to go on from" in said
    assert (
        said.splitlines()[-1] == f"interrupted; --resume goes on from {out}.part"
        and not out.exists()
    )
    monkeypatch.setattr(recognizer_training, "train_step", own)
    code, _, wrong = train(out)
    assert code == 2 and re.search(
        r"whose training was broken off .*Add --resume to go on with it, or --force to start anew",
        wrong,
    )
    code, _, wrong = train(out, "--resume", "--set", "recognizer_training.lr=0.01")
    assert code == 2 and "recognizer_training.lr 0.002 there, 0.01 here" in wrong
    code, said, _ = train(out, "--resume")
    assert code == 0 and "goes on after epoch 2 of 3" in said and "epoch 2/3" not in said
    assert whole.read_bytes() == out.read_bytes() and figures(said) == figures(trained)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors*")) == [
        "r.safetensors",
        "whole.safetensors",
    ]


def test_ctrl_c_in_the_first_epoch_leaves_nothing(train, tmp_path, monkeypatch):
    stop(monkeypatch, 1)
    code, said, _ = train(tmp_path / "r.safetensors")
    assert (
        code == 130
        and said.endswith("interrupted in the first epoch\n")
        and not list(tmp_path.glob("r.*"))
    )


def test_a_file_is_overwritten_only_when_told_to(train, tmp_path, monkeypatch):
    out = tmp_path / "r.safetensors"
    out.write_text("mine")
    for words in ((), ("--resume",)):
        code, said, wrong = train(out, *words)
        assert (code, said, out.read_text()) == (
            2,
            "",
            "mine",
        ) and "which is there already. Name another, or add --force" in wrong
    own = stop(monkeypatch, 3)
    assert train(out, "--force")[0] == 130 and out.read_text() == "mine"
    monkeypatch.setattr(recognizer_training, "train_step", own)
    assert (
        "goes on after epoch 1" in train(out, "--force", "--resume")[1]
        and RecognizerWeights.load(out).height == 32
    )
    stop(monkeypatch, 3)
    train(out, "--force")
    monkeypatch.setattr(recognizer_training, "train_step", own)
    code, said, _ = train(out, "--force")
    assert code == 0 and "epoch 1/3" in said and "goes on" not in said


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
        _, said, _ = train(tmp_path / f"{number}.safetensors", "--epochs", 1, *words)
        found = re.search(r"starts from the shipped one \((\d+) of", said)
        assert (int(found[1]) if found else None) == taken, words


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
            ["--set", "recognizer.lrr=1"],
            "--set recognizer.lrr is not a configuration key. Did you mean recognizer_training.lr?",
        ),
        (
            ["--set", "judge.dim=8"],
            r"--set must be a key of data.\*, guide.\*, recognizer_training.\* here, got judge.dim. Leave it out",
        ),
        (
            ["--set", "guide.weights=x"],
            "guide.weights must be left out here, where a recognizer is trained",
        ),
        (["--set", "a", "--set", "b"], "got 'a'\n--set must be key=value, got 'b'"),
        (["--device", "tpu"], "--device must be cpu or cuda, got tpu"),
    ],
)
def test_faulty_words_are_told_before_anything_is_read(words, fault, ganhtr, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "load_pairs", lambda *_: pytest.fail("the lines were read"))
    code, said, wrong = ganhtr("train", "--out", tmp_path / "r.safetensors", *words)
    assert (code, said) == (2, "") and re.search(fault, wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(ganhtr, tmp_path):
    code, _, wrong = ganhtr("train", "--out", tmp_path / "r.safetensors", "--device", "cuda")
    assert code == 2 and wrong.startswith(
        "--device must be cpu on this machine, got cuda, and PyTorch sees no CUDA device"
    )


def test_an_out_that_cannot_be_written_is_told(train, tmp_path):
    (tmp_path / "file").write_text("")
    assert "--out must be a file, got the folder" in train(tmp_path)[2]
    assert (
        "--out must be a file in a folder that can be written"
        in train(tmp_path / "file" / "r.safetensors")[2]
    )


def test_evaluate_tells_a_file_that_is_no_recognizer_and_a_size_that_is_not_its_own(
    train, ganhtr, lines, tmp_path
):
    (tmp_path / "no.safetensors").write_bytes(b"no")
    code, _, wrong = ganhtr("evaluate", tmp_path / "no.safetensors", "--data", lines)
    assert code == 2 and "no.safetensors: must be a recognizer's safetensors file" in wrong
    train(tmp_path / "r.safetensors")
    code, _, wrong = ganhtr(
        "evaluate", tmp_path / "r.safetensors", "--data", lines, "--set", "data.height=48"
    )
    assert code == 2 and "data.height must be the recognizer's (32), got 48" in wrong
    assert (
        "must be a key of data.* here"
        in ganhtr("evaluate", tmp_path / "r.safetensors", "--set", "recognizer_training.lr=1")[2]
    )
