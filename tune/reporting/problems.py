"""What went wrong in a study, or limits what its numbers can say. A trial that failed is never dropped in silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np

from ganhtr.train.inputs import WEAK_RECOGNIZER
from tune.report_markup import cell, listed
from tune.reporting.pair import ArmTrial, Pair
from tune.reporting.paired_difference import mean
from tune.study.trial_table import Row

PLEASED = 0.10  # CER points between guide and judge, beyond those on clean lines, from which on the result says so
TEXT_ALONE = 0.25  # accuracy lost when clean and restored image change places, from which on the text is what decides
CHANCE = 0.60  # accuracy up to which a discriminator counts as staying at chance
NAMED = 8  # trials named one by one
LONGEST = 300  # characters of an error; the whole is in the trial's folder


@dataclass(frozen=True)
class Problem:
    """A few words, and the sentences that say it whole."""

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
    """All of them; `compared` are the trials whose figures the report rests on."""
    found = [
        *weak_recognizers(environment, objective),
        *pleased_guide(compared, references),
        *discriminator(rows),
        *ended_badly(rows, pair),
    ]
    if pair is not None:
        trials = [trial for arm in pair.arms for trial in arm.trials]
        found += [*infeasible_lines(trials), *not_finite(trials)]
    notes = len(environment.get("data", {}).get("notes", []))
    if notes:
        found.append(
            Problem(
                "notes on the data",
                f"The data came with {notes} {'note' if notes == 1 else 'notes'} (lines that were "
                "squeezed, skipped or changed, or that no frames can spell): see Set-up.",
            )
        )
    return found


def weak_recognizers(environment: Mapping[str, Any], objective: str) -> list[Problem]:
    """Recognizers that read even clean lines badly."""
    recognizers = environment.get("recognizers", {})
    clean = {role: recognizers.get(role, {}).get("cer_clean") for role in ("guide", "judge")}
    if all(cer is None or cer <= WEAK_RECOGNIZER for cer in clean.values()):
        return []
    told = " and ".join(f"{cer:.2f} ({role})" for role, cer in clean.items() if cer is not None)
    return [
        Problem(
            "weak recognizers",
            f"The recognizers are too weak to judge text: CER on clean lines is {told}, above {WEAK_RECOGNIZER:.2f}. CER and WER carry no "
            f"weight here; the search maximised {objective}, and the result rests on PSNR and SSIM.",
        )
    ]


def pleased_guide(compared: list[Row], references: Mapping[str, Any]) -> list[Problem]:
    """Trials whose lines the guide reads and the judge does not."""
    found = []
    for row in compared:
        cers = [
            held.get(key)
            for held in (row.metrics, references.get("clean", {}))
            for key in ("cer", "judge_cer")
        ]
        guide, judge, guide_clean, judge_clean = np.array(cers, dtype=float)
        if (judge - guide) - (judge_clean - guide_clean) > PLEASED:  # never for NaN
            found.append(
                Problem(
                    f"a pleased guide in {row.id}",
                    f"In {row.id} the guide reads much better than the judge (CER {guide:.3f} against {judge:.3f}): the "
                    "generator has learned to please the guide. Trust the judge's figures.",
                )
            )
    return found


def discriminator(rows: list[Row]) -> list[Problem]:
    """Discriminators that taught nothing, or that look at the text alone."""
    found = []
    chance = [
        row.id for row in rows if row.peak_accuracy is not None and row.peak_accuracy < CHANCE
    ]
    if chance:
        found.append(
            Problem(
                "a discriminator at chance",
                f"The discriminator stayed at chance in every epoch of {len(chance)} of {len(rows)} trials "
                f"({', '.join(chance[:NAMED])}): its loss taught the generator nothing there.",
            )
        )
    blind = []
    for row in rows:
        swapped, real, fake = (
            row.last_metrics.get(f"accuracy_{name}") for name in ("swapped", "real", "fake")
        )
        if (
            swapped is not None
            and real is not None
            and fake is not None
            and swapped < (real + fake) / 2 - TEXT_ALONE
        ):
            blind.append(row.id)
    if blind:
        found.append(
            Problem(
                "a discriminator that decides by the text",
                f"In {', '.join(blind[:NAMED])} the discriminator decides by the text rather than by the image: with the "
                "images swapped it is right far less often.",
            )
        )
    return found


def ended_badly(rows: list[Row], pair: Pair | None) -> list[Problem]:
    """Trials that failed, those of the pair first and all of them named; trials that wait; seeds that are lost to a comparison."""
    found = []
    own = {trial.row.id: trial for arm in (pair.arms if pair else ()) for trial in arm.trials}
    failed = sorted(
        (row for row in rows if row.status == "failed"), key=lambda row: row.id not in own
    )
    if failed:
        most = max(NAMED, sum(row.id in own for row in failed))
        named = "; ".join(
            f"{row.id} ({cell(shorten(row.error or 'its worker died, see logs/ray.log', LONGEST))})"
            for row in failed[:most]
        )
        more = f"; {len(failed) - most} more are in trials.csv" if len(failed) > most else ""
        found.append(
            Problem("failed trials", f"{len(failed)} trials failed and cannot win: {named}{more}.")
        )
    kept = {trial.row.id for side in pair.compared for trial in side} if pair else set()
    lost = [trial for name, trial in own.items() if name not in kept]
    if lost:
        told = listed(
            f"{trial.row.id} (seed {trial.seed if trial.seed is not None else 'unknown'}, {trial.row.status})"
            for trial in lost
        )
        found.append(
            Problem(
                "trials without a partner",
                f"The comparison leaves out {told}: only seeds that both arms finished count.",
            )
        )
    unfinished = [row.id for row in rows if row.status in ("running", "waiting")]
    if unfinished:
        more = f" and {len(unfinished) - NAMED} more" if len(unfinished) > NAMED else ""
        found.append(
            Problem(
                "an unfinished study",
                f"The study is not finished: {', '.join(unfinished[:NAMED])}{more} wait to be continued.",
            )
        )
    return found


def infeasible_lines(trials: list[ArmTrial]) -> list[Problem]:
    """Lines whose transcription no CTC path can spell: they have no CTC loss."""
    shares = {
        name: mean(np.concatenate([np.empty(0), *(trial.diagnostic(name) for trial in trials)]))
        for name in ("train_infeasible", "infeasible")
    }
    if not any(share > 0 for share in shares.values()):
        return []
    return [
        Problem(
            "infeasible lines",
            f"The transcription is longer than the guide's frames can spell in {100 * shares['train_infeasible']:.2f} % of the "
            f"training lines seen and in {100 * shares['infeasible']:.2f} % of the search-validation lines: these have no CTC "
            "loss.",
        )
    ]


def not_finite(trials: list[ArmTrial]) -> list[Problem]:
    """Values of a loss that were no finite number (the file holds null for them)."""
    counts = {
        trial.row.id: sum(
            value is None
            for entry in trial.epochs
            for values in entry["losses"].values()
            for value in values
        )
        for trial in trials
    }
    told = [f"{count} in {name}" for name, count in counts.items() if count]
    return (
        [
            Problem(
                "losses that are no finite number",
                f"Step values of a loss that were no finite number: {', '.join(told)}. The figures leave them out.",
            )
        ]
        if told
        else []
    )
