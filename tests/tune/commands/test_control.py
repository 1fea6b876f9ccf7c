"""Steering from a second terminal: control files, and how trials and the scheduler obey them."""

import json
import threading
import time
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler
from typer.testing import CliRunner

from tune.commands.control import act, app, results
from tune.runner.planned_searcher import PlannedSearcher
from tune.runner.scheduler import StudyScheduler
from tune.runner.trainable import TrialPlan, local_trial
from tune.searcher.proposal import Proposal
from tune.study.control_files import ControlFiles
from tune.study.folder import StudyError


@pytest.fixture
def trial_folder(tmp_path):
    folder = tmp_path / "trials" / "on-001"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(
        json.dumps({"status": "running", "epoch": 2, "best_value": 1.5, "best_epoch": 1})
    )
    return tmp_path


class RayTrial:
    def __init__(self, name):
        self.trial_id, self.config = f"ray-{name}", {"id": name}
        self.last_result, self.run_metadata = {}, SimpleNamespace(num_failures=0)


class Asked:
    """A searcher that gives up what it is told to."""

    paused = False

    def __init__(self, *given_up):
        self.given_up, self.halted, self.asked = given_up, [], []

    def should_stop(self, trial_id, result):
        self.asked.append((trial_id, result["epoch"]))
        return trial_id in self.given_up

    def halt(self, trial_id):
        self.halted.append(trial_id)


def test_a_trial_that_is_asked_to_stop_stops_once_and_is_kept_as_halted(trial_folder):
    files, searcher = ControlFiles(trial_folder), Asked()
    scheduler = StudyScheduler(searcher, files)
    act(trial_folder, "stop", "on-001")
    assert (
        scheduler.on_trial_result(None, RayTrial("on-002"), {"epoch": 2}) == TrialScheduler.CONTINUE
    )
    assert scheduler.on_trial_result(None, RayTrial("on-001"), {"epoch": 2}) == TrialScheduler.STOP
    assert (
        searcher.halted == ["ray-on-001"] and results(trial_folder)["on-001"]["status"] == "halted"
    )
    assert (
        scheduler.on_trial_result(None, RayTrial("on-001"), {"epoch": 3}) == TrialScheduler.CONTINUE
    ), "the request was removed"


def test_what_the_pruner_gives_up_stops_and_is_kept_as_pruned(trial_folder):
    searcher = Asked("ray-on-001")
    scheduler = StudyScheduler(searcher, ControlFiles(trial_folder))
    assert scheduler.on_trial_result(None, RayTrial("on-001"), {"epoch": 2}) == TrialScheduler.STOP
    assert (
        results(trial_folder)["on-001"]["status"] == "pruned"
        and searcher.asked == [("ray-on-001", 2)]
        and not searcher.halted
    )


def test_only_a_running_trial_can_be_stopped(trial_folder):
    (trial_folder / "trials" / "on-000").mkdir()
    (trial_folder / "trials" / "on-000" / "result.json").write_text('{"status": "complete"}')
    for name in ("on-000", "on-9"):
        with pytest.raises(
            StudyError, match=f"trial {name} is not running. Running trials: on-001"
        ):
            act(trial_folder, "stop", name)


def test_pause_and_continue_are_shown(trial_folder):
    assert "paused" not in act(
        trial_folder, "status", None
    ) and "on-001: running, epoch 2, best 1.5 in epoch 1" in act(trial_folder, "status", None)
    act(trial_folder, "pause", None)
    assert act(trial_folder, "status", None).endswith("paused")
    act(trial_folder, "continue", None)
    assert not ControlFiles(trial_folder).paused


def test_an_end_takes_a_pause_back_so_that_trials_can_end(trial_folder):
    act(trial_folder, "pause", None)
    act(trial_folder, "end", None)
    files = ControlFiles(trial_folder)
    assert files.end_requested and not files.paused
    files.clear()
    assert not files.end_requested


def test_a_paused_trial_holds_until_it_may_go_on(tmp_path, inputs, request_of):
    request = request_of(epochs=2)
    plan = TrialPlan(request.config(), "score", 15, 0.01, tmp_path, 1, "cpu")
    trial = local_trial(
        {"id": "on-000", "arm": "on", "proposed_by": "test", "values": {}}, plan, inputs
    )
    assert trial.train()["epoch"] == 1
    files = ControlFiles(tmp_path)
    files.request_pause()
    ended = []
    thread = threading.Thread(target=lambda: ended.append(trial.train()["epoch"]))
    thread.start()
    time.sleep(1.5)
    assert not ended, "it trains although it is paused"
    files.end_pause()
    thread.join(20)
    assert ended == [2]


def test_a_paused_searcher_proposes_nothing(tmp_path):
    searcher = PlannedSearcher(tmp_path, "confirm", [Proposal("on-000-s1", "on", "test", {})])
    searcher.open()
    searcher.paused = True
    assert searcher.suggest("a") is None
    searcher.paused = False
    assert searcher.suggest("a") == {
        "id": "on-000-s1",
        "arm": "on",
        "proposed_by": "test",
        "values": {},
        "within": "confirm",
    }


@pytest.mark.parametrize(
    "words, message",
    [
        (["sleep"], "is not one of"),
        (["stop"], "stop needs the name of a trial"),
        (["pause", "on-001"], "pause takes no trial, got on-001"),
        (["pause"], "no search is running in this folder"),
    ],
)
def test_an_impossible_action_is_refused(trial_folder, words, message):
    (trial_folder / "study.yaml").write_text("{}")
    ended = CliRunner().invoke(app, [str(trial_folder), *words])
    assert ended.exit_code == 2 and message in ended.output
