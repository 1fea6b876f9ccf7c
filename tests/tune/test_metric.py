"""The table of metrics and objectives against what an evaluation measures."""

from dataclasses import replace

import numpy as np
import pytest

from ganhtr.metrics.text import text_errors
from ganhtr.train.evaluate import Evaluation
from tune.metric import METRICS, OBJECTIVES, SCORE, VERDICT_METRICS, objective_value
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
    assert VERDICT_METRICS == ("score", "psnr", "ssim", "judge_cer", "judge_wer")


def test_the_score_of_a_verdict_is_that_of_the_run_with_the_judge():
    """Also with lines without characters, and although the CER is a corpus rate."""
    references = ["", "den 3 Maart", "x"]
    judge = text_errors(references, ["abc", "dem 9 Maart", "xyz"])
    evaluation = replace(EVALUATION, judge=judge)
    metrics, arrays = evaluation.metrics(), line_arrays(evaluation)
    mean = np.average(SCORE.line_values(arrays), weights=SCORE.line_weights(arrays))
    counted = judge.char_lengths > 0
    cer = judge.char_edits[counted].sum() / judge.char_lengths.sum()
    assert mean == pytest.approx(metrics["psnr"] - 50 * cer)


def test_the_verdict_of_an_objective_is_on_the_same_quantity():
    metrics = {name: objective.verdict for name, objective in OBJECTIVES.items()}
    assert metrics == {
        "score": "score",
        "psnr": "psnr",
        "ssim": "ssim",
        "cer": "judge_cer",
        "wer": "judge_wer",
    }


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
