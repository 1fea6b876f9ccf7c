"""Tests of cutting a line out of a page and pasting it back."""

from types import SimpleNamespace

import numpy as np
import pytest
from skimage.draw import polygon2mask

from ganhtr.data.pages.outline import clip, covered
from ganhtr.data.pages.page_line import cut, lay_back

TRIANGLE = np.array([[3.2, 1.1], [18.7, 6.4], [5.5, 13.8]])


def line(polygon, box):
    return SimpleNamespace(polygon=polygon, box=box)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def turns_around(polygon, box):
    """Return the winding number of a polygon around the centre of each pixel.

    It is the sum of the angles that the sides span at that point.
    """
    left, top, right, bottom = box
    x, y = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
    angles = np.stack([np.arctan2(py - y, px - x) for px, py in polygon])
    steps = np.roll(angles, -1, axis=0) - angles
    return np.rint(((steps + np.pi) % (2 * np.pi) - np.pi).sum(axis=0) / (2 * np.pi))


def star(rng, points):
    """A polygon that does not cross itself."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, points))
    return np.array([20, 15]) + rng.uniform(3, 14, (points, 1)) * np.stack(
        [np.cos(angles), np.sin(angles)], axis=1
    )


@pytest.mark.parametrize("seed", range(40))
def test_covered_is_the_winding_number(seed):
    rng = np.random.default_rng(seed)
    polygon, box = rng.uniform(-5, 30, (rng.integers(3, 12), 2)), (2, 1, 23, 17)
    assert (covered(polygon, box) == (turns_around(polygon, box) != 0)).all()


@pytest.mark.parametrize("seed", range(20))
def test_covered_is_what_scikit_image_finds(seed):
    rng = np.random.default_rng(seed)
    polygon = star(rng, rng.integers(5, 40))
    assert (
        covered(polygon, (0, 0, 40, 30)) == polygon2mask((30, 40), polygon[:, ::-1] - 0.5)
    ).all()


def test_covered_holds_whole_pixels():
    mask = covered(np.array([[2, 3], [5, 3], [5, 7], [2, 7.0]]), (0, 0, 9, 9))
    assert mask[3:7, 2:5].all() and mask.sum() == 12
    assert covered(np.array([[0, 0], [9, 0], [9, 9], [0, 9.0]]), (2, 2, 6, 5)).all()


@pytest.mark.parametrize("seed", range(10))
def test_neighbours_share_no_pixel(seed):
    """A rectangle parted by a line through pixel centres."""
    a, b = np.random.default_rng(seed).integers(0, 20, 2) + 0.5
    upper, lower = (
        np.array([[a, 0], [0, 0], [0, 9], [b, 9]]),
        np.array([[a, 0], [20, 0], [20, 9], [b, 9]]),
    )
    parts = covered(upper, (0, 0, 20, 9)).astype(int) + covered(lower, (0, 0, 20, 9))
    assert (parts == 1).all()


def test_an_outline_that_crosses_itself_has_no_hole():
    pentagram = np.array(
        [[10 + 9 * np.sin(4 * np.pi * i / 5), 10 - 9 * np.cos(4 * np.pi * i / 5)] for i in range(5)]
    )
    mask = covered(pentagram, (0, 0, 20, 20))
    assert mask[10, 10] and mask[6:14, 10].all()
    bow_tie = np.array([[0, 0], [10, 10], [10, 0], [0, 10.0]])
    assert covered(bow_tie, (0, 0, 10, 10)).sum() == pytest.approx(50, abs=10)


@pytest.mark.parametrize("seed", range(30))
def test_a_clipped_polygon_covers_the_same_of_the_page(seed):
    rng = np.random.default_rng(seed)
    polygon = rng.uniform(-15, 40, (rng.integers(3, 9), 2))
    cropped = clip(polygon, 24, 16)
    assert (covered(cropped, (0, 0, 24, 16)) == covered(polygon, (0, 0, 24, 16))).all()
    assert (cropped >= 0).all() and (cropped <= (24, 16)).all()


def test_clip_leaves_what_lies_inside_and_nothing_of_what_lies_outside():
    assert (clip(TRIANGLE, 24, 16) == TRIANGLE).all()
    for shift in ((50, 0), (-50, 0), (0, 50), (0, -50)):
        assert clip(TRIANGLE + shift, 24, 16).shape == (0, 2)
    square = clip(np.array([[-4, -4], [40, -4], [40, 40], [-4, 40.0]]), 24, 16)
    assert {tuple(point) for point in square} == {(0, 0), (24, 0), (24, 16), (0, 16)}


def test_a_crop_has_the_line_and_paper_around_it():
    page = np.full((20, 30), 30, dtype=np.uint8)  # neighbours' ink everywhere
    box = (3, 1, 19, 14)
    mask = covered(TRIANGLE, box)
    region = page[1:14, 3:19]
    region[mask] = 200  # paper
    ink = np.flatnonzero(mask.ravel())[::3]
    region[np.unravel_index(ink, mask.shape)] = 90
    crop = cut(page, line(TRIANGLE, box))
    assert crop.shape == (13, 16) and crop.dtype == np.uint8
    assert (crop[mask] == region[mask]).all() and set(np.unique(crop[mask])) == {90, 200}
    assert (crop[~mask] == 200).all() and (~mask).sum() > 50


def test_the_paper_is_the_median_of_the_lighter_half():
    page = noise(20, 30)
    box = (3, 1, 19, 14)
    levels = np.sort(page[1:14, 3:19][covered(TRIANGLE, box)])
    paper = cut(page, line(TRIANGLE, box))[~covered(TRIANGLE, box)]
    assert (
        len(set(paper.tolist())) == 1
        and abs(int(paper[0]) - int(levels[len(levels) * 3 // 4])) <= 3
    )


def test_a_crop_is_a_copy():
    page = noise(20, 30)
    before = page.copy()
    for polygon in (None, TRIANGLE):
        cut(page, line(polygon, (3, 1, 19, 14)))[:] = 0
    assert (page == before).all()


def test_a_line_without_polygon_is_its_box():
    page = noise(20, 30)
    assert (cut(page, line(None, (4, 2, 11, 9))) == page[2:9, 4:11]).all()
    lay_back(page, line(None, (4, 2, 11, 9)), np.full((7, 7), 5, dtype=np.uint8))
    assert (page[2:9, 4:11] == 5).all() and (page == 5).sum() < 60


@pytest.mark.parametrize("seed", range(10))
def test_what_was_cut_and_laid_back_leaves_the_page_as_it_was(seed):
    page, polygon = noise(30, 40, seed), star(np.random.default_rng(seed), 9)
    box = (5, 0, 36, 30)
    before = page.copy()
    lay_back(page, line(polygon, box), cut(page, line(polygon, box)))
    assert (page == before).all()


@pytest.mark.parametrize("shape", [(13, 16), (32, 40), (5, 7), (128, 1024)])
def test_a_restored_line_of_any_size_fills_its_polygon_and_no_more(shape):
    page = noise(20, 30)
    page[page == 255] = 0
    before = page.copy()
    mask = np.zeros(page.shape, dtype=bool)
    mask[1:14, 3:19] = covered(TRIANGLE, (3, 1, 19, 14))
    lay_back(page, line(TRIANGLE, (3, 1, 19, 14)), np.full(shape, 255, dtype=np.uint8))
    assert (page[mask] == 255).all() and (page[~mask] == before[~mask]).all()


def test_a_restored_line_is_scaled_to_its_box():
    page = np.zeros((20, 30), dtype=np.uint8)
    halves = np.zeros((64, 200), dtype=np.uint8)
    halves[:, 100:] = 255  # dark left, white right
    lay_back(page, line(None, (4, 2, 24, 12)), halves)
    assert (
        (page[2:12, 4:10] == 0).all()
        and (page[2:12, 18:24] == 255).all()
        and page[:2].max() == page[12:].max() == 0
    )
