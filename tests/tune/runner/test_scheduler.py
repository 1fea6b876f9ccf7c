"""Tests of the scheduler as Ray calls it: dead workers, abandoned trials, a full disk."""

from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from tune.runner.planned_searcher import PlannedSearcher
from tune.runner.scheduler import StudyScheduler
from tune.searcher.proposal import Proposal
from tune.study.control_files import ControlFiles
from tune.study.trial_folder import TrialFolder

RUN = Proposal("on-000-s2000", "on", "confirmation", {})


@pytest.fixture
def searcher(tmp_path):
    searcher = PlannedSearcher(tmp_path, "confirm", [RUN])
    searcher.open()
    return searcher


def ray_trial(searcher, **last_result):
    """A trial as Ray shows it, three of its workers dead."""
    deaths = SimpleNamespace(num_failures=3)
    return SimpleNamespace(
        trial_id="t", config=searcher.suggest("t"), last_result=last_result, run_metadata=deaths
    )


def test_deaths_of_workers_count_only_while_the_trial_gets_no_epoch_further(searcher, tmp_path):
    trial, scheduler = (
        ray_trial(searcher, epoch=4),
        StudyScheduler(searcher, ControlFiles(tmp_path)),
    )
    for result in (
        {"epoch": 4},
        {"epoch": 3},
        {},
    ):  # a trial that was set up again tells its last epoch once more
        assert (
            scheduler.on_trial_result(None, trial, result) == TrialScheduler.CONTINUE
            and trial.run_metadata.num_failures == 3
        )
    assert (
        scheduler.on_trial_result(None, trial, {"epoch": 5}) == TrialScheduler.CONTINUE
        and trial.run_metadata.num_failures == 0
    )
    trial = SimpleNamespace(
        **{**vars(trial), "last_result": {}, "run_metadata": SimpleNamespace(num_failures=1)}
    )
    scheduler.on_trial_result(None, trial, {"epoch": 1})
    assert trial.run_metadata.num_failures == 0


@pytest.mark.parametrize("recorded", [{}, {"status": "running", "epoch": 2, "best_value": 1.5}])
def test_a_trial_that_is_given_up_has_failed_and_is_not_run_again(searcher, tmp_path, recorded):
    trial, scheduler = ray_trial(searcher), StudyScheduler(searcher, ControlFiles(tmp_path))
    folder = TrialFolder(tmp_path / "confirm/trials" / RUN.id)
    if recorded:
        folder.path.mkdir(parents=True)
        folder.write_result(recorded)
    scheduler.on_trial_error(None, trial)
    searcher.on_trial_complete("t", error=True)
    assert folder.result() == {
        **recorded,
        "status": "failed",
        "error": "its worker died repeatedly (see logs/ray.log)",
    }
    searcher.open()
    assert searcher.remaining == 0


def test_a_disk_that_takes_no_more_ends_the_search_and_not_the_trial(searcher, tmp_path):
    trial, scheduler = ray_trial(searcher), StudyScheduler(searcher, ControlFiles(tmp_path))
    with pytest.raises(OSError, match=r"No space left on device: '/a/last\.pt'"):
        scheduler.on_trial_result(
            None,
            trial,
            {"status": "running", "disk": [28, "No space left on device", "/a/last.pt"]},
        )
    searcher.open()
    assert searcher.remaining == 1
