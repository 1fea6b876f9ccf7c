"""Readings: every line once, clean and degraded, counts of a second implementation; picture."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from ganhtr.data.batches import LineBatches
from ganhtr.metrics.text import greedy_decode, text_errors
from ganhtr.models.recognizer import CRNN
from ganhtr.recognizers import readings_picture as picture_module
from ganhtr.recognizers.readings import Readings, read_lines
from ganhtr.recognizers.readings_picture import Script, readings_picture, spans_of

CPU = torch.device("cpu")
ODD = (
    "",
    " ",
    "\n\r\t\0",
    "a\u0301\u0327",
    "\ud800",
    "\U0010ffff\ufeff",
    "שלום",
    "漢字ꦀꦏ",
    "\u202e<b>&",
    "x" * 3000,
    "😀" * 9,
)


def levenshtein(a, b):
    """Wagner and Fischer's table, row by row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            cost = min(diagonal + (x != y), row[j] + 1, row[j - 1] + 1)
            diagonal, row[j] = row[j], cost
    return row[-1]


@pytest.fixture
def guide(inputs):
    return inputs.guide.build(CPU)


@pytest.fixture
def lines_of_split(pairs):
    return LineBatches(pairs.validation, pairs.charset, CPU)


@pytest.fixture
def readings(guide, lines_of_split):
    return Readings.of(guide, lines_of_split)


def test_each_image_is_read_once_in_order(guide, pairs, readings, monkeypatch):
    monkeypatch.setattr(
        "ganhtr.recognizers.readings._BATCH", 5
    )  # 18 lines: the last batch has three
    lines = LineBatches(pairs.validation, pairs.charset, CPU)
    for image in ("clean", "degraded"):
        by_one = []
        for i in range(len(lines)):
            batch = lines.take(np.array([i]))
            by_one += greedy_decode(
                guide(getattr(batch, image))[1], batch.frames(guide.stride), pairs.charset
            )
        assert (
            read_lines(guide, lines, image) == by_one == readings.texts[image] and len(by_one) == 18
        )
    assert readings.texts["clean"] != readings.texts["degraded"]


def test_errors_are_counted_against_the_untouched_transcription(readings, pairs):
    for image, line in zip(("clean", "degraded"), readings.summary(), strict=True):
        read, transcripts = readings.texts[image], pairs.validation.transcripts
        edits = sum(map(levenshtein, transcripts, read))
        words = sum(
            levenshtein(a.split(), b.split()) for a, b in zip(transcripts, read, strict=True)
        )
        characters, spaced = (
            sum(map(len, transcripts)),
            sum(len(text.split()) for text in transcripts),
        )
        assert line == (
            f"{image} lines: CER {edits / characters:.1%} ({edits} edits in {characters} "
            f"characters), WER {words / spaced:.1%} ({words} edits in {spaced} words)"
        )


def test_a_recognizer_reads_in_eval_mode_and_learns_nothing(small, pairs, lines_of_split):
    recognizer = CRNN(
        dataclasses.replace(small().guide, dropout=0.9), pairs.charset.classes, 32, 64
    ).train()
    before = {name: tensor.clone() for name, tensor in recognizer.state_dict().items()}
    assert (
        read_lines(recognizer, lines_of_split) == read_lines(recognizer, lines_of_split)
        and not recognizer.training
    )
    assert all(
        torch.equal(before[name], tensor) for name, tensor in recognizer.state_dict().items()
    )


@given(st.text(alphabet="abc", max_size=12), st.text(alphabet="abc", max_size=12))
@settings(max_examples=200, deadline=None)
def test_what_is_marked_wrong_is_what_differs(transcript, reading):
    spans = spans_of(transcript, reading)
    assert "".join(text for text, _ in spans) == reading
    assert any(wrong for _, wrong in spans) == (transcript != reading)
    right = iter(transcript)
    assert all(
        c in right for text, wrong in spans if not wrong for c in text
    )  # in the transcription, in this order


def test_lacks_and_surpluses_are_marked():
    assert spans_of("abc", "abc") == [("abc", False)] and spans_of("", "") == []
    assert spans_of("abcd", "ad") == [("a", False), ("", True), ("d", False)]
    assert spans_of("ad", "abcd") == [("a", False), ("bc", True), ("d", False)]
    assert spans_of("abcd", "axd") == [("a", False), ("x", True), ("", True), ("d", False)]


def opened(image):
    return np.asarray(image.convert("RGB")).astype(int)


def red(picture):
    return (picture[:, :, 0] - picture[:, :, 1]) > 100


def given_readings(lines, clean, degraded):
    texts = {"clean": list(clean), "degraded": list(degraded)}
    return Readings(
        lines, texts, {image: text_errors(lines.transcripts, read) for image, read in texts.items()}
    )


def test_the_picture_holds_the_images_of_lines_spread_over_the_split(readings, pairs):
    picture = opened(readings_picture(readings, "title", count=4))
    lines, drawn = pairs.validation, []
    for i in range(len(lines)):
        image = Image.fromarray(lines.degraded[i, :, : lines.widths[i]])
        big = np.asarray(
            image.resize((2 * image.width, 2 * image.height), Image.Resampling.LANCZOS)
        )
        windows = np.lib.stride_tricks.sliding_window_view(picture[:, :, 0], big.shape[0], axis=0)
        left = [
            x
            for x in range(picture.shape[1] - big.shape[1] + 1)
            if (windows[:, x] == big[:, 0]).all(axis=1).any()
        ]
        drawn += [i] if left else []
    assert drawn == [0, 6, 11, 17]


def test_errors_are_seen_and_only_where_they_are(pairs, draw_lines):
    lines = draw_lines(("ab", "cd"))
    assert not red(
        opened(readings_picture(given_readings(lines, ("ab", "cd"), ("ab", "cd")), ""))
    ).any()
    half = red(opened(readings_picture(given_readings(lines, ("ab", "cx"), ("ab", "cd")), "")))
    middle = half.shape[1] // 2
    assert half[:, middle:].any() and not half[:, :middle].any()
    for wrong in ("a", "a b", "abb", ""):  # lacking, with a space, with one too many, nothing
        assert red(
            opened(readings_picture(given_readings(lines, (wrong, "cd"), ("ab", "cd")), ""))
        ).any(), wrong


@pytest.mark.parametrize("own_font", [True, False], ids=["the machine's font", "Pillow's font"])
def test_no_text_is_too_odd_to_be_drawn(own_font, draw_lines, monkeypatch):
    if not own_font:
        monkeypatch.setattr(picture_module, "FACES", ("no such font.ttf",))
    lines = draw_lines(("ab",) * len(ODD))
    for texts in (ODD, ODD[::-1]):
        given = given_readings(
            dataclasses.replace(lines, transcripts=ODD), texts, texts[1:] + texts[:1]
        )
        assert opened(readings_picture(given, "".join(ODD))).shape[2] == 3
    bitmap = (
        ImageFont.load_default_imagefont()
        if hasattr(ImageFont, "load_default_imagefont")
        else ImageFont.load_default()
    )
    monkeypatch.setattr(Script, "of", classmethod(lambda cls, height: cls(bitmap, height)))
    assert opened(readings_picture(given, "".join(ODD))).shape[2] == 3


def test_what_a_font_lacks_is_written_as_its_code_point():
    script = Script.of(15)
    assert [script.shown(c) for c in "a \n\ud800\U0010fffe"] == [
        "a",
        " ",
        "<A>",
        "<D800>",
        "<10FFFE>",
    ]


@pytest.mark.parametrize(("height", "width"), [(16, 32), (128, 1024)])
def test_small_and_large_lines_are_drawn_at_a_size_that_can_be_read(height, width, draw_lines):
    lines = draw_lines(("ab", "cd", "ef"))
    image = np.full((3, height, width), 200, dtype=np.uint8)
    lines = dataclasses.replace(
        lines, clean=image, degraded=image, widths=np.full(3, width, dtype=np.int32)
    )
    picture = opened(readings_picture(given_readings(lines, "abc", "abc"), "title"))
    grey = (picture == 200).all(axis=2)
    assert (
        grey.any(axis=1).sum() >= 4 * max(64, height)
        and picture.shape[1] >= 2 * max(1, 64 // height) * width
    )
