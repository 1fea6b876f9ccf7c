"""`python -m ganhtr data`: what it prints and writes, where, and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ganhtr import __main__
from ganhtr.commands import data
from ganhtr.config import build_config
from ganhtr.data import source
from ganhtr.data.folder import read_folder, write_folder
from ganhtr.data.raw import RawLine

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("GANHTR_TEST_DATA", ROOT / ".." / "shared" / "data"))


@pytest.fixture
def lines(tmp_path):
    """Twelve lines in six groups; the first has a degraded image, the second too few frames."""
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 255, (32, 48 if i == 1 else 64 + 24 * i), dtype=np.uint8) for i in range(12)
    ]
    texts = ["abc", "x" * 13, *("x" + "bcd"[i % 3] * (i % 2) for i in range(10))]
    write_folder(
        tmp_path / "lines",
        [
            RawLine(f"{i}", f"g{i // 2}", text, image, image[::-1].copy() if i == 0 else None)
            for i, (text, image) in enumerate(zip(texts, images, strict=True))
        ],
    )
    return tmp_path / "lines"


@pytest.fixture
def run(monkeypatch, capsys):
    """run(*words): exit code, stdout and stderr of the command."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["ganhtr", "data", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        return (ended.value.code, *capsys.readouterr())

    return call


def test_inspect_tells_what_a_study_would_find(run, lines):
    code, text, errors = run("inspect", lines)
    assert (code, errors) == (0, "")
    for row in (
        f"source      {lines} (folder)",
        "lines       12 in 6 groups, 1 with a degraded image",
        "height      32 (32 to 32) px",
        "preset      tiny, 32 x 256 px, 4 px a frame",
        "squeezed    3 lines wider than that: 9.png, 10.png, 11.png",
        "infeasible  1 lines longer than their frames allow: 1.png",
    ):
        assert row in text.split("\n")
    assert (
        "characters, those of the training transcriptions\n" in text
        and ", by whole groups\n" in text
    )


def test_the_json_is_all_that_is_printed_and_agrees_with_a_study(run, lines, monkeypatch, tmp_path):
    monkeypatch.setenv("GANHTR_CACHE", str(tmp_path / "cache"))
    code, text, errors = run("inspect", lines, "--json")
    report = json.loads(text)
    assert (code, errors) == (0, "") and text.isascii()
    pairs = source.load_pairs(str(lines), data.DataConfig())
    assert (report["split"]["train"], report["split"]["validation"]) == (
        len(pairs.train),
        len(pairs.validation),
    )
    assert report["charset"] == pairs.charset.characters
    assert report["outside"].keys() == set(report["characters"]) - set(pairs.charset.characters)


@pytest.mark.parametrize(
    ("preset", "fitted", "stride"),
    [("tiny", [32, 256], 4), ("small", [64, 768], 4), ("seed", [128, 1024], 8)],
)
def test_the_preset_gives_size_and_frames(run, lines, preset, fitted, stride):
    report = json.loads(run("inspect", lines, "--json", "--preset", preset)[1])
    assert (report["preset"], report["fitted"], report["stride"]) == (preset, fitted, stride)
    assert report["infeasible"]["lines"] == [
        "1.png"
    ]  # 13 times the same letter: 25 frames needed, 12 or 24 there
    assert report["squeezed"]["count"] == (0 if preset == "small" else 3)


def test_a_charset_is_taken_from_a_file(run, lines, tmp_path):
    (tmp_path / "charset.txt").write_text("a\nb\nx\n")
    report = json.loads(run("inspect", lines, "--json", "--charset", tmp_path / "charset.txt")[1])
    assert (
        report["charset"] == "abx" and report["charset_from"] == f"from {tmp_path / 'charset.txt'}"
    )
    assert report["outside"] == {
        "c": {"count": 3, "lines": ["0.png", "3.png", "9.png"], "more": 0},
        "d": {"count": 1, "lines": ["7.png"], "more": 0},
    }


def test_too_few_groups_are_no_reason_not_to_look(run, lines):
    rows = (lines / "lines.tsv").read_text().splitlines()
    (lines / "lines.tsv").write_text("".join(row.rsplit("\t", 1)[0] + "\tone\n" for row in rows))
    report = json.loads(run("inspect", lines, "--json")[1])
    assert report["split"] == {} and report["split_by"].startswith(
        "none: at least 3 groups are needed, one for each split, got 1 (one)"
    )
    assert (
        report["charset"] == "abcdx"
        and report["charset_from"] == "those of the transcriptions"
        and report["outside"] == {}
    )


def test_the_built_in_lines_are_inspected_too(run, monkeypatch, tmp_path):
    monkeypatch.setattr(source, "BUILTIN_HELD", {"validation": 4, "test": 5})
    monkeypatch.setattr(
        data, "build_config", lambda preset: build_config(preset, {"data.lines": 16})
    )
    report = json.loads(run("inspect", "builtin", "--json", "--picture", tmp_path / "sheet.png")[1])
    assert (
        report["format"] == "builtin"
        and report["split"] == {"train": 16, "validation": 4, "test": 5}
        and report["split_by"] == "as drawn"
    )
    assert report["charset_from"] == "those of the built-in texts" and report["outside"] == {}
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 1000


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (
            ("inspect", "nowhere"),
            "nowhere: data must be 'builtin', a folder with lines.tsv, a .tfrecord file, "
            "or ALTO or PAGE pages",
        ),
        (
            ("inspect", "LINES", "--preset", "big"),
            "preset must be one of tiny, small, seed, got 'big'",
        ),
        (
            ("inspect", "LINES", "--charset", "nowhere"),
            "nowhere: cannot read the charset: ",
        ),
        (
            ("inspect", "LINES", "--picture", "no/sheet.png"),
            "no/sheet.png: cannot write: ",
        ),
        (("convert", "nowhere", "out"), "nowhere: data must be 'builtin'"),
        (
            ("convert", "LINES", "out", "--to", "tfrecord"),
            "out: the name of a TFRecord must end in .tfrecord",
        ),
        (
            ("convert", "LINES", "LINES", "--force"),
            "lines: contains the lines to convert (",
        ),
        (("convert", "LINES", "out", "--to", "zip"), "'zip'"),
    ],
)
def test_bad_input_ends_with_its_message_and_code_2(run, lines, monkeypatch, words, fault):
    monkeypatch.chdir(lines.parent)
    code, text, errors = run(*(str(lines) if word == "LINES" else word for word in words))
    assert code == 2 and text == "" and fault in errors and "Traceback" not in errors
    assert [path.name for path in lines.parent.iterdir()] == ["lines"]


def test_convert_there_and_back(run, lines, tmp_path):
    code, text, errors = run("convert", lines, tmp_path / "a.tfrecord")
    assert code == 0 and text.startswith(
        f"12 of 12 lines of {lines} written to {tmp_path / 'a.tfrecord'}\n"
    )
    assert "note: the degraded images of 11 lines were made (seed 0, strength 1)\n" in text
    assert errors.split("\n")[-2] == "writing: 100 %"  # plain, for this is no terminal
    assert run("inspect", tmp_path / "a.tfrecord")[0] == 2  # its charset is missing
    code, text, errors = run(
        "convert",
        tmp_path / "a.tfrecord",
        tmp_path / "back",
        "--charset",
        tmp_path / "a.charset.txt",
    )
    assert code == 0 and "reading: 100 %" in errors
    first, last = read_folder(lines), read_folder(tmp_path / "back")
    assert first.transcripts == last.transcripts
    assert all(
        np.array_equal(a.clean, b.clean) for a, b in zip(first.lines, last.lines, strict=True)
    )
    assert (
        np.array_equal(first.lines[0].degraded, last.lines[0].degraded)
        and last.lines[1].degraded is not None
    )
    report = json.loads(
        run("inspect", tmp_path / "a.tfrecord", "--charset", tmp_path / "a.charset.txt", "--json")[
            1
        ]
    )
    assert (
        report["split"] == {"train": 5, "validation": 1, "test": 1, "recognizer": 5}
        and report["split_by"] == "by order in the file"
    )
    assert (report["format"], report["degraded"]) == ("tfrecord", 12)


def test_nothing_is_overwritten_without_force(run, lines, tmp_path):
    assert run("convert", lines, tmp_path / "out")[0] == 0
    with (lines / "lines.tsv").open("a") as table:
        table.write("missing.png\tx\tg\n")
    code, _, errors = run("convert", lines, tmp_path / "out")
    assert code == 2 and "out: already exists." in errors
    code, text, _ = run("convert", lines, tmp_path / "out", "--force")
    assert (
        code == 0
        and "note: 1 skipped (image missing): missing.png\n" in text
        and len(read_folder(tmp_path / "out")) == 12
    )


def test_the_ending_or_the_option_gives_the_format(run, lines, tmp_path):
    assert (
        run("convert", lines, tmp_path / "x.TFRECORD")[0] == 0
        and (tmp_path / "x.TFRECORD").is_file()
    )
    assert (
        run("convert", lines, tmp_path / "y.tfrecord", "--to", "folder")[0] == 0
        and (tmp_path / "y.tfrecord" / "lines.tsv").is_file()
    )


def test_a_terminal_gets_a_bar_on_stderr(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with data.progress("writing", 4) as tick:
        tick(2)
    printed = capsys.readouterr()
    assert (
        printed.out == ""
        and "writing" in printed.err
        and "%" in printed.err
        and "\x1b[" in printed.err
    )


def test_plain_progress_tells_each_tenth_once(capsys):
    with data.progress("reading", 1000) as tick:
        for done in range(0, 1001, 50):
            tick(done)
    assert capsys.readouterr().err == "".join(
        f"reading: {10 * tenth} %\n" for tenth in range(1, 11)
    )
    with data.progress("reading", None) as tick:
        tick(3)
    assert capsys.readouterr() == ("", "")


def test_help_names_the_forms_and_the_options():
    for command, words in (
        ("inspect", ("--charset", "--json", "--picture", "--preset", "lines.tsv")),
        ("convert", ("--to", "--force", "OUT")),
    ):
        result = CliRunner().invoke(
            data.app, [command, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}
        )
        assert result.exit_code == 0 and all(word in result.output for word in words)


def test_a_terminal_that_knows_no_letters_gets_question_marks(lines):
    (lines / "lines.tsv").write_text((lines / "lines.tsv").read_text().replace("abc", "ſ"))
    ran = subprocess.run(
        [sys.executable, "-m", "ganhtr", "data", "inspect", str(lines)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        cwd=ROOT,
        capture_output=True,
    )
    assert ran.returncode == 0 and ran.stderr == b"" and b"??1 " in ran.stdout


@pytest.mark.skipif(
    not REAL.is_dir(), reason=f"no real data at {REAL}; set GANHTR_TEST_DATA to the data folder"
)
def test_real_lines_and_pages(run):
    report = json.loads(
        run("inspect", REAL / "lines", "--charset", REAL / "charset_voc.txt", "--json")[1]
    )
    assert (report["lines"], report["groups"], sum(report["split"].values())) == (641, 59, 641)
    assert report["outside"]["è"]["count"] == 42 and len(report["outside"]) == 17
    report = json.loads(run("inspect", REAL / "pages", "--json")[1])
    assert (report["format"], report["lines"], report["groups"]) == ("pages", 101, 5)
