"""The shipped spaces: each loads, samples only what can be built, and its trials train."""

from pathlib import Path

import pytest
import torch

from ganhtr.config import PRESETS, build_config
from ganhtr.data.batches import LineBatches
from ganhtr.models.recognizer import build_recognizer, freeze
from ganhtr.train.fit import training_batches
from ganhtr.train.rehearsal import LETTERS, random_lines
from ganhtr.train.state import build_state
from ganhtr.train.step import train_step
from tune.space.load import config_faults, load_space

SPACES = sorted((Path(__file__).parents[3] / "search_spaces").glob("*.yaml"))
SMALL = {
    "data.height": 32,
    "data.width": 64,
    "discriminator.base": 2,
    "discriminator.hidden": 8,
    "guide.base": 4,
    "guide.dim": 8,
    "guide.layers": 1,
}
NAMES = {
    "contrastive",
    "experiment",
    "formulations",
    "heads",
    "loss_weights",
    "optimisation",
    "augmentation",
    "multiscale",
    "architecture",
}


def test_every_question_has_its_space():
    assert {path.stem for path in SPACES} == NAMES


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_samples_can_be_built_with_every_preset(path):
    space = load_space(path)
    assert all(not config_faults(space, preset) for preset in PRESETS)
    drawn = [space.random_values(seed) for seed in range(100)]
    for values in drawn:
        for preset in PRESETS:
            config = build_config(preset, space.overrides(values))
            assert config.contrastive.formulation != "none" and config.contrastive.weight > 0
    for parameter in space.parameters:  # each is active somewhere, with different values
        drawn_values = {values[parameter.key] for values in drawn if parameter.key in values}
        assert len(drawn_values) > 1, parameter.key


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_the_off_arm_differs_from_the_others_by_the_contrastive_term_and_what_is_searched(path):
    space = load_space(path)
    on, off = (
        build_config("tiny", values).flat()
        for values in (space.overrides({}), space.overrides(space.baseline))
    )
    assert {key for key in on if on[key] != off[key]} == {"contrastive.formulation"}


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_a_few_trials_of_each_space_train(path):
    space = load_space(path)
    for seed in range(4):
        values = space.random_values(seed)
        small = {"generator.base": 2} if "generator.base" not in values else {}
        config = build_config("tiny", {**space.overrides(values), **SMALL, **small})
        guide = freeze(build_recognizer(config.guide, LETTERS.classes, 32, 64))
        state = build_state(config, LETTERS, guide.widths, torch.device("cpu"))
        lines = LineBatches(
            random_lines(config, config.train.batch_size), LETTERS, torch.device("cpu")
        )
        _, batch = next(training_batches(state, lines))
        measured = train_step(state, guide, batch, 10.0, measure=True)
        assert all(value.isfinite() for value in measured.values()), (values, measured)
        assert measured["contrastive"] != 0 and measured["contrastive_ratio"] >= 0
