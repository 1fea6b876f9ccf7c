"""readings.tsv: a valid table for any reading, which can be parsed; error rates of jiwer."""

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganhtr.readings_table import COLUMNS, Row, errors_of, escape, table


def unescape(value):
    """The documented rule, backwards."""
    text, at = "", 0
    while at < len(value):
        if value[at] != "\\":
            text, at = text + value[at], at + 1
        elif value[at + 1] == "u":
            text, at = text + chr(int(value[at + 2 : at + 6], 16)), at + 6
        else:
            text, at = text + {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}[value[at + 1]], at + 2
    return text


anything = st.text(
    st.one_of(st.characters(), st.sampled_from("\t\n\r\\\"'\x00\x0b\x85\u2028\udcff"))
)


@given(
    rows=st.lists(st.builds(Row, anything, anything, anything, anything, st.just("")), max_size=4)
)
def test_any_text_comes_back(rows):
    written = table(rows)
    written.encode()  # no lone surrogate is left
    read = [line.split("\t") for line in written.removesuffix("\n").split("\n")]
    assert written.splitlines() == written.removesuffix("\n").split("\n")
    assert read[0] == list(COLUMNS) and {len(row) for row in read} == {len(COLUMNS)}
    assert [Row(*map(unescape, row[:4])) for row in read[1:]] == rows


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Jan", "Jan"),
        ('"é ', '"é '),
        ("a\tb", "a\\tb"),
        ("a\nb\r", "a\\nb\\r"),
        ("\\n", "\\\\n"),
        ("\x00\x85", "\\u0000\\u0085"),
    ],
)
def test_the_escapes(text, written):
    assert escape(text) == written


def test_error_rates_stand_beside_transcriptions_only():
    rows = [
        Row("p.xml", "l1", "abx", "abc", "abc"),
        Row("i.png", "", "zz", "zz"),
        Row("p.xml", "l2", "", "hello world", "held"),
    ]
    read = [line.split("\t") for line in table(rows).split("\n")[1:-1]]
    assert [row[:5] for row in read] == [
        ["p.xml", "l1", "abx", "abc", "abc"],
        ["i.png", "", "zz", "zz", ""],
        ["p.xml", "l2", "", "hello world", "held"],
    ]
    assert [row[5:] for row in read] == [
        [f"{jiwer.cer('abc', 'abx'):.4f}", "0.0000"],
        ["", ""],
        ["1.0000", f"{jiwer.cer('held', 'hello world'):.4f}"],
    ]
    before, after = errors_of(rows)
    assert (
        before.cer == pytest.approx(jiwer.cer(["abc", "held"], ["abx", ""]))
        and len(after.char_lengths) == 2
    )


def test_a_table_of_nothing_has_its_head():
    assert (
        table([])
        == "file\tline\treading_before\treading_after\ttranscription\tcer_before\tcer_after\n"
    )
    assert errors_of([])[0].cer == 0
