"""The built-in lines: what they say, how they are drawn, and that no split knows of another."""

import os
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganhtr.data.drawn.fonts import ACCENTS, file_fonts, stroke_fonts
from ganhtr.data.drawn.register import CHARACTERS, LONGEST, SHORTEST, draw_text
from ganhtr.data.drawn.synthetic import _drift, _slant, render_line, split_of, synthesize
from ganhtr.data.pairs import NARROWEST

COUNTS = {"train": 40, "validation": 12, "test": 16}


@pytest.fixture(scope="module")
def lines():
    return synthesize(COUNTS, 32, 256, seed=3)


@pytest.fixture(scope="module")
def fonts_folder():
    folder = Path(os.environ.get("GANHTR_TEST_DATA", "../shared/data")) / "fonts"
    if not folder.is_dir():
        pytest.skip(f"no fonts at {folder}; set GANHTR_TEST_DATA to the folder that holds fonts/")
    return folder


def same(a, b):
    return [text for _, text in a] == [text for _, text in b] and all(
        np.array_equal(x, y) for (x, _), (y, _) in zip(a, b, strict=True)
    )


def plain(text, font, seed=0, height=32):
    return render_line(text, height, np.random.default_rng(seed), font)


def test_characters_are_sorted_distinct_and_hold_the_space():
    assert "".join(sorted(set(CHARACTERS))) == CHARACTERS
    assert " " in CHARACTERS and 70 <= len(CHARACTERS) <= 90


def test_texts_cover_the_charset_and_nothing_else():
    rng = np.random.default_rng(0)
    texts = [draw_text(rng) for _ in range(3200)]
    counts = Counter("".join(texts))
    assert set(counts) == set(CHARACTERS)
    assert min(counts.values()) >= 15, counts.most_common()[-5:]
    assert all(
        SHORTEST <= len(text) <= LONGEST and text == text.strip() and "  " not in text
        for text in texts
    )


def test_texts_hardly_repeat():
    rng = np.random.default_rng(0)
    assert len({draw_text(rng) for _ in range(20_000)}) > 15_000


def test_counts_shapes_and_types(lines):
    assert {split: len(rows) for split, rows in lines.items()} == COUNTS
    for image, text in chain.from_iterable(lines.values()):
        assert image.dtype == np.uint8 and image.ndim == 2
        assert image.shape[0] == 32 and NARROWEST <= image.shape[1] <= 256
        assert image.max() == 255 and image.min() < 90, text


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(lines):
    again, other = synthesize(COUNTS, 32, 256, seed=3), synthesize(COUNTS, 32, 256, seed=4)
    for split in COUNTS:
        assert same(lines[split], again[split])
        assert not same(lines[split], other[split])


def test_no_transcript_repeats_within_or_across_splits(lines):
    texts = [text for rows in lines.values() for _, text in rows]
    assert len(set(texts)) == len(texts)
    assert all(split_of(text) == split for split, rows in lines.items() for _, text in rows)


def test_two_seeds_do_not_share_transcripts_across_splits():
    train = {text for _, text in synthesize({"train": 300}, 16, 256, seed=0)["train"]}
    test = {text for _, text in synthesize({"test": 100}, 16, 256, seed=1)["test"]}
    assert not train & test


def test_more_training_lines_leave_every_other_line_as_it_was(lines):
    more = synthesize({"test": 16, "train": 55, "validation": 12}, 32, 256, seed=3)
    assert same(more["validation"], lines["validation"])
    assert same(more["test"], lines["test"])
    assert same(more["train"][:40], lines["train"])


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="valid"):
        synthesize({"valid": 1}, 32, 256, seed=0)


@pytest.mark.parametrize("font", stroke_fonts(), ids=lambda font: font.name)
def test_every_character_has_ink_and_looks_like_no_other(font):
    drawn = {c: plain(c, font, height=48) for c in CHARACTERS if c != " "}
    for character, image in drawn.items():
        assert (image < 128).sum() >= 3, character
    images = list(drawn.items())
    for i, (a, x) in enumerate(images):
        for b, y in images[:i]:
            assert x.shape != y.shape or not np.array_equal(x, y), (a, b)


@pytest.mark.parametrize("font", stroke_fonts(), ids=lambda font: font.name)
@pytest.mark.parametrize("accented", ACCENTS)
def test_an_accent_adds_ink_above_its_letter(font, accented):
    letter, base = font.glyphs[accented], font.glyphs[ACCENTS[accented][0]]
    assert letter.advance == base.advance
    if accented != "ï":  # its dots take the place of the i's own
        assert letter.points[:, 1].min() < base.points[:, 1].min()
    body = (letter.points[:, None] == base.points).all(axis=2).any(axis=1)
    marks = letter.points[~body]
    assert len(marks) >= 2 and marks[:, 1].max() < letter.points[body][:, 1].min()


@pytest.mark.parametrize("height", [16, 32, 45, 128])
def test_the_whole_text_lies_inside_the_sheet(height):
    fonts = stroke_fonts()
    for seed in range(40):
        image = plain("Qjgy (üé/f;", fonts[seed % len(fonts)], seed, height)
        assert image.shape[0] == height
        edges = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert (edges == 255).all(), seed
        assert (image < 128).any(axis=1).sum() > 0.5 * height, seed


def test_a_line_is_squeezed_into_the_width_and_keeps_all_its_ink():
    font, text = stroke_fonts()[0], "Zuijdpool - Enkhuijzen 99"
    free = render_line(text, 32, np.random.default_rng(1), font)
    tight = render_line(text, 32, np.random.default_rng(1), font, 128)
    assert free.shape[1] > 128 == tight.shape[1]
    halves = [
        (255.0 - image[:, image.shape[1] // 2 :]).sum() / (255.0 - image).sum()
        for image in (free, tight)
    ]
    assert abs(halves[0] - halves[1]) < 0.06
    assert render_line(text, 512, np.random.default_rng(1), font, 32).shape == (512, 32)


@pytest.mark.parametrize("slope", [-0.3, -0.05, 0.0, 0.3])
def test_slant_and_drift_lose_no_ink(slope):
    sheet = Image.fromarray(np.pad(np.full((60, 200), 255, np.uint8), 1))  # ink up to the corners
    total = np.asarray(sheet, dtype=float).sum()
    slanted = _slant(sheet, slope)
    drifted = _drift(slanted, 20, np.random.default_rng(0))
    assert np.asarray(slanted, dtype=float).sum() == pytest.approx(total, rel=2e-3)
    assert np.asarray(drifted, dtype=float).sum() == np.asarray(slanted, dtype=float).sum()
    top, foot = (np.flatnonzero(np.asarray(slanted)[row]).mean() for row in (5, 55))
    assert top - foot == pytest.approx(50 * slope, abs=1)


def test_handwriting_varies_with_the_generator():
    font = stroke_fonts()[0]
    assert not np.array_equal(plain("Batavia", font, 1), plain("Batavia", font, 2))
    assert np.array_equal(plain("Batavia", font, 1), plain("Batavia", font, 1))


def test_a_font_without_the_character_is_named():
    with pytest.raises(ValueError, match="futural"):
        plain("Batavia 漢", stroke_fonts()[0])


def test_a_folder_without_fonts_is_named(tmp_path):
    with pytest.raises(ValueError, match=tmp_path.name):
        file_fonts(tmp_path)


def test_a_broken_font_file_is_named(tmp_path):
    (tmp_path / "torn.ttf").write_bytes(b"no font at all")
    with pytest.raises(ValueError, match=r"torn\.ttf"):
        file_fonts(tmp_path)


def test_file_fonts_know_what_they_lack_and_draw_what_they_have(fonts_folder):
    fonts = file_fonts(fonts_folder)
    assert [font.name for font in fonts] == sorted(font.name for font in fonts)
    for font in fonts:
        assert not font.covers("漢") and not font.covers("a漢")
        covered = "".join(c for c in CHARACTERS if font.covers(c))
        assert len(covered) > 60 and {"a", "Z", "7", "."} <= set(covered), font.name
        for character in covered.replace(" ", ""):
            image = plain(character, font)
            assert (image < 160).any(), (font.name, character)
            assert (image[[0, -1]] == 255).all(), (font.name, character)


def test_a_font_folder_mixes_into_the_lines_and_leaves_the_transcripts(fonts_folder, lines):
    mixed = synthesize(COUNTS, 32, 256, seed=3, fonts_folder=fonts_folder)
    for split in COUNTS:
        assert [text for _, text in mixed[split]] == [text for _, text in lines[split]]
        assert not same(mixed[split], lines[split])
    assert same(
        mixed["train"],
        synthesize({"train": 40}, 32, 256, seed=3, fonts_folder=fonts_folder)["train"],
    )


def test_a_text_that_no_file_font_can_write_falls_back_to_stroke_fonts(
    monkeypatch, fonts_folder, lines
):
    monkeypatch.setattr("ganhtr.data.drawn.fonts.FileFont.covers", lambda self, text: False)
    assert len(synthesize(COUNTS, 32, 256, seed=3, fonts_folder=fonts_folder)["train"]) == 40
