"""Parameter importance, tested on functions with known importances and against Optuna."""

import time
from dataclasses import replace

import numpy as np
import pytest

from tests.tune.made_search import SPACE, made_search
from tune.landscape.importance import importance, importance_section
from tune.landscape.landscape import MOST, landscape, observe
from tune.landscape.trial_points import TrialPoints, coordinate_of
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
    (parameter,) = (parameter for parameter in PLAIN.parameters if parameter.key == key)
    return coordinate_of(parameter, values[key])


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


def test_an_interaction_counts_for_both_parameters():
    """u + v + 6 (u - 1/2) (v - 1/2) has main variances of 1/12 each and 36/144 together.

    Each total effect is (1/12 + 1/4) / (2/12 + 1/4) = 0.8.
    """

    def saddle(values):
        u, v = at(values, "contrastive.weight"), at(values, "contrastive.temperature")
        return u + v + 6 * (u - 0.5) * (v - 0.5)

    shares = shares_of(made_search(500, 0.05, space=PLAIN, truth=saddle), PLAIN)
    assert shares["contrastive.weight"].median == pytest.approx(0.8, abs=0.08)
    assert shares["contrastive.temperature"].median == pytest.approx(0.8, abs=0.08)


def test_conditional_parameters_have_importances_too():
    def layered(values):
        return 3.0 * values.get("head.layers", 2) + 0.1 * (values["head.kind"] == "none")

    shares = shares_of(made_search(300, 0.3, truth=layered))
    first = max(shares.values(), key=lambda share: share.median)
    assert first.key == "head.layers" and first.low > 0.5
    assert shares["contrastive.symmetric"].high < 0.05
    assert 50 < first.trials < 150, "a third of the trials have it"


def test_the_interval_narrows_with_trials_and_covers_the_estimate_from_more_of_them():
    few, many = shares_of(made_search(40, seed=5)), shares_of(made_search(1500, seed=6))
    for key in ("contrastive.weight", "contrastive.temperature"):
        assert few[key].high - few[key].low > 2 * (many[key].high - many[key].low)
        assert few[key].low - 0.05 <= many[key].median <= few[key].high + 0.05


def test_a_model_of_noise_is_rarely_better_than_chance():
    flat = [
        landscape(SPACE, made_search(count, 1.0, seed, truth=lambda values: 0.0))
        for count in (12, 40, 150)
        for seed in range(12)
    ]
    assert sum(fitted.better_than_chance for fitted in flat) <= 4
    real = [landscape(SPACE, made_search(60, 1.0, seed)) for seed in range(10)]
    assert sum(fitted.better_than_chance for fitted in real) >= 9


def test_too_few_trials_have_no_importances():
    assert landscape(SPACE, made_search(9)) is None
    assert "needs 10 finished" in importance_section(None, [], "psnr")[0]
    assert landscape(SPACE, [replace(row, value=1.0) for row in made_search(20)]) is None
    noise = landscape(SPACE, made_search(12, 1.0, 3, truth=lambda values: 0.0))
    assert not noise.better_than_chance
    assert "No importance is shown" in importance_section(noise, [], "psnr")[2]


def test_pruned_trials_count_without_changing_the_expected_value_of_finished_ones():
    """A random half of the trials is pruned with values 8 lower, whatever their parameters."""
    fitted = landscape(SPACE, made_search(300, 0.5, pruned=0.5))
    assert 100 < fitted.observations.finished.sum() < 200 and fitted.skill > 0.7
    order = [share.key for share in importance(fitted)]
    assert set(order[:2]) == {"contrastive.weight", "contrastive.temperature"}
    random = np.random.default_rng(0).random((512, len(SPACE.parameters)))
    expected = fitted.columns_at(TrialPoints.at(SPACE, random)) @ fitted.model.coefficients
    assert 4 < expected.mean() < 11, "the model predicts finished runs"


def test_only_trials_of_the_on_arm_with_a_value_are_used():
    rows = made_search(30)
    others = [
        replace(rows[0], id="off-000", arm="off"),
        replace(rows[1], status="failed", value=None),
        replace(rows[2], status="running"),
        replace(rows[3], status="halted"),
    ]
    assert len(observe(SPACE, rows + others).values) == 30


def test_one_very_bad_trial_does_not_outweigh_the_others():
    rows = made_search(80, 0.5, seed=2)
    ruined = [*rows, replace(rows[0], id="on-999", value=-1e6)]
    assert observe(SPACE, ruined).clipped >= 1 and landscape(SPACE, ruined).skill > 0.5


def test_the_same_rows_give_the_same_numbers():
    first, second = (landscape(SPACE, made_search(50, 0.5)) for _ in range(2))
    assert importance(first) == importance(second)


def test_ten_thousand_trials_take_seconds():
    rows = made_search(10_000)
    started = time.process_time()
    fitted = landscape(SPACE, rows)
    importance(fitted)
    assert len(fitted.observations.values) == MOST and time.process_time() - started < 15


def test_the_order_is_that_of_a_random_forests_fanova():
    """Optuna's evaluator needs scikit-learn, and parameters that all trials have."""
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
