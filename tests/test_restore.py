"""Restoration of lines and pages: equal to explicit steps, at the original size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganhtr.data.batches import LineBatches
from ganhtr.data.pages.pages import read_page
from ganhtr.data.pairs import fit_line
from ganhtr.metrics.text import greedy_decode
from ganhtr.restore import restore_lines, restore_page
from ganhtr.train.evaluate import by_generator
from ganhtr.train.model_folder import load_model
from ganhtr.train.state import build_state
from tests.made_model import save_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def load(small, pairs, make_inputs, tmp_path_factory):
    """load(**overrides): an untrained model of the small configuration, by way of its folder."""

    def make(**overrides):
        config = small(**overrides)
        guide = make_inputs(config, pairs).guide
        recognizer = guide.build(CPU)
        state = build_state(config, pairs.charset, recognizer.widths, CPU)
        with (
            torch.no_grad()
        ):  # what is untrained paints one grey and reads one letter, unless it is centred
            lines = torch.from_numpy(pairs.train.degraded)[:, None] / 255
            *_, output, bias = state.generator.parameters()
            bias -= torch.logit(state.generator.eval()(lines)).mean()
            output *= 8
            bias *= 8
            centred = guide.arrays["classify.bias"] - recognizer(lines)[1].mean(dim=(0, 1)).numpy()
        guide = replace(guide, arrays={**guide.arrays, "classify.bias": centred})
        folder = tmp_path_factory.mktemp("model")
        save_model(folder, state, guide)
        return load_model(folder, CPU)

    return make


@pytest.fixture(scope="module")
def model(load):
    return load()


def drawn(h, w, seed=0):
    """Dark strokes on light, uneven paper."""
    rng = np.random.default_rng([h, w, seed])
    image = rng.normal(200, 8, (h, w)) - 20 * np.linspace(0, 1, w)
    for _ in range(1 + w // 8):
        x, y = int(rng.integers(0, w)), int(rng.integers(h // 4, h // 2))
        image[y : y + h // 2, x : x + max(1, h // 10)] -= 120
    return image.clip(0, 255).astype(np.uint8)


def restore_line(model, image):
    (restored,) = restore_lines(model, [image])
    return restored


def by_hand(model, image, sheet):
    """One line through the generator, step by step; `sheet` is the width of its sheet."""
    h, w = image.shape
    scaled_width = max(1, round(w * 32 / h))
    method = Image.Resampling.LANCZOS if h >= 32 else Image.Resampling.BICUBIC
    scaled = (
        image
        if (h, w) == (32, scaled_width)
        else np.asarray(Image.fromarray(image).resize((scaled_width, 32), method))
    )
    paper = torch.ones(1, 1, 32, sheet)
    paper[0, 0, :, :scaled_width] = torch.from_numpy(scaled / 255).float()
    with torch.no_grad():
        out = model.generator(paper)[0, 0, :, :scaled_width]
    levels = torch.round(out * 255).numpy().astype(np.uint8)
    return (
        levels
        if (h, w) == (32, scaled_width)
        else np.asarray(Image.fromarray(levels).resize((w, h), Image.Resampling.LANCZOS))
    )


def same(restored, expected):
    """Whether two images are equal, but for a rounding here and there."""
    apart = np.abs(restored.astype(int) - expected)
    return (
        restored.dtype == np.uint8
        and restored.shape == expected.shape
        and apart.max() <= 1
        and apart.mean() < 0.01
    )


@pytest.mark.parametrize(
    ("h", "w", "sheet"),
    [
        (32, 64, 64),
        (32, 20, 64),
        (40, 70, 64),
        (20, 25, 64),
        (64, 9, 64),
        (128, 250, 64),
        (9, 9, 64),
        (32, 65, 68),
        (32, 72, 72),
        (40, 300, 240),
        (100, 1000, 320),
        (10, 100, 320),
    ],
)
def test_a_line_is_restored_as_by_hand(model, h, w, sheet):
    image = drawn(h, w)
    kept = image.copy()
    restored = restore_line(model, image).image
    assert (image == kept).all()
    assert same(restored, by_hand(model, image, sheet))
    assert restored.std() > 3 and not same(restored, image)


def test_lines_are_restored_as_in_training(model, pairs):
    lines = pairs.validation
    batch = LineBatches(lines, pairs.charset, CPU).take(np.arange(len(lines)))
    expected = by_generator(model.generator)(batch)[:, 0]
    cut = [image[:, :width] for image, width in zip(lines.degraded, lines.widths, strict=True)]
    for restored, image, width in zip(
        restore_lines(model, cut), expected, lines.widths, strict=True
    ):
        assert (
            np.abs(restored.image - image[:, :width].numpy() * 255).max() < 0.51
        )  # rounded, and nothing else


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(8, 90), st.integers(8, 400)), min_size=1, max_size=5))
def test_what_else_is_restored_changes_nothing(model, sizes):
    images = [drawn(h, w, i) for i, (h, w) in enumerate(sizes)]
    together = restore_lines(model, images)
    for image, restored in zip(images, together, strict=True):
        alone = restore_line(model, image)
        assert restored.image.shape == image.shape
        assert same(restored.image, alone.image)


def test_the_same_bits_again(model):
    images = [drawn(40, w) for w in (50, 300, 80, 310, 50)]
    first, again = restore_lines(model, images), restore_lines(model, images)
    assert all(
        (a.image == b.image).all() and (a.before, a.after) == (b.before, b.after)
        for a, b in zip(first, again, strict=True)
    )


def test_more_lines_than_a_batch_keep_their_order(model):
    images = [drawn(32, 40 + i % 7, i) for i in range(40)]
    for image, restored in zip(images, restore_lines(model, images), strict=True):
        assert same(restored.image, by_hand(model, image, 64))


def test_paper_to_the_right_changes_nothing_inside(model):
    line = drawn(32, 200)
    for more in (8, 64, 200):
        longer = np.pad(line, ((0, 0), (0, more)), constant_values=255)
        inside = slice(0, 200 - 48)  # two levels see about 40 pixels far
        assert same(
            restore_line(model, longer).image[:, inside], restore_line(model, line).image[:, inside]
        )


def test_no_lines(model):
    assert restore_lines(model, []) == []


def read_by_hand(model, line):
    """What the guide reads in a line (32, own), on a sheet of the next multiple of 4 from 64 on."""
    scaled_width = line.shape[1]
    paper = torch.ones(1, 1, 32, max(64, -(-scaled_width // 4) * 4))
    paper[0, 0, :, :scaled_width] = torch.from_numpy(line / 255).float()
    frames = torch.tensor([-(-max(scaled_width, 16) // model.recognizer.stride)])
    return greedy_decode(model.recognizer(paper)[1], frames, model.charset)[0]


@pytest.mark.parametrize("w", [12, 40, 64, 65, 203, 400])
def test_readings_are_the_guides_of_the_given_and_the_restored_line(model, w):
    image = drawn(32, w)
    restored = restore_line(model, image)
    assert restored.before == read_by_hand(model, image)
    assert restored.after == read_by_hand(model, restored.image)


def test_readings_before_and_after_differ_and_grow_with_the_line(model):
    short, long = restore_lines(model, [drawn(32, 64), drawn(32, 640)])
    assert len(long.before) > 2 * len(short.before) > 0 and long.before != long.after


def test_a_recognizer_of_one_width_has_a_wide_line_squeezed_for_reading_only(load):
    transformer = load(**{"guide.kind": "transformer", "guide.heads": 2})
    wide, narrow = drawn(32, 300), drawn(32, 50)
    restored = restore_lines(transformer, [wide, narrow])
    assert same(restored[0].image, by_hand(transformer, wide, 304))
    assert restored[0].before == read_by_hand(transformer, fit_line(wide, 32, 64)[0])
    assert restored[0].after == read_by_hand(transformer, fit_line(restored[0].image, 32, 64)[0])
    assert restored[1].before == read_by_hand(transformer, narrow)


def test_one_level_still_fits_the_recognizers_stride(load):
    shallow = load(**{"generator.levels": 1})
    image = drawn(32, 69)
    restored = restore_line(shallow, image)
    assert same(restored.image, by_hand(shallow, image, 72)) and restored.before == read_by_hand(
        shallow, image
    )


@pytest.mark.parametrize(
    ("h", "w", "words"),
    [
        (7, 40, "at least 8 px high and 8 px wide, got 7 x 40"),
        (1, 900, "got 1 x 900"),
        (40, 7, "got 40 x 7"),
        (8, 513, "at most 64 times as wide as high, got 8 x 513. Crop the line again"),
    ],
)
def test_what_is_no_line_is_refused(model, h, w, words):
    with pytest.raises(ValueError, match=words):
        restore_lines(model, [drawn(32, 64), np.zeros((h, w), np.uint8)])
    assert restore_line(model, drawn(8, 512)).image.shape == (8, 512)


PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
<Page imageFilename="page.png" imageWidth="{w}" imageHeight="{h}">
<TextRegion id="r">{lines}</TextRegion></Page></PcGts>"""
LINE = (
    '<TextLine id="{id}"><Coords points="{points}"/>'
    "<TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>"
)


@pytest.fixture
def write_page(tmp_path):
    """write_page(lines, h, w): a page of these lines (id, points, text), and its image."""

    def write(lines, h=120, w=240):
        image = drawn(h, w)
        Image.fromarray(image).save(tmp_path / "page.png")
        rows = "".join(LINE.format(id=key, points=points, text=text) for key, points, text in lines)
        (tmp_path / "page.xml").write_text(PAGE.format(h=h, w=w, lines=rows))
        return read_page(tmp_path / "page.xml"), image

    return write


def test_a_page_is_untouched_outside_its_lines(model, write_page):
    page, image = write_page(
        [("a", "10,10 210,14 214,40 8,44", "abc"), ("b", "10,60 100,60 100,100 10,100", "")]
    )
    restored = restore_page(model, page)
    outside = np.ones(image.shape, dtype=bool)
    outside[10:44, 8:214] = outside[60:100, 10:100] = False
    assert restored.image.shape == image.shape and (restored.image[outside] == image[outside]).all()
    assert restored.image[0:44, 8:10].tolist()[0] == image[0:44, 8:10].tolist()[0]
    rectangle = restore_line(model, image[60:100, 10:100])  # b is one, so all of it is the line
    assert (restored.image[60:100, 10:100] == rectangle.image).all()
    assert (restored.image[14:40, 20:200] != image[14:40, 20:200]).mean() > 0.5
    assert restored.image[10, 205] == image[10, 205]  # in the box of a, but above its slanting edge
    assert [(line.id, line.transcript) for line, _ in restored.lines] == [("a", "abc"), ("b", "")]
    assert (restored.lines[1][1].before, restored.lines[1][1].after) == (
        rectangle.before,
        rectangle.after,
    )
    assert restored.faults == ()


def test_overlapping_lines_are_each_cut_from_the_page_as_it_was(model, write_page):
    page, image = write_page(
        [("a", "0,0 240,0 240,60 0,60", "a"), ("b", "0,40 240,40 240,100 0,100", "b")]
    )
    restored = restore_page(model, page)
    assert (restored.image[40:100] == restore_line(model, image[40:100]).image).all()
    assert (restored.image[:40] == restore_line(model, image[:60]).image[:40]).all()


def test_a_bad_line_stays_as_it_is_and_is_named(model, write_page):
    page, image = write_page(
        [
            ("low", "10,10 200,10 200,15 10,15", "x"),
            ("good", "10,20 200,20 200,60 10,60", "y"),
            ("far", "900,900 950,900 950,950", "z"),
        ]
    )
    restored = restore_page(model, page)
    assert [line.id for line, _ in restored.lines] == ["good"]
    assert (restored.image[:20] == image[:20]).all()
    assert len(restored.faults) == 2 and "far" in restored.faults[0]
    assert restored.faults[1].startswith(f"{page.xml}: line low: a line must be at least 8 px high")


def test_a_page_without_lines(model, write_page):
    page, image = write_page([])
    restored = restore_page(model, page)
    assert (restored.image == image).all() and restored.lines == ()
