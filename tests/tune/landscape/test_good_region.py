"""The good region: it contains the true optimum, in spaces of any parameters."""

import numpy as np
import pytest
from PIL import Image

from tests.tune.made_search import SPACE, made_search
from tune.landscape.good_region import good_region
from tune.landscape.importance import importance
from tune.landscape.landscape import landscape
from tune.landscape.region_image import FINISHED, OUTLINE, PRUNED, write_region_image
from tune.landscape.region_text import region_section
from tune.landscape.trial_points import number_at
from tune.space.load import space_from_plain
from tune.space.plain import plain_of


def region_of(rows, space=SPACE):
    fitted = landscape(space, rows)
    return fitted, good_region(fitted, importance(fitted))


def test_it_lies_over_weight_temperature_and_head_and_contains_the_true_optimum():
    inside, wrong = [], []
    for seed in range(8):
        _, region = region_of(made_search(120, 1.0, seed))
        assert [parameter.key for parameter in (*region.numbers, region.choice)] == [
            "contrastive.weight",
            "contrastive.temperature",
            "head.kind",
        ]
        weights, temperatures = (
            number_at(parameter, coordinates)
            for parameter, coordinates in zip(region.numbers, region.coordinates, strict=True)
        )
        mlp = region.inside[region.choices.index("mlp")]
        inside.append(mlp[np.ix_((weights < 1.5), abs(np.log10(temperatures) + 1) < 0.15)].mean())
        wrong.append(region.inside[:, weights > 15].mean())
    assert np.mean(inside) > 0.85 and np.mean(wrong) < 0.02


def test_more_trials_and_less_noise_make_it_smaller():
    shares = [
        np.mean([region_of(made_search(count, 1.0, seed))[1].share for seed in range(3)])
        for count in (60, 250, 1000)
    ]
    assert shares[0] > shares[1] > shares[2] > 0.01
    _, quiet = region_of(made_search(1000, 0.2))
    assert quiet.share < shares[2], "less noise resolves smaller differences"


def test_the_text_has_its_ranges_and_its_share_of_the_space():
    rows = made_search(800, 0.7)
    fitted, region = region_of(rows)
    text = "\n".join(region_section(fitted, region, "psnr"))
    assert text.startswith("**weight 0.012 to ") and "head mlp; " in text and "none or" not in text
    assert f"{100 * region.share:.0f} % of the space.**" in text
    row = next(line for line in text.splitlines() if line.startswith("| mlp"))
    assert f"{100 * region.inside[2].mean():.0f} %" in row
    drawn = [line.split()[1:] for line in text.split("```")[1].strip().splitlines()]
    assert {mark for line in drawn for mark in line} == {".", "o", "X"}
    assert len(drawn) == 12 and {len(line) for line in drawn} == {24}
    assert all(line[-1] == "." for line in drawn), "a weight of 25 is never good"


def test_no_region_without_a_model_or_over_the_whole_space():
    assert "too few finished trials" in region_section(None, None, "psnr")[0]
    fitted, region = region_of(made_search(40, 2.0, 4))
    region.inside[:] = True
    text = region_section(fitted, region, "psnr")[0]
    assert text.startswith("No region stands out over `contrastive.weight`")


@pytest.mark.parametrize(
    "parameters",
    [
        {"head.kind": {"choice": ["none", "mlp"]}, "contrastive.symmetric": {"bool": True}},
        {"contrastive.weight": {"float": [0.01, 30], "log": True}},
        {
            "generator.levels": {"int": [2, 4]},
            "contrastive.weight": {"float": [0, 30], "step": 5},
            "loss.ctc": {"float": [0.5, 5]},
        },
    ],
)
def test_a_space_of_any_parameters_has_a_region(parameters, tmp_path):
    space = space_from_plain({"verdict": {"seeds": 0}, "space": parameters}, "any")

    def truth(values):
        weight = values.get("contrastive.weight", 0)
        return 5 * (values.get("head.kind") == "mlp") - abs(weight - 10) / 4

    fitted, region = region_of(made_search(80, 0.2, space=space, truth=truth), space)
    assert region.expected.shape[0] == (2 if "head.kind" in parameters else 1)
    assert 0 < region.share < 0.9
    assert write_region_image(tmp_path / "region.png", fitted, region) == (len(region.numbers) == 2)
    text = "\n".join(region_section(fitted, region, "psnr"))
    assert ("head mlp" if "head.kind" in parameters else "weight") in text
    assert "nan" not in text


def test_forbidden_combinations_are_outside():
    space = space_from_plain(
        {
            **plain_of(SPACE),
            "forbidden": [
                {"head.kind": "mlp", "contrastive.temperature": {"max": 0.15}},
                {"head.kind": "linear"},
            ],
        },
        "ruled",
    )
    _, region = region_of(made_search(200, 0.5, space=space), space)
    temperatures = number_at(region.numbers[1], region.coordinates[1])
    mlp, linear = (region.choices.index(name) for name in ("mlp", "linear"))
    assert not region.inside[linear].any() and np.isnan(region.expected[linear]).all()
    assert not region.inside[mlp][:, temperatures < 0.15].any() and region.inside[mlp].any()


def test_the_image_shows_a_panel_for_each_choice(tmp_path):
    fitted, region = region_of(made_search(300, 0.7, pruned=0.3))
    assert write_region_image(tmp_path / "region.png", fitted, region)
    pixels = np.asarray(Image.open(tmp_path / "region.png")).astype(int)
    assert pixels.shape[1] > 3 * 200 and pixels.shape[0] < 300
    for colour in (OUTLINE, FINISHED, PRUNED):
        assert (pixels == colour).all(axis=-1).sum() > 50
