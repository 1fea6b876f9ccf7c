"""The samplers and pruners that a space file can name are those that can be built."""

import pytest

from tune.searcher.pruners import build_pruner
from tune.searcher.samplers import build_sampler
from tune.space.load import space_from_plain
from tune.space.settings import PRUNERS, SAMPLERS

SPACE = space_from_plain({"space": {"head.dim": {"int": [8, 16]}}})


def built(value):
    """The type of an object and its settings, those of the objects in it too."""
    if not hasattr(value, "__dict__"):
        return str(value)
    settings = sorted(f"{name}={built(part)}" for name, part in vars(value).items())
    return f"{type(value).__name__}({', '.join(settings)})"


def test_every_sampler_is_a_different_one():
    # The points of a grid are listed: it shares the sampler of `random`.
    names = [name for name in SAMPLERS if name != "grid"]
    samplers = [
        build_sampler(SPACE, name, SPACE.parameters, 0, study_seed=0, number=0).build()
        for name in names
    ]
    assert len({type(sampler) for sampler in samplers}) == len(names), samplers


def test_every_pruner_is_a_different_one(tmp_path):
    pruners = {built(build_pruner(name, 2, 20, tmp_path, "psnr")) for name in PRUNERS}
    assert len(pruners) == len(PRUNERS), pruners


def test_another_pruner_is_refused(tmp_path):
    with pytest.raises(KeyError):
        build_pruner("genetic", 2, 20, tmp_path, "psnr")
