"""The contact sheet: which lines, in what place; and no text that it cannot draw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageChops

from ganhtr.data.contact_sheet import CELL, GAP, HIGH, TYPE, contact_sheet
from ganhtr.data.raw import RawLine, RawLines

WHITE = np.full((72, 320), 255, dtype=np.uint8)


def lines(*texts, grey=None, degraded=None, name="n"):
    """Lines of one text each; each image of one grey, its number from 1."""
    return RawLines(
        tuple(
            RawLine(
                name,
                "g",
                text,
                WHITE * 0 + (i if grey is None else grey),
                None if degraded is None else WHITE * 0 + degraded,
            )
            for i, text in enumerate(texts, start=1)
        )
    )


def same(a, b):
    return a.size == b.size and ImageChops.difference(a, b).getbbox() is None


def test_lines_are_spread_evenly_from_first_to_last():
    sheet = np.asarray(contact_sheet(lines(*"x" * 100), most=4))
    step = HIGH + 3 + 2 * (TYPE + 4 + 3) + GAP
    assert [int(sheet[GAP + step * (k // 2), GAP + (CELL + GAP) * (k % 2)]) for k in range(4)] == [
        1,
        34,
        67,
        100,
    ]
    assert sheet.shape == (2 * step + GAP, 2 * CELL + 3 * GAP)
    assert contact_sheet(lines("x")).width == CELL + 2 * GAP
    assert contact_sheet(lines(*"x" * 100)).height == 12 * step + GAP


def test_the_degraded_image_lies_below_the_clean_one():
    sheet = np.asarray(contact_sheet(lines("x", grey=10, degraded=200)))
    assert (sheet[GAP : GAP + HIGH, GAP : GAP + 320] == 10).all()
    assert (sheet[GAP + HIGH + 3 : GAP + 2 * HIGH + 3, GAP : GAP + 320] == 200).all()


def test_images_keep_their_proportions():
    shapes = {
        (128, 2560): (32, 640),
        (16, 64): (32, 128),
        (200, 100): (72, 36),
        (8, 6400): (1, 640),
    }
    for shape, (high, wide) in shapes.items():
        sheet = np.asarray(
            contact_sheet(RawLines((RawLine("", "g", "", np.zeros(shape, dtype=np.uint8)),)))
        )
        rows, columns = np.nonzero(sheet < 128)
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (high, wide)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("née", "nee"),
        ("n\u0303a", "na"),
        ("½", "1⁄2"),
        ("ǆ", "dz"),
        ("日本", "??"),
        ("a\tb\nc\0", "a?b?c?"),
        ("\ud800", "?"),
        ("🙂x", "?x"),
        ("\u200b", "?"),
        ("x" * 5000, "x" * 300),
    ],
)
def test_what_the_font_lacks_is_replaced(text, drawn):
    assert same(contact_sheet(lines(text)), contact_sheet(lines(drawn)))
    assert same(contact_sheet(lines("a", name=text)), contact_sheet(lines("a", name=drawn)))


def test_texts_differ_on_the_sheet_and_stay_in_their_cell():
    assert not same(contact_sheet(lines("Maart")), contact_sheet(lines("Mei")))
    sheet = np.asarray(contact_sheet(lines("W" * 150, grey=255)))
    assert (sheet[:, -GAP:] == 255).all() and (sheet[:, -40:] < 128).any()


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=20))
def test_no_transcript_stops_it(text):
    assert contact_sheet(lines(text, name=text)).size[0] == CELL + 2 * GAP
