"""What went wrong in a study, or limits its figures. Failed trials are never hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np

from ganhtr.train.inputs import WEAK_RECOGNIZER
from tune.report_markup import cell, listed
from tune.reporting.pair import ArmTrial, Pair
from tune.reporting.paired_difference import mean
from tune.study.trial_status import OPEN, TrialStatus
from tune.study.trial_table import Row

OVERFIT = 0.10  # CER of the judge above the guide's, beyond the gap on clean lines
TEXT_ALONE = 0.25  # accuracy lost when clean and restored image are swapped
CHANCE = 0.60  # accuracy up to which a discriminator counts as staying at chance
MAX_NAMED = 8  # trials named one by one
MAX_ERROR = 300  # characters of an error; the full one is in the trial's folder


@dataclass(frozen=True)
class Problem:
    """A title and a full explanation."""

    title: str
    text: str


def problems(
    rows: list[Row],
    pair: Pair | None,
    compared: list[Row],
    environment: Mapping[str, Any],
    references: Mapping[str, Any],
    objective: str,
) -> list[Problem]:
    """Return all problems. compared: the trials whose figures the report rests on."""
    met = [
        *weak_recognizers(environment, objective),
        *overfitted_guide(compared, references),
        *discriminator(rows),
        *failed_trials(rows, pair),
        *(unpaired_trials(pair) if pair else []),
        *unfinished_trials(rows),
    ]
    if pair is not None:
        trials = [trial for arm in pair.arms for trial in arm.trials]
        met += [*infeasible_lines(trials), *not_finite(trials)]
    if notes := len(environment.get("data", {}).get("notes", [])):
        text = (
            f"The data has {notes} {'note' if notes == 1 else 'notes'} (on lines that were "
            "squeezed, skipped or changed, or are too long for CTC): see Set-up."
        )
        met.append(Problem("notes on the data", text))
    return met


def weak_recognizers(environment: Mapping[str, Any], objective: str) -> Iterator[Problem]:
    """Report recognizers that read even clean lines badly."""
    recognizers = environment.get("recognizers", {})
    rates = {role: recognizers.get(role, {}).get("cer_clean") for role in ("guide", "judge")}
    rates = {role: cer for role, cer in rates.items() if cer is not None}
    if any(cer > WEAK_RECOGNIZER for cer in rates.values()):
        text = " and ".join(f"{cer:.2f} ({role})" for role, cer in rates.items())
        yield Problem(
            "weak recognizers",
            f"The recognizers are too weak to judge text: CER on clean lines is {text}, above "
            f"{WEAK_RECOGNIZER:.2f}. Ignore CER, WER and the score here; the search maximised "
            f"{objective}, and the result rests on PSNR and SSIM.",
        )


def overfitted_guide(compared: list[Row], references: Mapping[str, Any]) -> Iterator[Problem]:
    """Report trials whose lines the guide reads much better than the judge."""
    clean = references.get("clean", {})
    for row in compared:
        rates = [
            metrics.get(key) for metrics in (row.metrics, clean) for key in ("cer", "judge_cer")
        ]
        guide, judge, guide_clean, judge_clean = np.array(rates, dtype=float)
        if (judge - guide) - (judge_clean - guide_clean) > OVERFIT:  # False for NaN
            yield Problem(
                f"an overfitted guide in {row.id}",
                f"In {row.id} the guide reads much better than the judge (CER {guide:.3f} against "
                f"{judge:.3f}): the generator overfits the guide. Trust the judge's figures.",
            )


def discriminator(rows: list[Row]) -> Iterator[Problem]:
    """Report discriminators that stay at chance, or that look at the text alone."""
    chance = [
        row.id for row in rows if row.peak_accuracy is not None and row.peak_accuracy < CHANCE
    ]
    if chance:
        yield Problem(
            "a discriminator at chance",
            f"The discriminator stayed at chance in every epoch of {len(chance)} of {len(rows)} "
            f"trials ({', '.join(chance[:MAX_NAMED])}): its loss gave the generator no signal.",
        )
    names = ("accuracy_swapped", "accuracy_real", "accuracy_fake")
    blind = []
    for row in rows:
        swapped, real, fake = np.array([row.last_metrics.get(name) for name in names], dtype=float)
        if swapped < (real + fake) / 2 - TEXT_ALONE:  # False for NaN
            blind.append(row.id)
    if blind:
        yield Problem(
            "a discriminator that decides by the text",
            f"In {', '.join(blind[:MAX_NAMED])} the discriminator decides by the text rather than "
            "by the image: with the images swapped its accuracy is much lower.",
        )


def failed_trials(rows: list[Row], pair: Pair | None) -> Iterator[Problem]:
    """Report failed trials, those of the pair first and all of them by name."""
    in_pair = {trial.row.id for arm in (pair.arms if pair else ()) for trial in arm.trials}
    failed = [row for row in rows if row.status == TrialStatus.FAILED]
    failed.sort(key=lambda row: row.id not in in_pair)
    count = max(MAX_NAMED, sum(row.id in in_pair for row in failed))
    named = []
    for row in failed[:count]:
        error = shorten(row.error or "the worker died, see logs/ray.log", MAX_ERROR)
        named.append(f"{row.id} ({cell(error)})")
    if failed:
        more = f"; {len(failed) - count} more are in trials.csv" if len(failed) > count else ""
        yield Problem(
            "failed trials",
            f"{len(failed)} trial{'s' if len(failed) > 1 else ''} failed and cannot win: "
            f"{'; '.join(named)}{more}.",
        )


def unpaired_trials(pair: Pair) -> Iterator[Problem]:
    """Report the trials of the pair that do not count, because a seed is not finished in both."""
    counted = {trial.row.id for side in pair.compared for trial in side}
    left_out = [
        f"{trial.row.id} (seed {trial.seed_text}, {trial.row.status})"
        for arm in pair.arms
        for trial in arm.trials
        if trial.row.id not in counted
    ]
    if left_out:
        yield Problem(
            "trials without a partner",
            f"The comparison leaves out {listed(left_out)}: only seeds that both arms finished "
            "count.",
        )


def unfinished_trials(rows: list[Row]) -> Iterator[Problem]:
    """Report trials that run or wait."""
    unfinished = [row.id for row in rows if row.status in OPEN]
    if unfinished:
        count = len(unfinished) - MAX_NAMED
        names = ", ".join(unfinished[:MAX_NAMED]) + (f" and {count} more" if count > 0 else "")
        yield Problem(
            "an unfinished study", f"The study is not finished. Trials to continue: {names}."
        )


def infeasible_lines(trials: list[ArmTrial]) -> Iterator[Problem]:
    """Report lines whose transcription is too long for CTC: they have no CTC loss."""
    train, validation = (
        mean(np.concatenate([np.empty(0), *(trial.diagnostic(name) for trial in trials)]))
        for name in ("train_infeasible", "infeasible")
    )
    if train > 0 or validation > 0:
        yield Problem(
            "infeasible lines",
            f"The transcription is too long for the guide's frames in {100 * train:.2f} % of the "
            f"training lines seen and in {100 * validation:.2f} % of the search-validation lines: "
            "these have no CTC loss.",
        )


def not_finite(trials: list[ArmTrial]) -> Iterator[Problem]:
    """Report step values of a loss that are not finite; the metrics file holds null for them."""
    counts = []
    for trial in trials:
        steps = [values for entry in trial.epochs for values in entry["losses"].values()]
        if count := sum(value is None for values in steps for value in values):
            counts.append(f"{count} in {trial.row.id}")
    if counts:
        yield Problem(
            "losses that are not finite",
            f"Step values of a loss are not finite: {', '.join(counts)}. The figures leave them "
            "out.",
        )
