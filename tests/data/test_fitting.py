"""Tests of fitting lines to one size: predicted widths, squeezed lines, degraded images."""

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ganhtr.config_sections import DataConfig
from ganhtr.data.fitting import fit_lines, is_squeezed
from ganhtr.data.pairs import fit_line, fitted_width
from ganhtr.data.raw import RawLine

DATA = DataConfig(height=16, width=48)


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 90), st.integers(8, 400))
def test_the_predicted_width_is_the_fitted_width(height, width):
    image = np.zeros((height, width), dtype=np.uint8)
    assert (
        fitted_width(image.shape, DATA.height, DATA.width)
        == fit_line(image, DATA.height, DATA.width)[1]
    )


def test_squeezed_is_wider_than_the_line_may_be():
    shapes = [(32, 96), (32, 97), (8, 24), (8, 25), (100, 20)]
    assert [is_squeezed(shape, DATA) for shape in shapes] == [False, True, False, True, False]


def test_a_twin_is_laid_down_as_its_line_is_and_another_is_made():
    rng = np.random.default_rng(0)
    pairs = [rng.integers(0, 255, (2, 32, width), dtype=np.uint8) for width in (40, 200, 60)]
    lines = [
        RawLine(f"l{i}", "g", "a", clean, degraded if i < 2 else None)
        for i, (clean, degraded) in enumerate(pairs)
    ]
    waiting = deque(lines)
    fitted = fit_lines(waiting, DATA, "train")
    assert (
        not waiting
        and fitted.widths.tolist() == [20, 48, 30]
        and fitted.names == ("l0", "l1", "l2")
    )
    for i, (clean, degraded) in enumerate(pairs):
        assert np.array_equal(fitted.clean[i], fit_line(clean, 16, 48)[0])
        assert np.array_equal(fitted.degraded[i], fit_line(degraded, 16, 48)[0]) == (i < 2)
    assert (fitted.degraded[2, :, 30:] == 255).all() and (
        fitted.degraded[2, :, :30] != fitted.clean[2, :, :30]
    ).mean() > 0.5


def test_a_split_without_lines_is_empty():
    fitted = fit_lines(deque(), DATA, "test")
    assert (
        fitted.clean.shape == fitted.degraded.shape == (0, 16, 48)
        and fitted.transcripts == fitted.names == ()
    )
