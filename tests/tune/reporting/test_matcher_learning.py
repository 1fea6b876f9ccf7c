"""What the retrieval at the end of runs allows to conclude."""

import pytest

from tune.reporting.matcher_learning import matcher_learning


def run(clean, restored=0.3, length=0.4, **more):
    return {"clean_top1": clean, "validation_top1": restored, "length_top1": length, **more}


def entries(*top1):
    return [{"diagnostics": {"retrieval_top1": value}} for value in top1]


def test_a_matcher_above_the_length_of_a_line_has_learned():
    epochs = [entries(0.1, 0.6, 0.7, 0.8), entries(0.1, 0.2, 0.3, 0.55)]
    (text,) = matcher_learning([run(0.7), run(0.51)], epochs, 8)
    assert text.startswith("The matcher learned in every run: after the last step, from the 8")
    assert "clean search-validation line in 60% of cases" in text and "in 30% (length" in text
    assert "length alone 40%, chance 12%" in text and "pretraining" not in text
    assert "it passed 50% in epoch 3 of 4;" in text


@pytest.mark.parametrize(("clean", "length"), [(0.49, 0.4), (0.2, 0.0), (0.125, None)])
def test_a_matcher_at_the_level_of_length_or_chance_has_not(clean, length):
    runs = [run(clean, length=length, pretrain_top1=0.2), run(0.9)]
    (text,) = matcher_learning(runs, [entries(0.1)] * 2, 8)
    assert text.startswith("The matcher learned in 1 of 2 runs")
    assert "`contrastive.pretrain`" in text and "nan" not in text
    assert "after pretraining it was 20% on clean training lines" in text


def test_without_transcriptions_there_is_nothing_to_say():
    assert matcher_learning([{"psnr": 20.0}, {}], [[], []], 8) == matcher_learning([], [], 8) == []
