"""What the user sees while trials run: progress, best trial and time left."""

import io
from types import SimpleNamespace

from tune.runner.monitor import Monitor


def started(monitor, name, **values):
    config = {"id": name, "proposed_by": "test", "values": values}
    trial = SimpleNamespace(trial_id=name, config=config, last_result=None)
    monitor.on_trial_start(0, [], trial)
    return trial


def epoch(monitor, trial, number, value, **more):
    result = {"trial": trial.trial_id, "epoch": number, "value": value, "best_so_far": value}
    trial.last_result = {**result, "best_value": value, **more}
    monitor.on_trial_result(0, [], trial, trial.last_result)


def test_the_best_is_compared_on_the_lines_that_every_epoch_is_measured_on():
    """The value of the kept weights, on all lines, is shown when a trial ends."""
    stream = io.StringIO()
    monitor = Monitor(stream, 2, 2, "score")
    first, second = started(monitor, "on-000"), started(monitor, "on-001")
    metrics = {"psnr": 18.0, "ssim": 0.8, "cer": 0.1, "wer": 0.3}
    ended = {"status": "complete", "seconds": 3.0, "best_epoch": 2, "best_metrics": metrics}
    epoch(monitor, first, 2, 10.0, **{**ended, "best_value": 13.0})
    monitor.on_trial_complete(0, [], first)
    epoch(monitor, second, 1, 11.0)
    assert "best 11.00 (on-001)" in monitor.progress() and "1/2 done" in monitor.progress()
    assert "on-000 complete after 2 epochs, 0:03: best score 13.00" in stream.getvalue()


def test_a_trial_may_have_more_epochs_than_the_plan():
    monitor = Monitor(io.StringIO(), 1, 20, "score")
    trial = started(monitor, "off-000-e25-s2000", **{"train.epochs": 25})
    for number in range(1, 26):
        epoch(monitor, trial, number, float(number))
    assert "off-000-e25-s2000 25/25 25.00" in monitor.progress()
    assert monitor.eta() == "ETA 0:00"
