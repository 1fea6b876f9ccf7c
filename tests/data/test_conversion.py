"""Tests of converting between formats: what is kept, made, left out and not overwritten."""

from pathlib import Path

import numpy as np
import pytest

from ganhtr.charset import Charset
from ganhtr.config_sections import DataConfig
from ganhtr.data import source
from ganhtr.data.conversion import (
    FOLDER,
    TFRECORD,
    refuse_out,
    to_folder,
    to_tfrecord,
    with_degraded_image,
)
from ganhtr.data.folder import read_folder, write_folder
from ganhtr.data.raw import RawLine, RawLines
from ganhtr.data.source import builtin_lines, load_pairs
from ganhtr.data.tfrecord import read_tfrecord


def some_lines(count=12, degraded=True, in_file_order=False):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (2, 20 + i, 50 - i), dtype=np.uint8) for i in range(count)]
    return RawLines(
        tuple(
            RawLine(
                f"p{i // 4}/{i}.jpg",
                f"p{i // 4}",
                f"é {'abc'[i % 3]}",
                clean,
                twin if degraded else None,
            )
            for i, (clean, twin) in enumerate(images)
        ),
        (),
        in_file_order,
    )


def same(a, b):
    return (a is None) == (b is None) and (a is None or np.array_equal(a, b))


def recorder():
    """Return a list and a progress callback that appends to it."""
    seen = []
    return seen, seen.append


def test_there_and_back_gives_the_same_images_and_texts(tmp_path):
    write_folder(tmp_path / "a", some_lines().lines)
    first = read_folder(tmp_path / "a")
    seen, tick = recorder()
    count, notes = to_tfrecord("a", first, tmp_path / "b.tfrecord", None, False, tick)
    assert count == 12 and seen == list(range(1, 13)) and not any("made" in note for note in notes)
    records = read_tfrecord(tmp_path / "b.tfrecord", Charset.load(tmp_path / "b.charset.txt"))
    count, _ = to_folder(records, tmp_path / "c", tick)
    last = read_folder(tmp_path / "c")
    assert count == len(last) == 12 and seen[12:] == list(range(1, 13))
    assert last.transcripts == first.transcripts
    for a, b, original in zip(first.lines, last.lines, some_lines().lines, strict=True):
        assert (
            same(a.clean, b.clean)
            and same(a.degraded, b.degraded)
            and same(a.clean, original.clean)
            and same(a.degraded, original.degraded)
        )


def test_a_folder_keeps_groups_and_has_twins_only_where_they_are_given(tmp_path):
    to_folder(some_lines(degraded=False), tmp_path / "out", recorder()[1])
    lines = read_folder(tmp_path / "out")
    assert lines.names[:5] == ("p0_0.png", "p0_1.png", "p0_2.png", "p0_3.png", "p1_4.png")
    assert lines.groups == some_lines().groups and not (tmp_path / "out" / "degraded").exists()


def test_stretches_of_a_file_are_groups_that_a_study_can_split(tmp_path):
    _, notes = to_folder(some_lines(40, in_file_order=True), tmp_path / "out", recorder()[1])
    groups = read_folder(tmp_path / "out").groups
    assert [groups.count(group) for group in dict.fromkeys(groups)] == [4] * 10
    assert notes == [
        "the file has no groups, so it is divided into 10 stretches of lines, each a group"
    ]
    data = DataConfig(height=16, width=32, recognizer_share=0.0)
    assert len(load_pairs(str(tmp_path / "out"), data).train) == 32


def test_missing_twins_are_made_alike_each_time(tmp_path):
    lines = some_lines(degraded=False)
    _, notes = to_tfrecord(
        "a", lines, tmp_path / "a.tfrecord", Charset("é abc"), False, recorder()[1]
    )
    assert "the degraded images of 12 lines were made (seed 0, strength 1)" in notes
    assert [path.name for path in tmp_path.iterdir()] == [
        "a.tfrecord"
    ]  # the charset is the one given
    records = read_tfrecord(tmp_path / "a.tfrecord", Charset("é abc"))
    for original, line in zip(lines.lines, records.lines, strict=True):
        assert same(line.clean, original.clean) and same(
            line.degraded, with_degraded_image(original).degraded
        )
        assert (line.clean != line.degraded).mean() > 0.5
    original = some_lines().lines[0]
    assert with_degraded_image(original) is original


def test_made_twins_of_the_built_in_lines_are_those_of_a_study(monkeypatch):
    monkeypatch.setattr(source, "BUILTIN_HELD", {"validation": 2, "test": 2})
    data = DataConfig(lines=16)
    train = load_pairs("builtin", data).train
    for i, line in enumerate(builtin_lines(data).lines[:16]):
        assert np.array_equal(
            with_degraded_image(line).degraded, train.degraded[i, :, : train.widths[i]]
        )


def test_lines_outside_the_charset_are_left_out_and_named(tmp_path):
    count, notes = to_tfrecord(
        "a", some_lines(), tmp_path / "a.tfrecord", Charset("é ac"), False, recorder()[1]
    )
    assert (
        count == 8
        and notes[0]
        == "4 lines with characters outside the charset left out: "
        "p0/1.jpg, p1/4.jpg, p1/7.jpg, p2/10.jpg"
    )
    assert set(read_tfrecord(tmp_path / "a.tfrecord", Charset("é ac")).transcripts) == {
        "é a",
        "é c",
    }
    with pytest.raises(
        ValueError, match="b.tfrecord: every line has characters outside the charset"
    ):
        to_tfrecord(
            "a", some_lines(), tmp_path / "b.tfrecord", Charset("abc"), False, recorder()[1]
        )


def test_tabs_and_line_breaks_become_spaces_in_either_format(tmp_path):
    lines = RawLines((RawLine("a", "g", "a\tb\nc", *np.full((2, 9, 9), 7, dtype=np.uint8)),))
    to_folder(lines, tmp_path / "out", recorder()[1])
    to_tfrecord("a", lines, tmp_path / "out.tfrecord", None, False, recorder()[1])
    charset = Charset.load(tmp_path / "out.charset.txt")
    assert charset.characters == " abc"
    assert (
        read_folder(tmp_path / "out").transcripts
        == read_tfrecord(tmp_path / "out.tfrecord", charset).transcripts
        == ("a b c",)
    )


def test_a_charset_is_not_overwritten_unasked(tmp_path):
    (tmp_path / "a.charset.txt").write_text("mine")
    with pytest.raises(
        ValueError,
        match=r"a.charset.txt: the charset file already exists. "
        "Give it with --charset, or use --force",
    ):
        to_tfrecord("a", some_lines(), tmp_path / "a.tfrecord", None, False, recorder()[1])
    assert (tmp_path / "a.charset.txt").read_text() == "mine" and not (
        tmp_path / "a.tfrecord"
    ).exists()
    to_tfrecord("a", some_lines(), tmp_path / "a.tfrecord", None, True, recorder()[1])
    assert Charset.load(tmp_path / "a.charset.txt").characters == " abcé"


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    to_folder(some_lines(), tmp_path / "out", recorder()[1])

    def broken(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_folder(some_lines(3, degraded=False), tmp_path / "out", broken)
    assert len(read_folder(tmp_path / "out")) == 12
    to_folder(some_lines(3, degraded=False), tmp_path / "out", recorder()[1])
    assert len(read_folder(tmp_path / "out")) == 3 and not (tmp_path / "out" / "degraded").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def folder_at(path):
    write_folder(path, some_lines(3).lines)


@pytest.mark.parametrize(
    ("form", "name", "make", "force", "fault"),
    [
        (FOLDER, "out", lambda path: None, False, None),
        (
            FOLDER,
            "out",
            folder_at,
            False,
            "already exists. Choose another path, or use --force to replace it",
        ),
        (FOLDER, "out", folder_at, True, None),
        (FOLDER, "out", Path.mkdir, False, "already exists"),
        (
            FOLDER,
            "out",
            Path.mkdir,
            True,
            "--force replaces only a folder with lines.tsv, got something else",
        ),
        (
            FOLDER,
            "out",
            lambda path: path.write_text("x"),
            True,
            "--force replaces only a folder with lines.tsv",
        ),
        (FOLDER, "out", lambda path: path.symlink_to("nowhere"), False, "already exists"),
        (
            FOLDER,
            "no/out",
            lambda path: None,
            False,
            "the folder .*no does not exist. Create it first",
        ),
        (TFRECORD, "out.tfrecord", lambda path: path.write_text("x"), False, "already exists"),
        (TFRECORD, "out.tfrecord", lambda path: path.write_text("x"), True, None),
        (
            TFRECORD,
            "out.tfrecord",
            folder_at,
            True,
            "--force replaces only a file, got something else",
        ),
        (
            TFRECORD,
            "out.tfrecord",
            lambda path: path.symlink_to("nowhere"),
            True,
            "--force replaces only a file, got something else",
        ),
        (TFRECORD, "out.TFRecords", lambda path: None, False, None),
        (
            TFRECORD,
            "out",
            lambda path: None,
            False,
            "the name of a TFRecord must end in .tfrecord or .tfrecords, got 'out'",
        ),
    ],
)
def test_what_is_there_stays_unless_it_may_be_replaced(tmp_path, form, name, make, force, fault):
    make(tmp_path / name)
    if fault is None:
        return refuse_out(tmp_path / name, form, "builtin", force)
    with pytest.raises(ValueError, match=f"{name}: {fault}"):
        refuse_out(tmp_path / name, form, "builtin", force)


@pytest.mark.parametrize("within", [".", "below", "below/lines.tfrecord"])
def test_the_source_is_never_replaced(tmp_path, monkeypatch, within):
    folder_at(tmp_path / "lines")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=f"lines: contains the lines to convert \\({Path('lines') / within}\\)"
    ):
        refuse_out(tmp_path / "lines", FOLDER, str(Path("lines") / within), True)


def test_a_place_that_cannot_be_written_is_the_users_error(tmp_path):
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "x.tfrecord"
    with pytest.raises(ValueError, match=r"file/x.tfrecord: cannot write: "):
        to_folder(some_lines(), out, recorder()[1])
    with pytest.raises(ValueError, match=r"file/x.tfrecord: cannot write the file: "):
        to_tfrecord("a", some_lines(), out, None, False, recorder()[1])
