"""Confirm, then judge: chooses one configuration on fresh seeds, runs it against OFF on other seeds, and measures both on the test lines.

    confirm/trials/<trial>-s<seed>/   a run, in the layout of trial_folder.py
    confirm/choice.json               candidates, their runs over the choosing seeds, which was chosen
    confirm/openings.json             when and why the test lines were opened
    confirm/lines.csv                 every test line of every judged run
    confirm/judged.json               what the judged runs were worth on search-validation
    confirm/verdict.json              the verdict

Choosing and judging share no seed with each other nor with the search, and choosing never sees a test line.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ganhtr.atomic import to_json, write_atomically
from ganhtr.data.batches import LineBatches
from ganhtr.data.pairs import Lines
from ganhtr.train.evaluate import Evaluation, by_generator, evaluate
from ganhtr.train.inputs import TrialInputs
from ganhtr.train.model_folder import read_generator
from tune.runner.planned_searcher import PlannedSearcher
from tune.runner.trainable import TrialPlan, local_device
from tune.searcher.proposal import OFF, ON, Proposal
from tune.space.settings import VERDICT_METRICS
from tune.space.space import Space
from tune.study.folder import CONFIRM, StudyFolder
from tune.study.trial_table import Row, ranked
from tune.verdict.line_table import LineValue
from tune.verdict.line_values import write_line_values

SHUFFLED = "shuffled"
CHOOSING_SEEDS = 3
CHOOSING_FROM, JUDGING_FROM = (
    1000,
    2000,
)  # added to the search's seed: no run of one stage shares its seed with another's


@dataclass(frozen=True)
class Candidate:
    """A configuration of an arm that the choice is made among, as the search found it."""

    id: str
    arm: str
    values: dict[str, Any]
    search_value: float | None

    def run(self, seed: int, arm: str | None = None, **changed: Any) -> Proposal:
        """A run of it with another seed."""
        name = self.id if arm is None else f"{self.id}-{arm}"
        return Proposal(
            f"{name}-s{seed}",
            arm or self.arm,
            "confirmation",
            {**self.values, **changed, "train.seed": seed},
        )


def candidates(space: Space, rows: Sequence[Row], top: int) -> dict[str, list[Candidate]]:
    """The best configurations of each arm, each once whatever its seeds: `top` of the ON arm, and of OFF where that searches too."""
    found: dict[str, list[Candidate]] = {}
    for arm in (OFF, ON):
        distinct: dict[str, Candidate] = {}
        for row in ranked(rows, arm):
            values = {key: value for key, value in row.values.items() if key != "train.seed"}
            distinct.setdefault(
                repr(sorted(values.items())), Candidate(row.id, arm, values, row.value)
            )
        found[arm] = list(distinct.values())[: top if arm == ON or space.off_searches else 1]
    return found


@dataclass
class Confirmation:
    """One confirmation of a study.

    run: runs the trials of a searcher, total of them, with a note for the user; whether all ended. say: tells the user a line.
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
        """How each run ended, those that are missing run now; None when that was interrupted."""
        searcher = PlannedSearcher(self.folder.path, CONFIRM, runs)
        searcher.open()
        if searcher.remaining and not self.run(searcher, len(runs), note):
            return None
        return {run.id: searcher.result(run.id) for run in runs}

    def choose(self, found: dict[str, list[Candidate]]) -> dict[str, Candidate] | None:
        """The candidate of each arm with the best mean over the choosing seeds; None when interrupted.

        One that failed with more of the seeds ranks behind one that failed with fewer. An arm of one candidate has nothing to choose.
        """
        seeds = [self.seed + CHOOSING_FROM + number for number in range(CHOOSING_SEEDS)]
        contested = [candidate for side in found.values() if len(side) > 1 for candidate in side]
        runs = [candidate.run(seed) for seed in seeds for candidate in contested]
        ended = self.results(
            runs,
            f"confirm: {len(contested)} configurations x {len(seeds)} fresh seeds, to choose one",
        )
        if ended is None:
            return None
        arms: dict[str, list[dict[str, Any]]] = {}
        chosen = {}
        for arm, side in found.items():
            arms[arm] = [
                {
                    "id": each.id,
                    "values": each.values,
                    "search_value": each.search_value,
                    **summary({seed: ended.get(each.run(seed).id, {}) for seed in seeds}),
                }
                for each in side
            ]
            order = sorted(
                range(len(side)),
                key=lambda i: (
                    sum(v is None for v in arms[arm][i]["values_by_seed"].values()),
                    -(arms[arm][i]["mean"] or 0.0),
                ),
            )
            chosen[arm] = side[order[0] if len(side) > 1 else 0]
        self.write(
            "choice.json",
            {
                "seeds": seeds,
                "objective": self.plan.objective,
                "arms": arms,
                "chosen": {arm: each.id for arm, each in chosen.items()},
            },
        )
        return chosen

    def judge(
        self, chosen: dict[str, Candidate], seeds: int, shuffled: bool, test: Callable[[], Lines]
    ) -> list[LineValue] | None:
        """Runs the chosen ones over the judging seeds and measures every run on the test lines; None when interrupted."""
        numbers = [self.seed + JUDGING_FROM + number for number in range(seeds)]
        runs = {(arm, seed): chosen[arm].run(seed) for seed in numbers for arm in (OFF, ON)}
        if shuffled:
            runs |= {
                (SHUFFLED, seed): chosen[ON].run(seed, SHUFFLED, **{"contrastive.shuffled": True})
                for seed in numbers
            }
        named = f"{chosen[ON].id} and {chosen[OFF].id}" + (
            f" and {chosen[ON].id} with shuffled texts" if shuffled else ""
        )
        ended = self.results(
            list(runs.values()), f"confirm: {named} x {seeds} other seeds, to be judged"
        )
        if ended is None:
            return None
        lines = test()
        self.note_opening(f"judge {named} over {seeds} seeds", len(runs), len(lines))
        batches = LineBatches(lines, self.inputs.pairs.charset, local_device(self.plan.device))
        values: list[LineValue] = []
        names = distinct(lines.names)
        worth: dict[str, dict[str, float | None]] = {}
        for (arm, seed), run in runs.items():
            result = ended[run.id]
            failed = result.get("status") not in ("complete", "stopped")
            worth.setdefault(arm, {})[str(seed)] = None if failed else result["best_value"]
            values += (
                diverged_rows(arm, seed)
                if failed
                else line_rows(arm, seed, names, self.measure(run, batches))
            )
        self.write("judged.json", worth)
        write_line_values(self.path / "lines.csv", values)
        return values

    def measure(self, run: Proposal, lines: LineBatches) -> Evaluation:
        """The test figures of a run at the epoch that search-validation chose."""
        device = local_device(self.plan.device)
        config = self.plan.config.replace(run.values)
        generator = read_generator(
            self.path / "trials" / run.id / "best.safetensors", config, device
        )
        return evaluate(
            by_generator(generator),
            lines,
            self.inputs.guide.build(device),
            self.inputs.judge.build(device),
        )

    def note_opening(self, why: str, runs: int, lines: int) -> None:
        """Writes down that the test lines are opened, before they are."""
        held = self.folder.read_json(f"{CONFIRM}/openings.json").get("openings", [])
        held.append(
            {
                "when": datetime.now(UTC).isoformat(timespec="seconds"),
                "why": why,
                "runs": runs,
                "lines": lines,
            }
        )
        self.write("openings.json", {"openings": held})
        self.say(
            f"confirm: opens the test lines ({lines}), for the {'first' if len(held) == 1 else f'{len(held)}th'} time, to {why}"
        )

    def write(self, name: str, plain: Any) -> None:
        """Writes one of the confirmation's JSON files."""
        self.path.mkdir(exist_ok=True)
        write_atomically(self.path / name, to_json(plain))


def summary(ended: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The values of a candidate over the choosing seeds, None for a run that failed, and the mean of the others."""
    by_seed = {
        str(seed): result["best_value"] if result.get("status") in ("complete", "stopped") else None
        for seed, result in ended.items()
        if result
    }
    finite = [value for value in by_seed.values() if value is not None]
    return {"values_by_seed": by_seed, "mean": math.fsum(finite) / len(finite) if finite else None}


def distinct(names: Sequence[str]) -> list[str]:
    """The names of lines, numbered where two are the same."""
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{name} ({number})" for number, name in enumerate(names, 1)
    ]


def line_rows(arm: str, seed: int, names: Sequence[str], measured: Evaluation) -> list[LineValue]:
    """The test lines of one run. PSNR and SSIM weigh a line 1, error rates by the length of its transcription; they are the judge's."""
    ones = np.ones(len(names))
    columns = {"psnr": (measured.psnr, ones), "ssim": (measured.ssim, ones)}
    columns |= {
        "judge_cer": (measured.judge.line_cer, measured.judge.char_lengths),
        "judge_wer": (measured.judge.line_wer, measured.judge.word_lengths),
    }
    return [
        LineValue(arm, seed, name, metric, float(value), float(weight))
        for metric, (values, weights) in columns.items()
        for name, value, weight in zip(names, values, weights, strict=True)
    ]


def diverged_rows(arm: str, seed: int) -> list[LineValue]:
    """A run that failed, which counts in every metric."""
    return [LineValue(arm, seed, "", metric, math.nan, math.nan) for metric in VERDICT_METRICS]
