"""Tests of charsets: blank is 0, characters start at 1, unknown is last; strict charset files."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganhtr.charset import BLANK, Charset
from ganhtr.losses import recognition

DATA = Path(os.environ.get("GANHTR_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
ABC = Charset("cab ")


def test_indices_count_from_one_and_zero_is_the_blank():
    assert BLANK == 0 == recognition.BLANK
    assert ABC.encode("cab ").tolist() == [1, 2, 3, 4]
    assert ABC.encode("cab").dtype == np.int64 and ABC.target("cab").dtype == np.int64
    assert (len(ABC), ABC.classes, ABC.unknown, ABC.tokens) == (4, 5, 5, 6)


def test_unknown_characters_have_an_index_of_their_own_and_no_target():
    assert ABC.encode("xa€b").tolist() == [5, 2, 5, 3]
    assert ABC.target("xa€b").tolist() == [2, 3]
    assert ABC.outside(["xa€", "xx b", ""]) == {"x": 3, "€": 1}


@pytest.mark.parametrize("text", ["", "???"])
def test_nothing_known_gives_an_empty_integer_target(text):
    assert ABC.target(text).shape == (0,) and ABC.target(text).dtype == np.int64
    assert ABC.encode(text).shape == (len(text),) and ABC.encode(text).dtype == np.int64


@given(st.text(alphabet="cab "))
def test_decoding_undoes_encoding(text):
    assert ABC.decode(ABC.encode(text)) == text == ABC.decode(ABC.target(text))


def test_decoding_passes_over_blank_and_unknown():
    assert ABC.decode([0, 1, 0, 5, 6, -1, 4, 3]) == "c b"


@pytest.mark.parametrize(
    ("characters", "message"),
    [("", "at least one"), ("aba", r"distinct, got \['a'\] more than once")],
)
def test_an_empty_or_repeating_set_is_refused(characters, message):
    with pytest.raises(ValueError, match=message):
        Charset(characters)


def test_the_set_of_some_texts_is_sorted_by_code_point():
    assert Charset.of(["ba", "", "éa B"]).characters == " Babé"


@pytest.mark.parametrize(
    ("content", "characters"),
    [
        pytest.param(b"a\nb\n \n", "ab ", id="last line a space"),
        pytest.param(b"a\nb\n ", "ab ", id="no last newline"),
        pytest.param(b" \na\n", " a", id="first line a space"),
        pytest.param(b"a\r\nb\r\n \r\n", "ab ", id="CRLF"),
        pytest.param(b"\xef\xbb\xbfa\nb\n", "ab", id="BOM"),
        pytest.param("é\nß\n".encode(), "éß", id="UTF-8"),
        pytest.param("e\u0301\nb\n".encode(), "éb", id="decomposed"),
        pytest.param(b"\t\n\\\n", "\t\\", id="tab"),
        pytest.param("\u2028\na\n".encode(), "\u2028a", id="line separator"),
    ],
)
def test_a_file_holds_one_character_a_line(tmp_path, content, characters):
    (tmp_path / "c.txt").write_bytes(content)
    assert Charset.load(tmp_path / "c.txt").characters == characters


@pytest.mark.parametrize(
    ("content", "where", "message"),
    [
        (b"a\nb\n \nb\n", ":4", "'b' is already on line 2. Remove one of the two lines"),
        ("é\ne\u0301\n".encode(), ":2", "is already on line 1."),
        (b"a\nbc\n", ":2", "a line must contain exactly one character, got 'bc'"),
        (b"a \nb\n", ":1", "a line must contain exactly one character, got 'a '"),
        (b"a\n\nb\n", ":2", "a line must contain exactly one character, got ''"),
        (b"a\nb\n\n", ":3", "a line must contain exactly one character, got ''"),
        (b"", "", "the charset file is empty. Write one character per line"),
        (b"\xef\xbb\xbf", "", "the charset file is empty. Write one character per line"),
        (b"a\n\xe9\n", "", "must be a UTF-8 file with one character per line"),
    ],
    ids=[
        "duplicate",
        "duplicate when composed",
        "two characters",
        "trailing space",
        "empty line",
        "empty last line",
        "empty file",
        "only a BOM",
        "Latin-1",
    ],
)
def test_a_faulty_file_is_refused_with_its_line(tmp_path, content, where, message):
    path = tmp_path / "c.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        Charset.load(path)
    assert str(caught.value).startswith(f"{path}{where}: ") and message in str(caught.value)


def test_a_missing_file_is_a_users_error(tmp_path):
    with pytest.raises(ValueError, match=r"none\.txt: cannot read the charset: .*No such file"):
        Charset.load(tmp_path / "none.txt")


def test_the_charset_of_the_archives_keeps_its_space():
    path = DATA / "charset_voc.txt"
    if not path.exists():
        pytest.skip(f"{path} is not there (GANHTR_TEST_DATA names its folder)")
    charset = Charset.load(path)
    assert (len(charset), charset.classes, charset.tokens) == (108, 109, 110)
    assert charset.characters[-1] == " " and charset.target("Nassauw der ").tolist()[-1] == 108
