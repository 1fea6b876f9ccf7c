"""Random streams by name: the same again, unlike each other, and no trace left behind."""

import random

import numpy as np
import pytest
import torch

from ganhtr.seeds import derive_seed, generator, torch_stream

NAMES = [
    (0, "a"),
    (1, "a"),
    (0, "b"),
    (0, "a", 1),
    (0, "a", 2),
    (0, "a", "x"),
    (0, "a", 11),
    (0, 1, "a"),
    (10, "a"),
    (0,),
]


def torch_draw(*stream):
    with torch_stream(*stream):
        return torch.rand(4).tolist()


def numpy_draw(*stream):
    return generator(*stream).random(4).tolist()


def test_seeds_are_those_of_earlier_releases():
    assert derive_seed(0, "data order", 3) == 1802965125384708518
    assert all(0 <= derive_seed(*stream) < 2**63 for stream in NAMES)


@pytest.mark.parametrize("draw", [derive_seed, numpy_draw, torch_draw])
def test_a_stream_depends_on_its_name_alone(draw):
    first = [draw(*stream) for stream in NAMES]
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert [draw(*stream) for stream in reversed(NAMES)] == first[::-1]
    assert len({str(drawn) for drawn in first}) == len(NAMES)


def test_streams_are_not_correlated():
    drawn = np.array([generator(0, "step", i).random(500) for i in range(20)])
    assert np.abs(np.corrcoef(drawn) - np.eye(20)).max() < 0.25
    assert abs(drawn[:, 0].mean() - 0.5) < 0.2


def test_drawing_from_one_stream_leaves_another_as_it_was():
    untouched = numpy_draw(0, "b"), torch_draw(0, "b")
    generator(0, "a").random(1000), torch_draw(0, "a")
    assert (numpy_draw(0, "b"), torch_draw(0, "b")) == untouched


@pytest.mark.parametrize("fails", [False, True])
def test_torchs_global_state_is_restored(fails):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    try:
        with torch_stream(0, "a"):
            torch.rand(7)
            assert not fails
    except AssertionError:
        assert fails
    assert torch.equal(torch.rand(3), expected)


def test_streams_nest():
    with torch_stream(0, "a"):
        first = torch.rand(2)
        inner = torch_draw(0, "b")
        second = torch.rand(2)
    assert torch.cat([first, second]).tolist() == torch_draw(0, "a") and inner == torch_draw(0, "b")
