"""Warm start: Optuna storages since 2.4, study folders, what does not fit, hostile sources."""

import json
import math
import os
import pickle
import random
import shutil
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import optuna
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

import tune.warm_start.optuna_sqlite
from tune import ROOT
from tune.commands.preview import warm_start_lines
from tune.commands.request_options import absolute_source
from tune.searcher.distributions import distributions
from tune.space.load import space_from_plain
from tune.space.parameter import Parameter
from tune.study.request import Request
from tune.warm_start.history import read_history
from tune.warm_start.mapping import Unfit, map_names, mapped_value

SOURCES = Path(__file__).parent / "warm_sources"
OLD = [
    SOURCES / f"optuna-{version}.sql" for version in ("1.5.0", "2.3.0")
]  # Optuna cannot upgrade them
DUMPS = sorted(
    set(SOURCES.glob("*.sql")) - {*OLD}, key=lambda path: [int(n) for n in path.stem[7:].split(".")]
)
JOURNALS = sorted(SOURCES.glob("*.journal"))
SPACE = {
    "space": {
        "contrastive.weight": {"float": [0.01, 100], "log": True},
        "contrastive.temperature": {"float": [0.05, 0.5], "log": True},
        "head.kind": {"choice": ["none", "mlp"]},
        "head.layers": {"int": [1, 3], "when": {"head.kind": ["mlp"]}},
        "train.batch_size": {"choice": [8, 16]},
    }
}


@pytest.fixture
def space():
    return space_from_plain(SPACE, "test")


@pytest.fixture
def stored(tmp_path):
    """Makes a source of one of the files in SOURCES."""

    def make(made: Path) -> Path:
        target = tmp_path / "source" / f"{made.name}.db"
        target.parent.mkdir()
        if made.suffix == ".journal":
            return Path(shutil.copy(made, target.with_suffix("")))
        with sqlite3.connect(target) as connection:
            connection.executescript(made.read_text(encoding="utf-8"))
        connection.close()
        return target

    return make


@pytest.fixture
def foreign(tmp_path):
    """Makes a journal with one study: foreign(params, values=...) with a trial for each."""

    def make(*params, values=None, name="demo", direction="maximize"):
        path = tmp_path / f"{name}.journal"
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            study_name=name,
            direction=direction,
        )
        for number, given_params in enumerate(params):
            kinds = {key: _distribution(value) for key, value in given_params.items()}
            study.add_trial(
                create_trial(
                    params=given_params,
                    distributions=kinds,
                    value=values[number] if values else float(number),
                )
            )
        return path

    return make


def _distribution(value):
    if isinstance(value, (str, bool)) or value is None:
        return optuna.distributions.CategoricalDistribution([value])
    if isinstance(value, int):
        return optuna.distributions.IntDistribution(-(10**6), 10**6)
    return optuna.distributions.FloatDistribution(-1e9, 1e9)


def fingerprint(folder: Path) -> dict:
    """All of a folder: names, bytes and times."""
    return {
        path.name: (sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in [*folder.rglob("*")]
        if path.is_file()
    }


def text_of(history) -> str:
    return "\n".join(history.notes)


# Storages of older versions -----------------------------------------------------------------------


@pytest.mark.parametrize("made", [*DUMPS, *JOURNALS], ids=lambda path: path.name)
def test_every_version_gives_the_same_trials(made, stored, space):
    source = stored(made)
    before = fingerprint(source.parent)
    history = read_history(f"{source}::recipe", space, ("score",))
    assert fingerprint(source.parent) == before
    assert {trial.user_attrs["warm_start"] for trial in history.trials} == {
        f"{source.name}/recipe#{number}" for number in (0, 1, 6, 7, 8)
    }
    for trial in history.trials:
        values = trial.params
        assert trial.state == TrialState.COMPLETE and set(values) == {
            parameter.key for parameter in space.active(values)
        }
        expected = (
            20
            - 3 * math.log10(values["contrastive.weight"]) ** 2
            + values.get("head.layers", 0)
            - values["contrastive.temperature"]
        )
        assert trial.value == pytest.approx(expected, abs=1e-12)
        assert values["train.batch_size"] in (8, 16)
    notes = text_of(history)
    assert (
        "5 of " in notes
        and "1 pruned" in notes
        and "2 failed" in notes
        and "1 running" in notes
        and "1 waiting" in notes
    )
    assert "1 without a finite value" in notes
    assert (
        "temperature is read as contrastive.temperature" in notes
        and "Head.Layers is read as head.layers" in notes
    )
    assert "does not search it: dropout" in notes and "taken as score" in notes


@pytest.mark.parametrize("made", [*DUMPS, *JOURNALS], ids=lambda path: path.name)
def test_minimised_values_are_turned(made, stored, space):
    trials = read_history(f"{stored(made)}::loss", space, ("score",)).trials
    assert len(trials) == 2
    for trial in trials:
        values = trial.params
        expected = (
            20
            - 3 * math.log10(values["contrastive.weight"]) ** 2
            + values.get("head.layers", 0)
            - values["contrastive.temperature"]
        )
        assert trial.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("made", [*DUMPS, *JOURNALS], ids=lambda path: path.name)
def test_two_values_are_history_for_two_objectives_alone(made, stored, space):
    source = stored(made)
    both = read_history(f"{source}::front", space, ("psnr", "cer"))
    assert [trial.values[1] for trial in both.trials] == [0.0, -1.0]  # minimised there
    one = read_history(f"{source}::front", space, ("score",))
    best = max(both.trials, key=lambda trial: trial.values[0])
    assert not one.trials and one.points[0] == best.params and len(one.points) == 2
    assert "2 values a trial, and this search 1" in text_of(one)


def test_a_log_of_sqlite_beside_the_file_is_read_and_left(tmp_path, space):
    """While a study runs in WAL mode its newest trials stand in -wal alone."""
    source = tmp_path / "live" / "live.db"
    source.parent.mkdir()
    study = optuna.create_study(
        storage=f"sqlite:///{source}", study_name="live", direction="maximize"
    )
    connection = sqlite3.connect(source)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    study.add_trial(
        create_trial(
            params={"weight": 1.0}, distributions={"weight": _distribution(1.0)}, value=3.0
        )
    )
    before = fingerprint(source.parent)
    assert before[f"{source.name}-wal"][0] != sha256(b"").hexdigest()
    assert [trial.value for trial in read_history(source, space, ("score",)).trials] == [3.0]
    assert fingerprint(source.parent) == before
    connection.close()


def test_a_locked_file_in_a_read_only_folder_is_read_and_left(stored, space):
    source = stored(DUMPS[0])
    with sqlite3.connect(source) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("UPDATE trial_values SET value = 0")  # not committed
        source.parent.chmod(0o500)
        before = fingerprint(source.parent)
        trials = read_history(f"{source}::recipe", space, ("score",)).trials
        assert fingerprint(source.parent) == before
        source.parent.chmod(0o700)
        connection.rollback()
    connection.close()
    assert len(trials) == 5 and all(trial.value for trial in trials)


@pytest.mark.parametrize("made", OLD, ids=lambda path: path.name)
def test_files_that_optuna_cannot_upgrade_are_refused_with_a_way_out(made, stored, space):
    source = stored(made)
    before = fingerprint(source.parent)
    version = made.stem.removeprefix("optuna-")
    reason = (
        rf"SQLite files of Optuna 2\.3 and older, and this is one of Optuna {version}\. Upgrade"
    )
    with pytest.raises(ValueError, match=reason) as caught:
        read_history(f"{source}::recipe", space, ("score",))
    assert str(caught.value).startswith(f"{source}: ") and "optuna storage upgrade" in str(
        caught.value
    )
    assert fingerprint(source.parent) == before


LAZY = """
import logging, sys
from tune.space.load import space_from_plain
from tune.warm_start.history import read_history
space = space_from_plain({"space": {"contrastive.weight": {"float": [0.01, 100]}}}, "test")
logger = logging.getLogger("another")
read_history(sys.argv[1], space, ("score",))
assert "sqlalchemy" not in sys.modules and "alembic" not in sys.modules
read_history(sys.argv[2], space, ("score",))
assert "sqlalchemy" in sys.modules
assert not logger.disabled and not logging.getLogger().handlers
assert logger.isEnabledFor(logging.ERROR)
"""


def test_a_journal_needs_no_sqlalchemy_and_an_upgrade_leaves_logging_alone(stored, foreign):
    command = [
        sys.executable,
        "-c",
        LAZY,
        str(foreign({"weight": 1.0})),
        f"{stored(DUMPS[0])}::recipe",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_reading_a_file_ends_at_the_time_limit(stored, space, monkeypatch):
    source = stored(DUMPS[-1])
    rows = ", ".join(f"(1, 'p{number}', '{{}}')" for number in range(1000))
    _sqlite(
        source, f"INSERT INTO trial_params (trial_id, param_name, distribution_json) VALUES {rows}"
    )
    monkeypatch.setattr(tune.warm_start.optuna_sqlite, "MAX_SECONDS", 0.0)
    with pytest.raises(
        ValueError, match=r"cannot read this SQLite file of Optuna 4\.5\.0: .*interrupted"
    ):
        read_history(f"{source}::recipe", space, ("score",))


@pytest.mark.parametrize("made", [DUMPS[0], JOURNALS[0]], ids=lambda path: path.name)
def test_nothing_is_unpickled(made, stored, space, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("unpickled")

    source = stored(made)
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    assert len(read_history(f"{source}::recipe", space, ("score",)).trials) == 5


def test_urls_and_links_lead_to_the_file(stored, space, tmp_path):
    source = stored(DUMPS[-1])
    link = tmp_path / "link.db"
    link.symlink_to(source)
    for name in (f"sqlite:///{source}::recipe", f"{link}::recipe"):
        assert len(read_history(name, space, ("score",)).trials) == 5
    assert [path.name for path in source.parent.iterdir()] == [source.name]


@pytest.mark.parametrize(
    "place, studies, wanted",
    [
        ("a :: b.db", ("one", "two"), "two"),
        ("par::dir/x.db", ("one", "two"), "two"),
        ("par::dir/x.db", ("one",), ""),
        ("one::two/y.db", ("a::b", "c"), "a::b"),
        ("plain/y.db", ("a::b", "c"), "a::b"),
        ("plain/y.db", ("http://x::1", "c"), "http://x::1"),
        ("three:::y.db", ("one", "two"), "two"),
    ],
)
def test_paths_and_studies_may_hold_the_sign_between_them(
    tmp_path, space, monkeypatch, place, studies, wanted
):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    for name in studies:
        study = optuna.create_study(
            storage=f"sqlite:///{path}", study_name=name, direction="maximize"
        )
        study.add_trial(
            create_trial(
                params={"weight": 1.0},
                distributions={"weight": _distribution(1.0)},
                value=float(name == wanted),
            )
        )
    monkeypatch.chdir(tmp_path)
    for source in (f"{place}::{wanted}" if wanted else place, f"sqlite:///{path}::{wanted}"):
        absolute = absolute_source(source)
        assert absolute == (f"{path}::{wanted}" if wanted else str(path))
        for each in (source, absolute):
            assert [trial.value for trial in read_history(each, space, ("score",)).trials] == [
                float(bool(wanted))
            ]


def test_the_dry_run_says_what_a_source_gives(foreign, space):
    source = str(foreign({"weight": 1.0}, {"weight": 900.0}))
    request = Request(
        space, "tiny", "", {}, "builtin", None, None, 3, 0, 1, 0, warm=(source, "/no")
    )
    notes = "\n".join(warm_start_lines(request, request.bound_space))
    assert "warm start: demo.journal/demo: 1 of 2 trials are used" in notes
    assert "warm start: cannot be read: /no: no such file" in notes


# Names --------------------------------------------------------------------------------------------

KEYS = ["contrastive.weight", "train.generator_lr", "head.dim", "text_encoder.dim", "head.kind"]


@pytest.mark.parametrize(
    "names, matched, note",
    [
        (["contrastive.weight"], {"contrastive.weight": "contrastive.weight"}, ""),
        (["weight"], {"contrastive.weight": "weight"}, "weight is read as contrastive.weight"),
        (["Contrastive_Weight"], {"contrastive.weight": "Contrastive_Weight"}, "is read as"),
        (["contrastive/weight"], {"contrastive.weight": "contrastive/weight"}, "is read as"),
        (["GENERATOR_LR"], {"train.generator_lr": "GENERATOR_LR"}, "is read as"),
        (["lr"], {}, "does not search it: lr"),
        (["dim"], {}, "dim is not used: no clear match (head.dim, text_encoder.dim)"),
        (["dim", "head_dim"], {"head.dim": "head_dim", "text_encoder.dim": "dim"}, "is read as"),
        (["weight", "WEIGHT"], {}, "WEIGHT is not used: no clear match (contrastive.weight)"),
        (
            ["weight", "contrastive.weight"],
            {"contrastive.weight": "contrastive.weight"},
            "weight is not used: another name is closer to",
        ),
        (
            ["Weight", "contrastive_weight", "CONTRASTIVE-WEIGHT"],
            {},
            "Weight is not used: another name is closer to contrastive.weight",
        ),
        (["head-kind", "head_kind", "kind"], {}, "head_kind is not used"),
        (["model.weight"], {}, "does not search it: model.weight"),
    ],
)
def test_names(names, matched, note):
    got = map_names(names, KEYS)
    assert got.matched == matched and note in "\n".join(got.notes)


NAMES = [
    "weight",
    "Weight",
    "contrastive.weight",
    "contrastive_weight",
    "dim",
    "head.dim",
    "kind",
    "KIND",
    "x",
]


@given(st.lists(st.sampled_from(NAMES), unique=True))
def test_each_name_is_used_once_or_reported(names):
    mapped = map_names(names, KEYS)
    matched = mapped.matched
    assert (
        len(set(matched.values())) == len(matched)
        and set(matched.values()) <= set(names)
        and set(matched) <= set(KEYS)
    )
    for name in names:
        assert matched.get(name) == name or any(name in line for line in mapped.notes)
    assert not set(mapped.ambiguous) & set(matched) and map_names(reversed(names), KEYS) == mapped


# Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameter, value, expected",
    [
        (Parameter("head.layers", "int", 1, 3), 2.0, 2),
        (Parameter("head.layers", "int", 1, 3), "3", 3),
        (Parameter("head.layers", "int", 1, 3), 2.5, None),
        (Parameter("head.layers", "int", 1, 3), True, None),
        (Parameter("head.layers", "int", 1, 3), 4, None),
        (Parameter("contrastive.weight", "float", 0.01, 30.0), 2, 2.0),
        (Parameter("contrastive.weight", "float", 0.01, 30.0), "1e-1", 0.1),
        (Parameter("contrastive.weight", "float", 0.01, 30.0), 30.000000000000004, 30.0),
        (Parameter("contrastive.weight", "float", 0.01, 30.0), 30.001, None),
        (Parameter("contrastive.weight", "float", 0.01, 30.0), "nan", None),
        (Parameter("contrastive.weight", "float", 0.01, 30.0), None, None),
        (
            Parameter("loss.ctc", "float", 0.0, 1.0, step=0.1),
            0.30000000000000004,
            0.30000000000000004,
        ),
        (Parameter("loss.ctc", "float", 0.0, 1.0, step=0.1), 0.35, None),
        (Parameter("head.dim", "choice", choices=(64, 128)), "128", 128),
        (Parameter("head.dim", "choice", choices=(64, 128)), 64.0, 64),
        (Parameter("head.dim", "choice", choices=(64, 128)), 256, None),
        (Parameter("head.kind", "choice", choices=("none", "mlp")), "MLP", "mlp"),
        (Parameter("head.kind", "choice", choices=("none", "mlp")), None, None),
        (Parameter("head.kind", "choice", choices=("none", "mlp")), "None", "none"),
        (Parameter("contrastive.symmetric", "bool", choices=(False, True)), "True", True),
        (Parameter("contrastive.symmetric", "bool", choices=(False, True)), 0, False),
        (Parameter("head.layers", "choice", choices=(1, 2)), True, None),
    ],
)
def test_values(parameter, value, expected):
    if expected is None:
        with pytest.raises(Unfit, match=parameter.key):
            mapped_value(parameter, value)
    else:
        got = mapped_value(parameter, value)
        assert (
            got == pytest.approx(expected)
            if isinstance(expected, float)
            else got is expected or got == expected
        )
        assert type(got) is type(expected)


def test_what_does_not_fit_is_counted_with_an_example(foreign, space):
    full = {
        "contrastive.weight": 1.0,
        "temperature": 0.1,
        "head.kind": "mlp",
        "head.layers": 2,
        "batch_size": 8,
    }
    source = foreign(
        full,
        {**full, "contrastive.weight": 300.0},
        {**full, "contrastive.weight": 400.0},
        {**full, "batch_size": 12},
    )
    history = read_history(source, space, ("score",))
    assert [trial.params["head.layers"] for trial in history.trials] == [2]
    notes = text_of(history)
    assert "1 of 4 trials are used" in notes
    assert (
        "2 left out: contrastive.weight must be 0.01 to 100" in notes and "(#1 has 300.0)" in notes
    )
    assert "1 left out: train.batch_size must be 8, 16 (#3 has 12)" in notes


def test_inactive_parameters_are_dropped(foreign, space):
    source = foreign(
        {"weight": 1.0, "temperature": 0.1, "head.kind": "none", "head.layers": 2, "batch_size": 8}
    )
    trials = read_history(source, space, ("score",)).trials
    assert "head.layers" not in trials[0].params and trials[0].params["head.kind"] == "none"


def test_a_missing_parameter_takes_its_default_or_leaves_the_trial_out(foreign):
    source = foreign({"weight": 1.0})

    def space_with(**options):
        return space_from_plain(
            {
                "space": {
                    "contrastive.weight": {"float": [0.01, 30]},
                    "contrastive.temperature": {"float": [0.3, 0.9], **options},
                }
            }
        )

    history = read_history(source, space_with(default=0.5), ("score",))
    assert history.trials[0].params["contrastive.temperature"] == 0.5
    assert "contrastive.temperature is missing in 1 of 1 trials: 0.5 is assumed" in text_of(history)
    none = read_history(
        source, space_with(), ("score",)
    )  # the configuration's 0.1 is below the range
    assert not none.trials and "1 left out: contrastive.temperature is missing" in text_of(none)


def test_a_trial_of_another_matter_is_no_result_at_the_defaults(foreign, space):
    history = read_history(
        foreign({"lr": 0.1, "dropout": 0.2}, {"temperature": 0.2}, {"layers": 2, "dropout": 0.3}),
        space,
        ("score",),
    )
    assert [trial.params["contrastive.temperature"] for trial in history.trials] == [0.2, 0.1]
    assert "1 left out: it has none of this space's active parameters (#0)" in text_of(history)
    flat = space_from_plain(
        {
            "space": {
                "head.kind": {"choice": ["none", "mlp"], "default": "none"},
                "head.layers": {"int": [1, 3], "when": {"head.kind": "mlp"}},
            }
        }
    )
    assert not read_history(foreign({"layers": 2}, name="inactive"), flat, ("score",)).trials


def test_a_key_whose_name_is_unclear_is_not_taken_to_be_at_its_default(foreign, space):
    full = {"temperature": 0.1, "head.kind": "none", "batch_size": 8}
    history = read_history(
        foreign(
            {**full, "Weight": 1.0, "contrastive__weight": 2.0, "CONTRASTIVE-WEIGHT": 3.0},
            full,
            {"weight": 4.0},
        ),
        space,
        ("score",),
    )
    notes = text_of(history)
    assert (
        not history.trials and "1.0 is assumed" not in notes and "does not search it" not in notes
    )
    assert "3 left out: contrastive.weight is ambiguous: it could be CONTRASTIVE-WEIGHT or" in notes
    assert "Weight is not used: another name is closer to contrastive.weight" in notes


def test_a_missing_parameter_comes_from_the_configuration_of_the_search(foreign, space):
    source, base = foreign({"weight": 1.0}), {**space.start(), "train.batch_size": 16}
    trials = read_history(source, space.bound(base), ("score",)).trials
    assert trials[0].params["train.batch_size"] == 16
    derived = space_from_plain({**SPACE, "derived": {"head.width": "generator.base * 100"}})
    wide, narrow = (derived.bound({**base, "generator.base": width}) for width in (96, 8))
    assert not read_history(source, wide, ("score",)).trials  # no width takes 9600
    assert read_history(source, narrow, ("score",)).trials


def test_forbidden_combinations_are_left_out(foreign):
    space = space_from_plain(
        {
            "forbidden": [{"head.kind": ["mlp"], "head.dim": [64]}],
            "space": {"head.kind": {"choice": ["none", "mlp"]}, "head.dim": {"choice": [64, 128]}},
        }
    )
    history = read_history(
        foreign({"head.kind": "mlp", "head.dim": 64}, {"head.kind": "mlp", "head.dim": 128}),
        space,
        ("score",),
    )
    assert [trial.params["head.dim"] for trial in history.trials] == [128] and "forbids" in text_of(
        history
    )


def test_values_that_are_no_history_leave_the_three_best_points(foreign, space):
    weights = [1.0, 2.0, 3.0, 4.0, 4.0]
    full = {"temperature": 0.1, "head.kind": "none", "batch_size": 8}
    source = foreign(
        *({**full, "weight": weight} for weight in weights),
        values=[5.0, 1.0, 4.0, 0.0, -1.0],
        direction="minimize",
    )
    history = read_history(source, space, ("score",), values=False)
    assert not history.trials and [point["contrastive.weight"] for point in history.points] == [
        4.0,
        2.0,
        3.0,
    ]


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinite_values_are_no_results(foreign, space, value):
    history = read_history(foreign({"weight": 1.0}, values=[value]), space, ("score",))
    assert (
        not history.trials and not history.points and "1 without a finite value" in text_of(history)
    )


# Studies of ours ----------------------------------------------------------------------------------

ENVIRONMENT = {
    "objective": "score",
    "data": {"digest": "d"},
    "recognizers": {"guide": {"digest": "g"}},
}


@pytest.fixture
def study_folder(tmp_path):
    """A study folder with three ON trials that have a result; changes go to environment.json."""

    def make(space_changes=None, config=None, **environment):
        folder = tmp_path / "earlier"
        folder.mkdir()
        space = {**SPACE, "objective": "score", **(space_changes or {})}
        settings = {"head.kind": "mlp", "head.layers": 3, "train.epochs": 5, **(config or {})}
        (folder / "study.yaml").write_text(yaml.safe_dump({"space": space, "config": settings}))
        (folder / "environment.json").write_text(json.dumps({**ENVIRONMENT, **environment}))
        storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
        off = optuna.create_study(storage=storage, study_name="off", direction="maximize")
        off.add_trial(create_trial(value=9.0, user_attrs={"proposal": "{}"}))
        on = optuna.create_study(storage=storage, study_name="on", direction="maximize")
        for number in range(3):
            params = {
                "contrastive.weight": 1.0 + number,
                "contrastive.temperature": 0.1,
                "train.batch_size": 8,
            }
            kinds = {
                key: kind
                for key, kind in distributions(space_from_plain(SPACE)).items()
                if key in params
            }
            on.add_trial(
                create_trial(
                    value=float(number),
                    params=params,
                    distributions=kinds,
                    user_attrs={"proposal": "{}", "constraints": [float(number) - 1]},
                )
            )
        on.add_trial(
            create_trial(
                value=50.0,
                params=params,
                distributions=kinds,
                user_attrs={"warm_start": "older/on#1"},
            )
        )
        on.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"proposal": "{}"}))
        return folder

    return make


@pytest.mark.parametrize("part", ["", "study.journal"])
def test_a_study_of_ours(study_folder, space, part):
    folder = study_folder()
    before = fingerprint(folder)
    history = read_history(folder / part, space, ("score",), ENVIRONMENT)
    assert fingerprint(folder) == before
    assert [(trial.user_attrs["warm_start"], trial.value) for trial in history.trials] == [
        (f"earlier/on#{n}", float(n)) for n in range(3)
    ]
    assert all(
        trial.params["head.kind"] == "mlp" and trial.params["head.layers"] == 3
        for trial in history.trials
    )  # its configuration
    notes = text_of(history)
    assert (
        "1 from another study's warm start" in notes
        and "1 failed" in notes
        and "head.layers is missing in 3 of 3 trials" in notes
    )
    assert "cannot be checked" not in notes


@pytest.mark.parametrize(
    "changes, objectives, why",
    [
        ({"objective": "psnr"}, ("score",), "it maximised psnr, and this search maximises score"),
        ({}, ("score", "ssim"), "it maximised score, and this search maximises score and ssim"),
        ({"data": {"digest": "other"}}, ("score",), "it ran on other data"),
        ({"data": {}}, ("score",), "it ran on other data"),
    ],
)
def test_values_of_another_scale_are_no_history(study_folder, space, changes, objectives, why):
    history = read_history(study_folder(**changes), space, objectives, ENVIRONMENT)
    assert not history.trials and [point["contrastive.weight"] for point in history.points] == [
        3.0,
        2.0,
        1.0,
    ]
    assert why in text_of(history)


def test_another_guide_and_other_settings_are_reported(study_folder):
    space = space_from_plain({**SPACE, "budget": {"epochs": 20}})
    history = read_history(study_folder(recognizers={}), space, ("score",), ENVIRONMENT)
    assert len(history.trials) == 3
    assert "another guide" in text_of(
        history
    ) and "its trials had train.epochs 5 (here 20)" in text_of(history)


def test_trials_with_another_value_of_what_is_settled_here_are_left_out(study_folder):
    weight = {"contrastive.weight": {"float": [0.01, 100], "log": True}}
    folder = study_folder()
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    for kind in ("mlp", "none", "none"):
        params = {"contrastive.weight": 2.0, "head.kind": kind, "head.dim": 64}
        kinds = {
            **{key: _distribution(value) for key, value in params.items()},
            "head.kind": optuna.distributions.CategoricalDistribution(["mlp", "none"]),
        }
        optuna.load_study(storage=storage, study_name="on").add_trial(
            create_trial(
                value=7.0, params=params, distributions=kinds, user_attrs={"proposal": "{}"}
            )
        )
    fixed = read_history(
        folder,
        space_from_plain({"space": weight, "fixed": {"head.kind": "none", "head.layers": 2}}),
        ("score",),
    )
    assert [trial.user_attrs["warm_start"][-2:] for trial in fixed.trials] == [
        "#0",
        "#1",
        "#2",
        "#6",
        "#7",
    ]
    notes = text_of(fixed)
    assert '1 left out: head.kind is fixed to "none" here (#5 has "mlp")' in notes
    assert (
        "head.layers 3 (here 2)" in notes and 'head.kind "mlp" (here' not in notes
    )  # searched there: no setting of all its trials
    derived = read_history(
        folder, space_from_plain({"space": weight, "derived": {"head.dim": "2 * 16"}}), ("score",)
    )
    assert len(
        derived.trials
    ) == 3 and "3 left out: head.dim is derived as 32 here (#5 has 64)" in text_of(derived)


def test_constraints_are_kept_where_they_are_the_same(study_folder):
    rules = {"constraints": {"psnr": {"below_off": 0.5}}}
    space = space_from_plain({**SPACE, **rules}, "test")
    folder = study_folder(space_changes=rules)
    assert [
        trial.user_attrs["constraints"] for trial in read_history(folder, space, ("score",)).trials
    ] == [[-1.0], [0.0], [1.0]]
    other = space_from_plain({**SPACE, "constraints": {"psnr": {"below_off": 0.4}}}, "test")
    history = read_history(folder, other, ("score",))
    assert all(
        "constraints" not in trial.user_attrs for trial in history.trials
    ) and "constraints is unknown" in text_of(history)


@pytest.mark.parametrize(
    "name, text",
    [
        ("study.yaml", "a: [1"),
        ("study.yaml", "!!python/object/apply:os.system [true]"),
        ("environment.json", "[]"),
        ("environment.json", "{"),
        ("environment.json", "[" * 100_000),
    ],
)
def test_damaged_settings_of_ours_are_refused(study_folder, space, name, text):
    folder = study_folder()
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name}: not as a search wrote it"):
        read_history(folder, space, ("score",))


def test_settings_that_grow_when_read_are_passed_over(study_folder, space):
    folder = study_folder()
    layers = "\n".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    (folder / "study.yaml").write_text(
        f"config:\n  a0: &a0 [x, x]\n{layers}\n  head.kind: *a11\nspace: {{objective: *a11}}\n"
    )
    history = read_history(folder, space, ("score",))
    assert [trial.params["head.layers"] for trial in history.trials] == [
        1,
        1,
        1,
    ]  # the default: no setting could be taken


# Sources of bad faith -----------------------------------------------------------------------------


COUNT = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"  # without an end


def _sqlite(path, *statements):
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.fixture
def faulty(tmp_path, stored):
    """Makes a faulty source by name."""

    def make(kind):
        path = tmp_path / "faulty"
        if kind == "folder":
            path.mkdir()
        elif kind == "garbage":
            path.write_bytes(os.urandom(4096))
        elif kind == "empty":
            path.touch()
        elif kind == "text":
            path.write_text("hello\nworld\n")
        elif kind == "other json":
            path.write_text('{"epoch": 1}\n')
        elif kind == "huge":
            with open(path, "wb") as file:
                file.truncate(3 * 2**30)
        elif kind == "huge line":
            path.write_bytes(b'{"op_code": 0, "x": "' + b"x" * 2**21)
        elif kind == "deep":
            path.write_bytes(b"[" * 100_000 + b"\n")
        elif kind == "records":
            path.write_text('{"op_code": 0, "study_name": "a"}\n')
        elif kind == "operation":
            path.write_text('{"op_code": 77}\n')
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "other program":
            _sqlite(path, "CREATE TABLE bookmarks (title TEXT)")
        elif kind == "cut off":
            source = stored(DUMPS[0])
            path.write_bytes(source.read_bytes()[:20_000])
        elif kind in ("view", "trigger"):
            path = stored(DUMPS[0])
            _sqlite(
                path,
                {
                    "view": f"CREATE VIEW endless AS {COUNT} SELECT * FROM n",
                    "trigger": "CREATE TRIGGER t AFTER INSERT ON trials BEGIN SELECT 1; END",
                }[kind],
            )
        elif kind == "new revision":
            path = stored(DUMPS[-1])
            _sqlite(path, "UPDATE alembic_version SET version_num = 'v9.0.0.a'")
        elif kind == "costly check":  # evaluated whenever Optuna writes to the table
            path = stored(DUMPS[-1])
            _sqlite(
                path,
                "DROP TABLE version_info",
                "CREATE TABLE version_info (version_info_id INTEGER PRIMARY KEY, schema_version, "
                "library_version, CHECK (length(hex(zeroblob(400000000))) > 0))",
            )
        elif kind == "many rows":
            path = stored(DUMPS[-1])
            _sqlite(
                path,
                f"INSERT INTO trials (study_id, state) {COUNT} "
                f"SELECT 1, 'FAIL' FROM n LIMIT {tune.warm_start.optuna_sqlite.MAX_ROWS}",
            )
        elif kind == "new schema":
            path = stored(DUMPS[-1])
            _sqlite(
                path,
                "ALTER TABLE trial_params RENAME COLUMN distribution_json TO distribution_text",
                "UPDATE version_info SET library_version = '9.1.0'",
            )
        return path

    return make


@pytest.mark.parametrize(
    "kind, words",
    [
        ("missing", "no such file"),
        ("folder", "not a study folder"),
        ("garbage", "neither"),
        ("empty", "no study in it"),
        ("text", "neither"),
        ("other json", "neither"),
        ("huge", "at most 1024 MiB"),
        ("huge line", "neither"),
        ("deep", "neither"),
        ("records", "cannot replay"),
        ("operation", "cannot replay"),
        ("pipe", "not a file"),
        ("other program", "no table studies"),
        ("cut off", "cannot read this SQLite file"),
        ("view", "has the view endless"),
        ("trigger", "has the trigger t"),
        ("new schema", "of Optuna 9.1.0: .*no such column"),
        ("new revision", "No such revision"),
        ("costly check", "too big"),
        ("many rows", f"more than {tune.warm_start.optuna_sqlite.MAX_ROWS}"),
    ],
)
def test_what_is_no_source_is_refused(faulty, space, kind, words):
    path = faulty(kind)
    with pytest.raises(ValueError, match=words) as caught:
        read_history(path, space, ("score",))
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and len(text) < 1000


@pytest.mark.parametrize(
    "source, words",
    [
        ("mysql://user@host/db", "mysql://…: .* Copy the study to a file"),
        ("file:///x.db", "Write the path itself"),
        ("SQLITE:///x.db", "path itself"),
        ("sqlite+pysqlite:///x.db", "Write the path itself"),
        ("x" * 300, "File name too long"),
        ("{}::nowhere", "no study 'nowhere' in it. There are: recipe, loss, front"),
        ("{}", "there are 3 studies in it. Name one with .*::NAME: recipe, loss, front"),
    ],
)
def test_what_names_no_study_is_refused(stored, space, source, words):
    with pytest.raises(ValueError, match=words):
        read_history(source.format(stored(DUMPS[-1])), space, ("score",))


def test_a_torn_last_line_is_passed_over(stored, space):
    source = stored(JOURNALS[0])
    whole = source.read_bytes()
    source.write_bytes(whole + b'{"op_code": 6, "trial_id": 0, "sta')
    assert len(read_history(f"{source}::recipe", space, ("score",)).trials) == 5


def test_lines_after_a_damaged_one_are_left_out_and_reported(stored, space):
    source = stored(JOURNALS[0])
    lines = source.read_bytes().splitlines(keepends=True)
    finished = [number for number, line in enumerate(lines) if b'"op_code": 6' in line]
    lines[finished[1]] = b'{"op_code": 6, "tri' + lines[finished[1]]
    source.write_bytes(b"".join(lines))
    history = read_history(source, space, ("score",))
    assert [trial.user_attrs["warm_start"][-2:] for trial in history.trials] == ["#0"]
    assert f"{source}:{finished[1] + 1}: not a record of a journal" in text_of(history)


OF_TEMPERATURE = "WHERE trial_id = 1 AND param_name = 'temperature'"


@pytest.mark.parametrize(
    "damage",
    [
        "trial_params SET param_value = 99 WHERE trial_id = 1 AND param_name = 'head_kind'",
        f"trial_params SET distribution_json = '{{' {OF_TEMPERATURE}",
        f"trial_params SET distribution_json = '[]' {OF_TEMPERATURE}",
        f"trial_params SET distribution_json = NULL {OF_TEMPERATURE}",
        f"trial_params SET param_value = 'x' {OF_TEMPERATURE}",
        "trials SET state = 'DONE' WHERE trial_id = 1",
        "trials SET number = 'x' WHERE trial_id = 1",
        "trial_values SET value = 'x' WHERE trial_id = 1",
        "trial_values SET value = NULL WHERE trial_id = 1",
    ],
)
def test_a_damaged_trial_is_left_out_and_the_rest_used(stored, space, damage):
    source = stored(DUMPS[-1])
    _sqlite(source, f"UPDATE {damage}")
    history = read_history(f"{source}::recipe", space, ("score",))
    assert [trial.user_attrs["warm_start"][-2:] for trial in history.trials] == [
        "#1",
        "#6",
        "#7",
        "#8",
    ]
    assert "1 damaged" in text_of(history) or "2 without a finite value" in text_of(history)


@pytest.mark.parametrize("made", [DUMPS[-1], JOURNALS[-1]], ids=lambda path: path.name)
def test_any_damage_gives_trials_with_values_or_a_refusal(made, stored, space):
    source, rng = stored(made), random.Random(0)
    whole, refused = source.read_bytes(), 0
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 5, 50])):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.choice([1, 1, 20])] = bytes([rng.randrange(256)])
        source.write_bytes(damaged)
        try:
            assert all(
                math.isfinite(trial.value)
                for trial in read_history(f"{source}::recipe", space, ("score",)).trials
            )
        except ValueError as error:
            assert str(error).startswith(f"{source}: ")
            refused += 1
    assert 0 < refused < 40


@pytest.mark.parametrize("missing", [1, 4, 9, 200, 4095])
def test_a_file_cut_within_its_last_page_is_refused(tmp_path, space, missing):
    source = tmp_path / "cut.db"
    study = optuna.create_study(storage=f"sqlite:///{source}", study_name="n", direction="maximize")
    for n in range(40):
        study.add_trial(
            create_trial(
                params={"weight": 1 + n / 1000},
                distributions={"weight": _distribution(1.0)},
                value=100.0 + n,
            )
        )
    source.write_bytes(source.read_bytes()[:-missing])
    with pytest.raises(ValueError, match=r"cut\.db: .* SQLite file"):
        read_history(source, space, ("score",))


@pytest.mark.parametrize("name", ["\x1b[2Jred.db", "line\nline.db", "c1\x9b.db", "\udcff.db"])
def test_paths_are_fit_for_a_terminal(tmp_path, space, name):
    with pytest.raises(ValueError) as caught:
        read_history(tmp_path / name, space, ("score",))
    assert str(caught.value).isprintable() and str(tmp_path) in str(caught.value)


def test_names_of_strangers_are_fit_for_a_terminal(foreign, space):
    history = read_history(
        foreign({"weight": 1.0, "\x1b[2Jred": 1.0, "x" * 5000: 2.0}), space, ("score",)
    )
    assert "\x1b" not in text_of(history) and all(len(line) <= 600 for line in history.notes)


# What it is for -----------------------------------------------------------------------------------


def test_a_sampler_that_knows_the_history_proposes_near_its_best(foreign):
    space = space_from_plain(
        {"space": {"contrastive.weight": {"float": [0.01, 100], "log": True}}}, "test"
    )
    weights = [10 ** (-2 + 4 * n / 29) for n in range(30)]
    distances = [abs(math.log10(weight) - 1) for weight in weights]
    source = foreign(
        *({"weight": weight} for weight in weights), values=distances, direction="minimize"
    )

    def proposals(trials):
        distances = []
        for seed in range(20):
            study = optuna.create_study(
                direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
            )
            study.add_trials(trials)
            distances.append(
                abs(math.log10(study.ask(distributions(space)).params["contrastive.weight"]) - 1)
            )
        return sum(distances) / len(distances)

    warm = proposals(read_history(source, space, ("score",)).trials)
    assert warm < 0.5 and proposals([]) > 2 * warm
