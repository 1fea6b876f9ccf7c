"""The table of metrics and objectives against what an evaluation measures."""

import numpy as np
import pytest

from ganhtr.metrics.text import text_errors
from ganhtr.train.evaluate import Evaluation
from tune.metric import METRICS, OBJECTIVES, VERDICT_METRICS, objective_value
from tune.study.trial_folder import line_arrays

REFERENCES = ["den 3 Maart", "anno", "x"]
EVALUATION = Evaluation(
    np.array([10.0, 20.0, 40.0]),
    np.array([0.5, 0.75, 1.0]),
    np.array([3.0, 2.0, 0.0]),
    np.array([False, False, True]),
    text_errors(REFERENCES, ["de 3 Mrt", "anno x", ""]),
    text_errors(REFERENCES, ["dem 9 Maart", "ano", "xyz"]),
)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_the_weighted_mean_of_the_lines_is_the_figure_of_the_evaluation(metric):
    arrays = line_arrays(EVALUATION)
    mean = np.average(metric.line_values(arrays), weights=metric.line_weights(arrays))
    assert mean == pytest.approx(EVALUATION.metrics()[metric.key])


def test_every_figure_of_an_evaluation_is_in_the_table():
    known = {metric.key for metric in METRICS}
    assert set(EVALUATION.metrics()) - known == {"ctc", "infeasible"}


def test_the_guide_decides_no_verdict():
    assert VERDICT_METRICS == ("psnr", "ssim", "judge_cer", "judge_wer")


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_an_objective_of_lines_agrees_with_that_of_metrics(name):
    """With equal lengths the mean over lines is the value of the mean metrics."""
    evaluation = Evaluation(
        EVALUATION.psnr,
        EVALUATION.ssim,
        EVALUATION.ctc,
        EVALUATION.infeasible,
        text_errors(["ab cd", "ef gh", "ij kl"], ["ab cx", "ef", "ij kl"]),
        EVALUATION.judge,
    )
    value = objective_value(name, evaluation.metrics())
    assert OBJECTIVES[name].line_values(line_arrays(evaluation)).mean() == pytest.approx(value)
    metrics = evaluation.metrics()
    expected = {
        "score": metrics["psnr"] - 50 * metrics["cer"],
        "psnr": metrics["psnr"],
        "ssim": metrics["ssim"],
        "cer": -metrics["cer"],
        "wer": -metrics["wer"],
    }
    assert value == pytest.approx(expected[name])


def test_an_error_rate_is_shown_as_it_is():
    assert OBJECTIVES["cer"].shown(-0.25) == "0.2500" and OBJECTIVES["psnr"].shown(20) == "20.00"
