"""The confirmation: choose a configuration on fresh seeds, judge it on the test lines.

    confirm/trials/<trial>-s<seed>/   a run, in the layout of tune/study/trial_folder.py
    confirm/choice.json               candidates, their runs over the choosing seeds, the choice
    confirm/openings.json             when and why the test lines were opened
    confirm/lines.csv                 every test line of every judged run
    confirm/judged.json               search-validation values of the judged runs
    confirm/seconds.json              mean time of the judged runs of each arm
    confirm/verdict.json              the verdict

Choosing and judging share no seed with each other or with the search, and choosing never uses a
test line.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganhtr.atomic import to_json, write_atomically
from ganhtr.data.batches import LineBatches
from ganhtr.data.pairs import Lines
from ganhtr.train.evaluate import Evaluation, by_generator, evaluate
from ganhtr.train.inputs import TrialInputs
from ganhtr.train.model_folder import read_generator
from tune.arm import OFF, ON
from tune.metric import BY_KEY, VERDICT_METRICS
from tune.runner.planned_searcher import PlannedSearcher
from tune.runner.trainable import TrialPlan, local_device
from tune.searcher.proposal import Proposal
from tune.space.space import Space
from tune.study.folder import CONFIRM, StudyFolder
from tune.study.trial_folder import METRICS_FILE, line_arrays
from tune.study.trial_status import FINISHED
from tune.study.trial_table import Row, ranked
from tune.verdict.line_table import LineValue
from tune.verdict.line_values import write_line_values

SHUFFLED = "shuffled"
CHOOSING_SEEDS = 3
# Added to the search's seed, so that no run of one stage shares its seed with another stage.
CHOOSING_FROM, JUDGING_FROM = 1000, 2000
SHUFFLE = {"contrastive.shuffled": True}


@dataclass(frozen=True)
class Candidate:
    """A configuration of an arm that may be chosen, as the search found it."""

    id: str
    arm: str
    values: dict[str, Any]
    search_value: float | None

    def run(self, seed: int, arm: str | None = None, **changed: Any) -> Proposal:
        """A run of this configuration with another seed."""
        name = self.id if arm is None else f"{self.id}-{arm}"
        values = {**self.values, **changed, "train.seed": seed}
        return Proposal(f"{name}-s{seed}", arm or self.arm, "confirmation", values)


def candidates(space: Space, rows: Sequence[Row], top: int) -> dict[str, list[Candidate]]:
    """The best configurations of each arm, each once, whatever its seeds.

    Of ON there are at most `top`. Of OFF there is one, or `top` if OFF searches too.
    """
    by_arm: dict[str, list[Candidate]] = {}
    for arm in (OFF, ON):
        distinct: dict[str, Candidate] = {}
        for row in ranked(rows, arm):
            values = {key: value for key, value in row.values.items() if key != "train.seed"}
            key = repr(sorted(values.items()))
            distinct.setdefault(key, Candidate(row.id, arm, values, row.value))
        by_arm[arm] = list(distinct.values())[: top if arm == ON or space.off_searches else 1]
    return by_arm


@dataclass
class Confirmation:
    """A confirmation of a study.

    run: runs the trials of a searcher, `total` of them, with a note for the user; returns whether
    all ended. say: prints a line.
    """

    folder: StudyFolder
    space: Space
    plan: TrialPlan
    inputs: TrialInputs
    seed: int
    run: Callable[[Any, int, str], bool]
    say: Callable[[str], None]

    @property
    def path(self) -> Path:
        return self.folder.path / CONFIRM

    def results(self, runs: Sequence[Proposal], note: str) -> dict[str, dict[str, Any]] | None:
        """The results of these runs; missing ones run now. None after an interruption."""
        searcher = PlannedSearcher(self.folder.path, CONFIRM, runs)
        searcher.open()
        if searcher.remaining and not self.run(searcher, len(runs), note):
            return None
        return {run.id: searcher.result(run.id) for run in runs}

    def choose(self, by_arm: dict[str, list[Candidate]]) -> dict[str, Candidate] | None:
        """Choose the candidate of each arm with the best mean over the choosing seeds.

        A candidate that failed with more seeds ranks behind one that failed with fewer. An arm with
        one candidate has nothing to choose. Returns None after an interruption.
        """
        seeds = [self.seed + CHOOSING_FROM + number for number in range(CHOOSING_SEEDS)]
        contested = [each for arm in by_arm.values() if len(arm) > 1 for each in arm]
        runs = [candidate.run(seed) for seed in seeds for candidate in contested]
        note = f"confirm: {len(contested)} configurations x {len(seeds)} fresh seeds, to choose one"
        results = self.results(runs, note)
        if results is None:
            return None
        summaries: dict[str, list[dict[str, Any]]] = {}
        chosen = {}
        for arm, arm_candidates in by_arm.items():
            summaries[arm] = [
                {
                    "id": candidate.id,
                    "values": candidate.values,
                    "search_value": candidate.search_value,
                    **summary({seed: results.get(candidate.run(seed).id, {}) for seed in seeds}),
                }
                for candidate in arm_candidates
            ]
            order = sorted(range(len(arm_candidates)), key=lambda i: rank(summaries[arm][i]))
            chosen[arm] = arm_candidates[order[0] if len(arm_candidates) > 1 else 0]
        epochs = self.off_epochs(chosen)
        choice = {
            "seeds": seeds,
            "objective": self.plan.objective,
            "arms": summaries,
            "chosen": {arm: candidate.id for arm, candidate in chosen.items()},
            **({"off_epochs": epochs} if epochs else {}),
        }
        self.write("choice.json", choice)
        if epochs:
            self.say(f"confirm: OFF trains for {epochs} epochs, in about the time of ON")
            off = chosen[OFF]
            # The number is part of the name: runs of another length are other runs.
            values = {**off.values, "train.epochs": epochs}
            chosen[OFF] = replace(off, id=f"{off.id}-e{epochs}", values=values)
        return chosen

    def off_epochs(self, chosen: dict[str, Candidate]) -> int | None:
        """The epochs that OFF trains in the time of ON, at least as many; None to match steps.

        The time of an epoch is the median over the epochs of the chosen trial in the search.
        """
        if self.space.budget.match == "steps":
            return None
        epochs, seconds = self.plan.config.train.epochs, {}
        for arm, candidate in chosen.items():
            entries = self.folder.read_json(f"trials/{candidate.id}/{METRICS_FILE}")["epochs"]
            times = [entry["diagnostics"] for entry in entries]
            epoch = statistics.median(each["seconds"] for each in times)
            seconds[arm] = epoch, times[0]["pretraining_seconds"]
        epoch, pretraining = seconds[ON]
        return max(epochs, round((epochs * epoch + pretraining) / seconds[OFF][0]))

    def judge(
        self, chosen: dict[str, Candidate], seeds: int, shuffled: bool, test: Callable[[], Lines]
    ) -> list[LineValue] | None:
        """Run the chosen ones over the judging seeds and measure every run on the test lines.

        shuffled: also run ON with texts that belong to other lines. test: opens the test lines.
        Returns None after an interruption.
        """
        on, off = chosen[ON], chosen[OFF]
        runs: dict[tuple[str, int], Proposal] = {}
        judging_seeds = [self.seed + JUDGING_FROM + number for number in range(seeds)]
        for seed in judging_seeds:
            runs |= {(OFF, seed): off.run(seed), (ON, seed): on.run(seed)}
        names = f"{on.id} and {off.id}"
        if shuffled:
            names += f" and {on.id} with shuffled texts"
            runs |= {(SHUFFLED, seed): on.run(seed, SHUFFLED, **SHUFFLE) for seed in judging_seeds}
        note = f"confirm: {names} x {seeds} other seeds, to be judged"
        results = self.results(list(runs.values()), note)
        if results is None:
            return None
        lines = test()
        self.record_opening(f"judge {names} over {seeds} seeds", len(runs), len(lines))
        values = self._measure_all(runs, results, lines)
        write_line_values(self.path / "lines.csv", values)
        return values

    def _measure_all(
        self,
        runs: dict[tuple[str, int], Proposal],
        results: dict[str, dict[str, Any]],
        lines: Lines,
    ) -> list[LineValue]:
        """Measure every run on the test lines; write search-validation values (judged.json)."""
        batches = LineBatches(lines, self.inputs.pairs.charset, local_device(self.plan.device))
        line_names = distinct(lines.names)
        values: list[LineValue] = []
        search_values: dict[str, dict[str, float | None]] = {}
        for (arm, seed), run in runs.items():
            result = results[run.id]
            finished = result.get("status") in FINISHED
            search_values.setdefault(arm, {})[str(seed)] = (
                result["best_value"] if finished else None
            )
            if finished:
                values += line_rows(arm, seed, line_names, self.measure(run, batches))
            else:
                values += diverged_rows(arm, seed)
        self.write("judged.json", search_values)
        self.write("seconds.json", mean_seconds(runs, results))
        return values

    def measure(self, run: Proposal, lines: LineBatches) -> Evaluation:
        """Measure the weights that a run kept on the test lines."""
        device = local_device(self.plan.device)
        config = self.plan.config.replace(run.values)
        weights = self.path / "trials" / run.id / "best.safetensors"
        generator = read_generator(weights, config, device)
        guide, judge = self.inputs.guide.build(device), self.inputs.judge.build(device)
        return evaluate(by_generator(generator), lines, guide, judge)

    def record_opening(self, why: str, runs: int, lines: int) -> None:
        """Record that the test lines are opened, before they are used."""
        openings = self.folder.read_json(f"{CONFIRM}/openings.json").get("openings", [])
        when = datetime.now(UTC).isoformat(timespec="seconds")
        openings.append({"when": when, "why": why, "runs": runs, "lines": lines})
        self.write("openings.json", {"openings": openings})
        count = len(openings)
        times = "for the first time" if count == 1 else f"(opening {count})"
        self.say(f"confirm: opens the {lines} test lines {times}, to {why}")

    def write(self, name: str, plain: Any) -> None:
        """Write one of the confirmation's JSON files."""
        self.path.mkdir(exist_ok=True)
        write_atomically(self.path / name, to_json(plain))


def mean_seconds(
    runs: dict[tuple[str, int], Proposal], results: dict[str, dict[str, Any]]
) -> dict[str, float]:
    """The mean time of each arm's finished runs, in seconds."""
    by_arm: dict[str, list[float]] = {}
    for (arm, _), run in runs.items():
        if results[run.id].get("status") in FINISHED:
            by_arm.setdefault(arm, []).append(results[run.id]["seconds"])
    return {arm: statistics.fmean(times) for arm, times in by_arm.items()}


def summary(results: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """A candidate's values by seed, None for a failed run, and the mean of the others."""
    by_seed = {
        str(seed): result["best_value"] if result.get("status") in FINISHED else None
        for seed, result in results.items()
        if result
    }
    finite = [value for value in by_seed.values() if value is not None]
    return {"values_by_seed": by_seed, "mean": math.fsum(finite) / len(finite) if finite else None}


def rank(summary: dict[str, Any]) -> tuple[int, float]:
    """Sort key of a summary: fewest failed runs first, then the best mean."""
    failures = sum(value is None for value in summary["values_by_seed"].values())
    return failures, -(summary["mean"] or 0.0)


def distinct(names: Sequence[str]) -> list[str]:
    """The names of lines, numbered where two are the same."""
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{name} ({number})" for number, name in enumerate(names, 1)
    ]


def line_rows(arm: str, seed: int, names: Sequence[str], measured: Evaluation) -> list[LineValue]:
    """Return the rows of one run: the metrics of the verdict on each test line."""
    arrays = line_arrays(measured)
    rows = []
    for key in VERDICT_METRICS:
        values, weights = BY_KEY[key].line_values(arrays), BY_KEY[key].line_weights(arrays)
        for name, value, weight in zip(names, values, weights, strict=True):
            rows.append(LineValue(arm, seed, name, key, float(value), float(weight)))
    return rows


def diverged_rows(arm: str, seed: int) -> list[LineValue]:
    """A run that failed: it counts in every metric."""
    return [LineValue(arm, seed, "", metric, math.nan, math.nan) for metric in VERDICT_METRICS]
