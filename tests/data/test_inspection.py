"""What an inspection counts, against lines that were counted by hand, and how it reads."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from ganhtr.charset import Charset
from ganhtr.config_sections import DataConfig
from ganhtr.data.inspection import Counted, Spread, describe, inspect_lines, shown
from ganhtr.data.raw import RawLine, RawLines

DATA = DataConfig(height=16, width=48)
SHAPES = ((32, 40), (16, 60), (64, 192), (64, 200))  # the second and the last are squeezed
TEXTS = ("Den 3", "aan", "aan", "één")
LINES = RawLines(
    tuple(
        RawLine(
            f"l{i}",
            f"g{i // 2}",
            text,
            np.zeros(shape, dtype=np.uint8),
            np.zeros(shape, dtype=np.uint8) if i == 1 else None,
        )
        for i, (shape, text) in enumerate(zip(SHAPES, TEXTS, strict=True))
    ),
    ("1 skipped (image missing): l9",),
)


def inspection(charset="Dena 3", split=(0, 0, 1, 2), lines=LINES, **changes):
    arguments = {
        "source": "there",
        "form": "folder",
        "lines": lines,
        "charset": (Charset(charset), "from a file"),
        "split": (None if split is None else np.array(split), "by whole groups"),
        "preset": "mine",
        "data": DATA,
        "infeasible": [False, True, False, False][: len(lines)],
        "stride": 4,
    }
    return inspect_lines(**{**arguments, **changes})


def test_lines_sizes_and_texts_are_counted():
    result = inspection()
    assert (result.source, result.format, result.lines, result.groups, result.degraded) == (
        "there",
        "folder",
        4,
        2,
        1,
    )
    assert (result.height, result.width) == (Spread(16, 48.0, 64), Spread(40, 126.0, 200))
    assert result.length == Spread(3, 3.0, 5) and result.duplicates == 1
    assert list(result.characters.items()) == [
        ("a", 4),
        ("n", 4),
        ("é", 2),
        (" ", 1),
        ("3", 1),
        ("D", 1),
        ("e", 1),
    ]
    assert result.notes == LINES.notes


def test_what_is_outside_the_charset_is_counted_and_placed():
    result = inspection(charset="Dna 3")
    assert (
        result.outside == {"é": Counted(2, ("l3",)), "e": Counted(1, ("l0",))}
        and result.charset == "Dna 3"
    )
    assert inspection(charset="Dena 3é").outside == {}
    many = RawLines(LINES.lines * 3)
    assert inspection(
        charset="Den 3é", lines=many, split=None, infeasible=[False] * 12
    ).outside == {"a": Counted(12, ("l1", "l2", "l1", "l2", "l1"), 1)}


def test_squeezed_and_infeasible_lines_are_named():
    result = inspection()
    assert result.squeezed == Counted(2, ("l1", "l3")) and result.infeasible == Counted(1, ("l1",))


def test_the_split_or_why_there_is_none():
    assert inspection().split == {"train": 2, "validation": 1, "test": 1}
    assert inspection(split=(0, 0, 0, 0)).split == {"train": 4}
    assert inspection(split=(3, 0, 1, 2)).split["recognizer"] == 1
    result = inspection(split=None)
    assert result.split == {} and "\nsplit       by whole groups\n" in describe(result)


def test_the_inspection_is_plain_values():
    plain = json.loads(json.dumps(asdict(inspection())))
    assert list(plain) == [
        "source",
        "format",
        "lines",
        "groups",
        "degraded",
        "height",
        "width",
        "length",
        "duplicates",
        "characters",
        "charset",
        "charset_from",
        "outside",
        "preset",
        "fitted",
        "squeezed",
        "stride",
        "infeasible",
        "split",
        "split_by",
        "notes",
    ]
    assert plain["height"] == {"min": 16, "median": 48.0, "max": 64} and plain["outside"] == {
        "é": {"count": 2, "lines": ["l3"], "more": 0}
    }
    assert plain["squeezed"] == {"count": 2, "lines": ["l1", "l3"], "more": 0} and plain[
        "fitted"
    ] == [16, 48]


def test_the_text_says_all_of_it():
    text = describe(inspection())
    for row in (
        "source      there (folder)",
        "lines       4 in 2 groups, 1 with a degraded image",
        "height      48 (16 to 64) px",
        "transcript  3 (3 to 5) characters",
        "repeated    1 lines have the transcript of an earlier line",
        "characters  7: a×4 n×4 é×2 space×1 3×1 D×1 e×1",
        "charset     6 characters, from a file",
        "outside it  é×2 in l3",
        "preset      mine, 16 x 48 px, 4 px a frame",
        "squeezed    2 lines wider than that: l1, l3",
        "infeasible  1 lines longer than their frames allow: l1",
        "split       2 train, 1 validation, 1 test, by whole groups",
        "note        1 skipped (image missing): l9",
    ):
        assert row in text.split("\n")


def test_long_rows_are_wrapped_between_characters():
    lines = RawLines(
        (
            RawLine(
                "l", "g", "".join(map(chr, range(0x4E00, 0x4F00))), np.zeros((9, 9), dtype=np.uint8)
            ),
        )
    )
    rows = describe(inspection(lines=lines, split=None, infeasible=[False])).split("\n")
    assert max(map(len, rows)) <= 100
    assert (
        sum(row.count("×1") for row in rows if "in l" not in row)
        == 256
        == len([row for row in rows if "in l" in row])
    )


@pytest.mark.parametrize(
    ("character", "seen"),
    [
        ("a", "a"),
        (" ", "space"),
        ("\u0303", "U+0303"),
        ("\t", "U+0009"),
        ("\u00a0", "U+00A0"),
        ("\u200b", "U+200B"),
        ("é", "é"),
    ],
)
def test_a_character_is_shown_so_that_it_can_be_seen(character, seen):
    assert shown(character) == seen
