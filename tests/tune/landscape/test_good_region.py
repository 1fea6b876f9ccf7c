"""The good region: it holds what is truly best, and says so in ranges; with any kind of space."""

import numpy as np
import pytest
from PIL import Image

from tests.tune.made_search import SPACE, made_search
from tune.landscape.good_region import good_region
from tune.landscape.importance import importance
from tune.landscape.landscape import landscape
from tune.landscape.region_image import FINISHED, GIVEN_UP, OUTLINE, write_region_image
from tune.landscape.region_text import region_section
from tune.landscape.trial_points import number_at
from tune.space.load import space_from_plain
from tune.space.plain import plain_of


def region_of(rows, space=SPACE):
    held = landscape(space, rows)
    return held, good_region(held, importance(held))


def said(rows, space=SPACE):
    held, region = region_of(rows, space)
    return "\n".join(region_section(held, region, "psnr"))


def test_it_lies_over_weight_temperature_and_head_and_holds_what_is_truly_best():
    inside, wrong = [], []
    for seed in range(8):
        _, region = region_of(made_search(120, 1.0, seed))
        assert [parameter.key for parameter in (*region.numbers, region.choice)] == [
            "contrastive.weight",
            "contrastive.temperature",
            "head.kind",
        ]
        weights, temperatures = (
            number_at(parameter, places)
            for parameter, places in zip(region.numbers, region.places, strict=True)
        )
        mlp = region.inside[region.choices.index("mlp")]
        inside.append(mlp[np.ix_((weights < 1.5), abs(np.log10(temperatures) + 1) < 0.15)].mean())
        wrong.append(region.inside[:, weights > 15].mean())
    assert np.mean(inside) > 0.85 and np.mean(wrong) < 0.02


def test_more_trials_make_it_smaller_down_to_what_matters():
    shares = [
        np.mean([region_of(made_search(count, 1.0, seed))[1].share for seed in range(4)])
        for count in (60, 250, 1500)
    ]
    assert shares[0] > shares[1] > shares[2] > 0.01
    assert region_of(made_search(1500, 0.2))[1].share < shares[2], (
        "steadier runs tell smaller differences"
    )


def test_it_is_said_in_ranges_with_its_part_of_the_space():
    rows = made_search(800, 0.7)
    held, region = region_of(rows)
    text = "\n".join(region_section(held, region, "psnr"))
    assert text.startswith("**weight 0.012 to ") and "head mlp; " in text and "none or" not in text
    assert f"{100 * region.share:.0f} % of the space.**" in text
    row = next(line for line in text.splitlines() if line.startswith("| mlp"))
    assert f"{100 * region.inside[2].mean():.0f} %" in row
    drawn = [line.split()[1:] for line in text.split("```")[1].strip().splitlines()]
    assert (
        {mark for line in drawn for mark in line} == {".", "o", "X"}
        and len(drawn) == 12
        and {len(line) for line in drawn} == {24}
    )
    assert all(line[-1] == "." for line in drawn), "a weight of 25 is never good"


def test_nothing_stands_out_of_noise_or_of_too_little():
    assert "too few finished trials" in region_section(None, None, "psnr")[0]
    held, region = region_of(made_search(40, 2.0, 4))
    region.inside[:] = True
    assert region_section(held, region, "psnr")[0].startswith(
        "No region stands out over `contrastive.weight`"
    )


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
def test_any_space_will_do(parameters, tmp_path):
    space = space_from_plain({"verdict": {"seeds": 0}, "space": parameters}, "any")

    def truth(values):
        return (
            5 * (values.get("head.kind") == "mlp")
            - abs(values.get("contrastive.weight", 0) - 10) / 4
        )

    held, region = region_of(made_search(80, 0.2, space=space, truth=truth), space)
    assert (
        region.expected.shape[0] == (2 if "head.kind" in parameters else 1)
        and 0 < region.share < 0.9
    )
    assert write_region_image(tmp_path / "region.png", held, region) == (len(region.numbers) == 2)
    text = "\n".join(region_section(held, region, "psnr"))
    assert (
        "head mlp" in text if "head.kind" in parameters else "weight" in text
    ) and "nan" not in text


def test_what_is_forbidden_is_no_part_of_it():
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
    temperatures = number_at(region.numbers[1], region.places[1])
    mlp, linear = (region.choices.index(name) for name in ("mlp", "linear"))
    assert not region.inside[linear].any() and np.isnan(region.expected[linear]).all()
    assert not region.inside[mlp][:, temperatures < 0.15].any() and region.inside[mlp].any()


def test_the_image_shows_a_panel_for_each_choice(tmp_path):
    held, region = region_of(made_search(300, 0.7, pruned=0.3))
    assert write_region_image(tmp_path / "region.png", held, region)
    pixels = np.asarray(Image.open(tmp_path / "region.png")).astype(int)
    assert pixels.shape[1] > 3 * 200 and pixels.shape[0] < 300
    for colour in (OUTLINE, FINISHED, GIVEN_UP):
        assert (pixels == colour).all(axis=-1).sum() > 50
