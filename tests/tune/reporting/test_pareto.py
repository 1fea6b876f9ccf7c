"""The Pareto front: against Optuna's own."""

from dataclasses import replace

import numpy as np
import optuna
import pytest

from tests.tune.made_search import made_search
from tune.metric import objective_value
from tune.reporting.search_section import MAX_SHOWN, front, pareto_section


def scattered(count, seed, places=2):
    """Trials with independent metrics; with few places there are equal ones."""
    draw = np.random.default_rng(seed)
    return [
        replace(
            row,
            metrics={
                **row.metrics,
                "psnr": round(draw.normal(20, 1), places),
                "cer": round(draw.random(), places),
                "ssim": round(draw.random(), places),
            },
        )
        for row in made_search(count, seed=seed)
    ]


@pytest.mark.parametrize(
    "objectives", [("psnr", "cer"), ("psnr", "cer", "ssim"), ("score", "ssim")]
)
@pytest.mark.parametrize("places", [0, 1, 3])
def test_it_is_optunas(objectives, places):
    rows = scattered(120, places, places)
    study = optuna.create_study(directions=["maximize"] * len(objectives))
    for row in rows:
        values = [objective_value(name, row.metrics) for name in objectives]
        study.add_trial(optuna.trial.create_trial(values=values, user_attrs={"id": row.id}))
    best = front(rows, objectives)
    assert {row.id for row in best} == {trial.user_attrs["id"] for trial in study.best_trials}
    first = [objective_value(objectives[0], row.metrics) for row in best]
    assert first == sorted(first, reverse=True)


def test_only_finished_trials_that_keep_the_constraints_are_on_it():
    rows = scattered(4, 0)
    best = {"psnr": 99.0, "cer": 0.0, "ssim": 1.0}
    rows[0] = replace(rows[0], metrics=best, status="pruned")
    rows[1] = replace(rows[1], metrics=best, status="failed")
    rows[2] = replace(rows[2], metrics=best, feasible=False)
    assert [row.id for row in front(rows, ("psnr", "cer"))] == ["on-003"]
    broken = [replace(row, feasible=False) for row in rows]
    assert (
        front(broken, ("psnr", "cer"))[0].id == "on-002"
        and "No trial meets the constraints" in pareto_section(broken, ("psnr", "cer"))[0]
    )
    assert pareto_section([], ("psnr", "cer")) == ["No trial has finished yet."]


def test_the_table_shows_error_rates_as_positive_values():
    rows = [
        replace(row, metrics={**row.metrics, "psnr": 20.0 + number, "cer": 0.1 + 0.1 * number})
        for number, row in enumerate(made_search(3))
    ]
    text = "\n".join(pareto_section(rows, ("psnr", "cer")))
    assert text.startswith("3 finished trials are not dominated by another in psnr and cer")
    assert "| on-002 | 22.00 | 0.3000 |" in text and text.index("on-002") < text.index("on-000")


def test_a_long_front_is_cut_and_says_so():
    rows = [
        replace(row, metrics={**row.metrics, "psnr": float(number), "cer": number / 1000})
        for number, row in enumerate(made_search(MAX_SHOWN + 7))
    ]
    text = "\n".join(pareto_section(rows, ("psnr", "cer")))
    assert (
        f"{MAX_SHOWN + 7} finished trials" in text
        and "trials.csv" in text
        and text.count("| on-") == MAX_SHOWN
    )
