"""The two arms that a report compares: trials that differ only in their seed, paired by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tune.arm import OFF, ON
from tune.metric import objective_value
from tune.report_markup import listed
from tune.study.folder import StudyError, StudyFolder
from tune.study.trial_folder import METRICS_FILE
from tune.study.trial_table import Row, best_row

SEED = "train.seed"


def without_seed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != SEED}


@dataclass(frozen=True)
class ArmTrial:
    """One trial: its row, its configuration and the epochs of its metrics file.

    The configuration is empty if the trial failed before it was written.
    """

    row: Row
    config: Mapping[str, Any]
    epochs: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, folder: StudyFolder, row: Row) -> ArmTrial:
        """Read the trial of a row from its folder."""
        trial = f"trials/{row.id}"
        config = folder.read_json(f"{trial}/config.json").get("config", {})
        return cls(
            row, config, tuple(folder.read_json(f"{trial}/{METRICS_FILE}").get("epochs", []))
        )

    @property
    def seed(self) -> int | None:
        return self.config.get(SEED, self.row.values.get(SEED))

    @property
    def seed_text(self) -> str:
        return "-" if self.seed is None else str(self.seed)

    def diagnostic(self, name: str) -> np.ndarray:
        """Return a diagnostic of every epoch, NaN if not measured. Shape: (epochs,)."""
        return np.array(
            [entry.get("diagnostics", {}).get(name) for entry in self.epochs], dtype=float
        )

    def objective_values(self, objective: str) -> np.ndarray:
        """Return the objective of every epoch, higher is better. Shape: (epochs,)."""
        values = []
        for entry in self.epochs:
            metrics = {**entry.get("diagnostics", {}), **entry["validation"]}
            complete = None not in entry["validation"].values()
            values.append(objective_value(objective, metrics) if complete else np.nan)
        return np.array(values)


@dataclass(frozen=True)
class Arm:
    """A named set of trials that differ only in their seed. Failed trials belong to it too."""

    name: str
    trials: tuple[ArmTrial, ...]

    @property
    def finished(self) -> list[ArmTrial]:
        """The finished trials, by seed."""
        finished = [trial for trial in self.trials if trial.row.finished]
        return sorted(finished, key=lambda trial: (trial.seed is None, trial.seed))

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration that the trials share, without the seed."""
        return without_seed(next((trial.config for trial in self.trials if trial.config), {}))


@dataclass(frozen=True)
class Pair:
    """Two arms to compare.

    A seed counts only if both arms finished it. If the arms share no such seed, all finished trials
    count, unpaired.
    """

    first: Arm
    second: Arm

    @property
    def arms(self) -> tuple[Arm, Arm]:
        return self.first, self.second

    @property
    def seeds(self) -> list[int]:
        """The seeds that both arms finished."""
        first, second = ({trial.seed for trial in arm.finished} for arm in self.arms)
        return sorted(seed for seed in first & second if seed is not None)

    @property
    def compared(self) -> tuple[list[ArmTrial], list[ArmTrial]]:
        """The trials of each arm that count, in the same order of seeds."""
        seeds = self.seeds
        first, second = (
            [trial for trial in arm.finished if not seeds or trial.seed in seeds]
            for arm in self.arms
        )
        return first, second


def default_pair(folder: StudyFolder, rows: Sequence[Row]) -> Pair | None:
    """Return the best trial of each arm, with those that differ from it only in their seed.

    None until both arms have a finished trial. OFF has one configuration if only contrastive keys
    are searched, otherwise several.
    """
    best_off, best_on = best_row(rows, OFF), best_row(rows, ON)
    if best_off is None or best_on is None:
        return None
    off, on = _repeats(folder, rows, best_off), _repeats(folder, rows, best_on)
    return Pair(Arm("OFF", off), Arm(best_on.id if len(on) == 1 else "ON", on))


def _repeats(folder: StudyFolder, rows: Iterable[Row], best: Row) -> tuple[ArmTrial, ...]:
    """Return the trials with the configuration of `best`, one for each seed.

    A sampler may propose the same values twice, and the same seed then gives the same run. Of such
    repeats the best trial is kept, then a finished one.
    """
    same = [
        ArmTrial.read(folder, row)
        for row in rows
        if row.arm == best.arm and without_seed(row.values) == without_seed(best.values)
    ]
    same.sort(key=lambda trial: (trial.row.id != best.id, not trial.row.finished, trial.row.id))
    kept: dict[Any, ArmTrial] = {}
    for trial in same:
        kept.setdefault(trial.row.id if trial.seed is None else trial.seed, trial)
    return tuple(sorted(kept.values(), key=lambda trial: trial.row.id))


def named_pair(
    folder: StudyFolder, rows: Sequence[Row], first: Sequence[str], second: Sequence[str]
) -> Pair:
    """Return the arms made of the named trials. Raises: StudyError if they are not two arms."""
    arms = [named_arm(folder, rows, "first", first), named_arm(folder, rows, "second", second)]
    in_both = set(first) & set(second)
    if in_both:
        raise StudyError(
            f"{folder.path}: both arms name {listed(sorted(in_both))}. Name each trial once"
        )
    if arms[0].name == arms[1].name:
        arms = [
            Arm("+".join(names), arm.trials)
            for arm, names in zip(arms, (first, second), strict=True)
        ]
    return Pair(*arms)


def named_arm(folder: StudyFolder, rows: Sequence[Row], option: str, names: Sequence[str]) -> Arm:
    """Return an arm of the named trials.

    Raises: StudyError for an unknown trial, two trials of one seed, or two configurations.
    """
    known = {row.id: row for row in rows}
    unknown = [name or "an empty name" for name in names if name not in known]
    if unknown or not names:
        raise StudyError(
            f"{folder.path}: the {option} arm names {listed(unknown or ['nothing'])}, which is no "
            f"trial of the study. Trials: {', '.join(known) or 'none'}"
        )
    trials = tuple(ArmTrial.read(folder, known[name]) for name in names)
    configs = [without_seed(trial.config) for trial in trials if trial.config]
    differ = {key for config in configs for key in config if config[key] != configs[0].get(key)}
    if differ:
        raise StudyError(
            f"{folder.path}: the trials of the {option} arm, {listed(names)}, differ in "
            f"{listed(sorted(differ))}. Name trials that differ only in {SEED}"
        )
    seeds = [trial.seed for trial in trials if trial.seed is not None]
    if len(set(seeds)) < len(seeds):
        raise StudyError(
            f"{folder.path}: the trials of the {option} arm, {listed(names)}, repeat a seed: "
            f"{listed(seeds)}. Name one trial for each seed"
        )
    return Arm(_name_of(names, {known[name].arm for name in names}), trials)


def _name_of(names: Sequence[str], arms: set[str]) -> str:
    if arms == {OFF}:
        return "OFF"
    if len(names) == 1:
        return names[0]
    return "ON" if arms == {ON} else "+".join(names)
