"""The dry run: which trials the patience can end early."""

import re

import pytest

from tune.commands.preview import early_stop
from tune.runner.patience import Patience


@pytest.mark.parametrize("patience", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("best", [1, 2, 3, 4, 5, 6])
def test_the_epochs_named_are_those_after_which_patience_saves_something(patience, best):
    """Against the counter itself: a trial of 6 epochs whose values rise up to epoch `best`."""
    counter, ran = Patience(patience, 0.0), 0
    while ran < 6 and not counter.exhausted:
        ran += 1
        counter.update(ran, float(min(ran, best)))
    text = early_stop(patience, 6)
    numbers = re.findall(r"epoch (\d+)$|first (\d+) epochs$", text)
    last = int("".join(numbers[0])) if numbers else 0
    assert (ran < 6) == (best <= last), text


def test_the_default_space():
    text = early_stop(15, 20)
    assert text.endswith("ends a trial early only if the best epoch is one of the first 4 epochs")
