"""An arm of a study: the trials of one configuration, one a seed, with what each of them wrote; and two arms, paired by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tune.metric import objective_value
from tune.report_markup import listed
from tune.study.folder import StudyError, StudyFolder
from tune.study.trial_folder import METRICS
from tune.study.trial_table import Row, best_row

SEED = "train.seed"


@dataclass(frozen=True)
class ArmTrial:
    """One trial: its row, its configuration (empty where it failed before it had one) and the epochs of its metrics file."""

    row: Row
    config: Mapping[str, Any]
    epochs: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, folder: StudyFolder, row: Row) -> ArmTrial:
        """The trial of a row, as its folder has it."""
        trial = f"trials/{row.id}"
        config = folder.read_json(f"{trial}/config.json").get("config", {})
        return cls(row, config, tuple(folder.read_json(f"{trial}/{METRICS}").get("epochs", [])))

    @property
    def seed(self) -> int | None:
        return self.config.get(SEED, self.row.values.get(SEED))

    def diagnostic(self, name: str) -> np.ndarray:
        """A figure of every epoch beyond the original's. Shape: (epochs,); NaN where it was not measured."""
        return np.array(
            [entry.get("diagnostics", {}).get(name) for entry in self.epochs], dtype=float
        )

    def objective_values(self, objective: str) -> np.ndarray:
        """What every epoch was worth to the search, higher is better. Shape: (epochs,)."""
        figures = [{**entry.get("diagnostics", {}), **entry["validation"]} for entry in self.epochs]
        return np.array(
            [
                float("nan")
                if None in entry["validation"].values()
                else objective_value(objective, figure)
                for entry, figure in zip(self.epochs, figures, strict=True)
            ]
        )


@dataclass(frozen=True)
class Arm:
    """A named set of trials that differ in their seed alone. Trials that failed belong to it, but carry no figure."""

    name: str
    trials: tuple[ArmTrial, ...]

    @property
    def finished(self) -> list[ArmTrial]:
        """The trials that ran to their end, by seed."""
        return sorted(
            (trial for trial in self.trials if trial.row.finished),
            key=lambda trial: (trial.seed is None, trial.seed),
        )

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration that its trials share, without the seed."""
        held = next((trial.config for trial in self.trials if trial.config), {})
        return {key: value for key, value in held.items() if key != SEED}


@dataclass(frozen=True)
class Pair:
    """Two arms to compare. A seed counts only where both arms finished it; without such a seed all finished trials do, unpaired."""

    first: Arm
    second: Arm

    @property
    def arms(self) -> tuple[Arm, Arm]:
        return self.first, self.second

    @property
    def seeds(self) -> list[int]:
        """The seeds that both arms finished."""
        first, second = (
            {trial.seed for trial in arm.finished if trial.seed is not None} for arm in self.arms
        )
        return sorted(first & second)

    @property
    def compared(self) -> tuple[list[ArmTrial], list[ArmTrial]]:
        """The trials that carry the figures of each arm, in the same order of seeds."""
        seeds = self.seeds
        first, second = (
            [trial for trial in arm.finished if not seeds or trial.seed in seeds]
            for arm in self.arms
        )
        return first, second


def default_pair(folder: StudyFolder, rows: Sequence[Row]) -> Pair | None:
    """The best trial of each arm, with those that differ from it in their seed alone; None until each arm has a finished one.

    OFF has one configuration where only contrastive keys are searched, and several where others are.
    """
    off, best = best_row(rows, "off"), best_row(rows, "on")
    if off is None or best is None:
        return None

    def without_seed(row: Row) -> dict[str, Any]:
        return {key: value for key, value in row.values.items() if key != SEED}

    sides = (
        [row for row in rows if row.arm == own.arm and without_seed(row) == without_seed(own)]
        for own in (off, best)
    )
    first, second = (
        one_a_seed([ArmTrial.read(folder, row) for row in side], own)
        for side, own in zip(sides, (off, best), strict=True)
    )
    return Pair(Arm("OFF", first), Arm(best.id if len(second) == 1 else "ON", second))


def one_a_seed(trials: Iterable[ArmTrial], best: Row) -> tuple[ArmTrial, ...]:
    """The trials without repeats: a sampler may propose the same values twice, and the same seed then gives the same run."""
    kept: dict[Any, ArmTrial] = {}
    for trial in sorted(
        trials, key=lambda trial: (trial.row.id != best.id, not trial.row.finished, trial.row.id)
    ):
        kept.setdefault(trial.row.id if trial.seed is None else trial.seed, trial)
    return tuple(sorted(kept.values(), key=lambda trial: trial.row.id))


def named_pair(
    folder: StudyFolder, rows: Sequence[Row], first: Sequence[str], second: Sequence[str]
) -> Pair:
    """The arms made of the trials named. Raises: StudyError when they are not two arms."""
    arms = [
        named_arm(folder, rows, option, names)
        for option, names in (("first", first), ("second", second))
    ]
    if set(first) & set(second):
        raise StudyError(
            f"{folder.path}: the second arm must name other trials than the first, got {listed(set(first) & set(second))} in "
            "both. Name each trial once"
        )
    if arms[0].name == arms[1].name:
        arms = [
            Arm("+".join(names), arm.trials)
            for arm, names in zip(arms, (first, second), strict=True)
        ]
    return Pair(*arms)


def named_arm(folder: StudyFolder, rows: Sequence[Row], option: str, names: Sequence[str]) -> Arm:
    """One arm of the trials named. Raises: StudyError for an unknown trial, two of one seed, or two configurations."""
    known = {row.id: row for row in rows}
    if not names or not set(names) <= known.keys():
        raise StudyError(
            f"{folder.path}: the {option} arm must name trials of the study, got "
            f"{listed(name or 'nothing' for name in names if name not in known)}. There are: {', '.join(known) or 'none'}"
        )
    trials = tuple(ArmTrial.read(folder, known[name]) for name in names)
    configs = [
        {key: value for key, value in trial.config.items() if key != SEED}
        for trial in trials
        if trial.config
    ]
    differ = sorted(
        {key for config in configs for key in config if config[key] != configs[0].get(key)}
    )
    if differ:
        raise StudyError(
            f"{folder.path}: the {option} arm must name trials of one configuration, got {listed(names)}, which differ in "
            f"{listed(differ)}. Name trials that differ in {SEED} alone"
        )
    seeds = [trial.seed for trial in trials if trial.seed is not None]
    if len(set(seeds)) < len(seeds):
        raise StudyError(
            f"{folder.path}: the {option} arm must name one trial a seed, got {listed(names)} with the seeds "
            f"{listed(seeds)}. Leave out the repeats"
        )
    side = {known[name].arm for name in names}
    return Arm(
        "OFF"
        if side == {"off"}
        else names[0]
        if len(names) == 1
        else "ON"
        if side == {"on"}
        else "+".join(names),
        trials,
    )
