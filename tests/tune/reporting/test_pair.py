"""Which trials make an arm."""

import pytest

from tests.tune.made_study import Made, make_study, two_arms
from tune.reporting.pair import default_pair, named_pair
from tune.study.folder import StudyError


@pytest.fixture
def made(tmp_path, request_of):
    def build(*trials):
        folder, _, rows = make_study(tmp_path, request_of(), trials)
        return folder, rows

    return build


def ids(arm):
    return [trial.row.id for trial in arm.trials]


def test_a_search_compares_off_with_its_best_trial(made):
    pair = default_pair(
        *made(
            Made("off-000", 0),
            Made("on-000", 0, [10.0, 15.0], values={"contrastive.weight": 5.0}),
            Made("on-001", 0, [10.0, 19.0], values={"contrastive.weight": 1.0}),
            Made("on-002", 0, [10.0, 50.0], values={"contrastive.weight": 3.0}, status="pruned"),
        )
    )
    assert (pair.first.name, ids(pair.first), pair.second.name, ids(pair.second)) == (
        "OFF",
        ["off-000"],
        "on-001",
        ["on-001"],
    )
    assert (
        pair.seeds == [0]
        and pair.second.config["contrastive.weight"] == 1.0
        and "train.seed" not in pair.second.config
    )


def test_an_experiment_compares_all_its_seeds_the_failed_too(made):
    trials = two_arms()
    trials[3].status = "failed"
    pair = default_pair(*made(*trials))
    assert (pair.second.name, ids(pair.second)) == ("ON", ["on-000", "on-001", "on-002"])
    assert pair.seeds == [1, 2] and [
        [trial.row.id for trial in side] for side in pair.compared
    ] == [["off-001", "off-002"], ["on-001", "on-002"]]


def test_a_repeated_proposal_is_one_run(made):
    pair = default_pair(
        *made(Made("off-000", 0), Made("on-000", 0, [10.0, 18.0]), Made("on-001", 0, [10.0, 19.0]))
    )
    assert ids(pair.second) == ["on-001"] and pair.second.name == "on-001"


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [Made("off-000", 0)],
        [Made("on-000", 0)],
        [Made("off-000", 0, status="failed"), Made("on-000", 0)],
        [Made("off-000", 0), Made("on-000", 0, status="running")],
    ],
)
def test_without_a_finished_trial_in_each_there_is_no_pair(made, trials):
    assert default_pair(*made(*trials)) is None


def test_arms_can_be_named(made):
    study = made(*two_arms())
    pair = named_pair(*study, ["off-000", "off-002"], ["on-002", "on-000"])
    assert (pair.first.name, pair.second.name, pair.seeds) == ("OFF", "ON", [0, 2])
    assert [[trial.seed for trial in side] for side in pair.compared] == [[0, 2], [0, 2]]
    assert [arm.name for arm in named_pair(*study, ["on-000"], ["on-001"]).arms] == [
        "on-000",
        "on-001",
    ]
    assert [arm.name for arm in named_pair(*study, ["off-000"], ["off-001"]).arms] == [
        "off-000",
        "off-001",
    ]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            ["off-009"],
            ["on-000"],
            "first arm names off-009, which is no trial of the study. Trials: off-000, off-001",
        ),
        (["off-000"], [""], "second arm names an empty name, which is no trial of the study"),
        ([], ["on-000"], "first arm names nothing, which is no trial of the study"),
        (["off-000", "on-001"], ["on-000"], "differ in contrastive.formulation"),
        (["off-000", "off-000"], ["on-000"], "repeat a seed: 0 and 0"),
        (["off-000"], ["off-000"], "both arms name off-000"),
    ],
)
def test_trials_that_make_no_arm_are_refused(made, first, second, message):
    folder, rows = made(*two_arms())
    with pytest.raises(StudyError) as error:
        named_pair(folder, rows, first, second)
    assert message in str(error.value) and str(folder.path) in str(error.value)


def test_a_trial_that_failed_before_it_had_a_folder_is_still_there(made):
    folder, rows = made(*two_arms())
    for path in sorted((folder.path / "trials/on-001").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    trial = named_pair(folder, rows, ["off-001"], ["on-001"]).second.trials[0]
    assert trial.seed == 1 and trial.epochs == () and trial.config == {}
