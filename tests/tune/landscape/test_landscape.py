"""The model of a search, and the importance of its parameters: against known landscapes, and against another evaluator."""

import time
from dataclasses import replace

import numpy as np
import pytest

from tests.tune.made_search import SPACE, made_search
from tune.landscape.importance import importance, importance_section
from tune.landscape.landscape import MOST, landscape, observe
from tune.landscape.trial_points import place_of
from tune.space.load import space_from_plain

PLAIN = space_from_plain(
    {
        "verdict": {"seeds": 0},
        "space": {
            "contrastive.weight": {"float": [0.01, 30], "log": True},
            "contrastive.temperature": {"float": [0.03, 1], "log": True},
            "contrastive.margin": {"float": [0.1, 0.5]},
            "head.kind": {"choice": ["none", "linear", "mlp"]},
        },
    },
    "plain",
)


def at(values, key):
    return place_of(
        next(parameter for parameter in PLAIN.parameters if parameter.key == key), values[key]
    )


def shares_of(rows, space=SPACE):
    return {share.key: share for share in importance(landscape(space, rows))}


def test_an_additive_landscape_has_the_importances_of_its_variances():
    """3 u + 2 v + 0 w: variances 9 and 4 of 13."""

    def sloped(values):
        return 3 * at(values, "contrastive.weight") + 2 * at(values, "contrastive.temperature")

    shares = shares_of(made_search(400, 0.1, space=PLAIN, truth=sloped), PLAIN)
    assert shares["contrastive.weight"].median == pytest.approx(9 / 13, abs=0.05)
    assert shares["contrastive.temperature"].median == pytest.approx(4 / 13, abs=0.05)
    assert shares["contrastive.margin"].high < 0.02 and shares["head.kind"].high < 0.02
    assert all(share.low <= share.median <= share.high for share in shares.values())


def test_what_two_do_only_together_counts_for_both():
    """u + v + 6 (u - 1/2) (v - 1/2): main variances 1/12 each, together 36/144; each total effect is (1/12 + 1/4) / (2/12 + 1/4) = 0.8."""

    def saddle(values):
        u, v = at(values, "contrastive.weight"), at(values, "contrastive.temperature")
        return u + v + 6 * (u - 0.5) * (v - 0.5)

    shares = shares_of(made_search(500, 0.05, space=PLAIN, truth=saddle), PLAIN)
    assert shares["contrastive.weight"].median == pytest.approx(0.8, abs=0.08)
    assert shares["contrastive.temperature"].median == pytest.approx(0.8, abs=0.08)


def test_conditional_parameters_are_told_too():
    def layered(values):
        return 3.0 * values.get("head.layers", 2) + 0.1 * (values["head.kind"] == "none")

    shares = shares_of(made_search(300, 0.3, truth=layered))
    first = max(shares.values(), key=lambda share: share.median)
    assert (
        first.key == "head.layers"
        and first.low > 0.5
        and shares["contrastive.symmetric"].high < 0.05
    )
    assert 50 < first.trials < 150, "only a third of the trials have it"


def test_the_interval_narrows_with_trials_and_covers_what_more_of_them_tell():
    few, many = shares_of(made_search(40, seed=5)), shares_of(made_search(1500, seed=6))
    for key in ("contrastive.weight", "contrastive.temperature"):
        assert few[key].high - few[key].low > 2 * (many[key].high - many[key].low)
        assert few[key].low - 0.05 <= many[key].median <= few[key].high + 0.05


def test_noise_is_rarely_believed_and_a_landscape_mostly():
    flat = [
        landscape(SPACE, made_search(count, 1.0, seed, truth=lambda values: 0.0)).believed
        for count in (12, 40, 150)
        for seed in range(12)
    ]
    assert sum(flat) <= 4
    assert sum(landscape(SPACE, made_search(60, 1.0, seed)).believed for seed in range(10)) >= 9


def test_too_few_trials_say_nothing():
    assert landscape(SPACE, made_search(9)) is None
    assert "takes 10 finished" in importance_section(None, [], "psnr")[0]
    assert landscape(SPACE, [replace(row, value=1.0) for row in made_search(20)]) is None
    noise = landscape(SPACE, made_search(12, 1.0, 3, truth=lambda values: 0.0))
    assert not noise.believed and "Nothing can be said" in importance_section(noise, [], "psnr")[2]


def test_trials_that_were_given_up_count_without_moving_the_others():
    """A random half of the trials ends 8 lower, which is the pruner's doing and not the parameters'."""
    held = landscape(SPACE, made_search(300, 0.5, pruned=0.5))
    assert 100 < held.seen.finished < 200 and held.skill > 0.7
    order = [share.key for share in importance(held)]
    assert set(order[:2]) == {"contrastive.weight", "contrastive.temperature"}
    expected = held.effect_columns(0)[0] @ held.model.coefficients
    assert 4 < expected.mean() < 11, "the model is of runs that end"


def test_only_trials_of_the_on_arm_that_have_a_value_are_seen():
    rows = made_search(30)
    others = [
        replace(rows[0], id="off-000", arm="off"),
        replace(rows[1], status="failed", value=None),
        replace(rows[2], status="running"),
        replace(rows[3], status="halted"),
    ]
    assert len(observe(SPACE, rows + others).values) == 30


def test_one_ruined_trial_does_not_drown_the_others():
    rows = made_search(80, 0.5, seed=2)
    ruined = [*rows, replace(rows[0], id="on-999", value=-1e6)]
    assert observe(SPACE, ruined).lifted >= 1 and landscape(SPACE, ruined).skill > 0.5


def test_the_same_rows_give_the_same_numbers():
    assert importance(landscape(SPACE, made_search(50, 0.5))) == importance(
        landscape(SPACE, made_search(50, 0.5))
    )


def test_ten_thousand_trials_take_seconds():
    rows = made_search(10_000)
    started = time.monotonic()
    held = landscape(SPACE, rows)
    importance(held)
    assert len(held.seen.values) == MOST and time.monotonic() - started < 15


def test_the_order_is_that_of_a_random_forests_fanova():
    """Optuna's evaluator, which needs scikit-learn and parameters that all trials have."""
    pytest.importorskip("sklearn")
    import optuna
    from optuna.importance import FanovaImportanceEvaluator
    from scipy.stats import spearmanr

    from tune.searcher.distributions import distributions

    def mixed(values):
        return (
            4 * at(values, "contrastive.weight") ** 2
            + 2 * at(values, "contrastive.temperature")
            + 0.6 * (values["head.kind"] == "mlp")
        )

    rows = made_search(250, 0.2, space=PLAIN, truth=mixed)
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params=row.values, distributions=distributions(PLAIN), value=row.value
            )
            for row in rows
        ]
    )
    theirs = optuna.importance.get_param_importances(
        study, evaluator=FanovaImportanceEvaluator(seed=0)
    )
    ours = shares_of(rows, PLAIN)
    keys = list(theirs)
    assert spearmanr([theirs[key] for key in keys], [ours[key].median for key in keys])[0] > 0.9
    assert np.abs([theirs[key] - ours[key].median for key in keys]).max() < 0.15
