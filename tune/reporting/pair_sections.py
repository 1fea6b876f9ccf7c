"""The sections of a report on two arms, in the order of the original experiment's report."""

from __future__ import annotations

import math

from tune.metric import METRICS, OBJECTIVES
from tune.report_markup import listed, shown, table
from tune.reporting.conclusion import conclusion_section
from tune.reporting.pair import Arm, ArmTrial, Pair
from tune.reporting.paired_difference import MIN_SEEDS, difference
from tune.reporting.problems import Problem
from tune.reporting.sample_strips import STRIPS
from tune.reporting.training_curves import convergence_section, loss_section, stability_section
from tune.study.folder import StudyFolder
from tune.study.trial_folder import METRICS_FILE

FILES = {
    "report.md": "this report",
    "trials.csv": "one row for each trial",
    "confirm/": "the runs behind the verdict, and every opening of the test lines",
    "region.png": "the good region, with the trials",
    "best/": "the best trial, for restoring lines: weights, guide, configuration",
    "study.yaml": "space, configuration, data and options of the search",
    "environment.json": "versions, machine, data, recognizers",
    "references.json": "metrics of the degraded, thresholded (Sauvola) and clean lines",
    "study.journal": "Optuna's journal",
    "recognizers/": "guide and judge, as used by all trials",
    "sessions.json": "start and end of each session of the search",
    "logs/ray.log": "messages of Ray and its workers",
    f"{STRIPS}/": "strips of sample images",
}
TRIAL_FILES = {
    "config.json": "configuration",
    METRICS_FILE: "metrics of every epoch and losses of every step",
    "lines/": "metrics of the search-validation lines of each epoch",
    "samples/": "sample images",
    "best.safetensors": "generator with the weights that the trial kept",
    "last.pt": "last checkpoint",
    "result.json": "final status and metrics",
    "traceback.txt": "error of a failed trial",
}


def trials_of(pair: Pair) -> list[tuple[Arm, ArmTrial]]:
    """Return all trials with their arm, failed ones included."""
    return [(arm, trial) for arm in pair.arms for trial in arm.trials]


def seeds_sentence(pair: Pair) -> str:
    """Return over which seeds the means of the report go."""
    seeds = pair.seeds
    if len(seeds) == 1:
        return f"Both arms have seed {seeds[0]}."
    if seeds:
        return f"Means over the seeds {listed(seeds)}, paired."
    counts = listed(len(side) for side in pair.compared)
    return (
        "The arms have no seed in common: each mean goes over the arm's finished trials "
        f"({counts}), and nothing is paired."
    )


def summary_section(pair: Pair, objective: str) -> list[str]:
    """Return the metrics of both arms with their kept weights, and how they differ."""
    first, second = (arm.name for arm in pair.arms)
    count = len(pair.seeds)
    columns = 7 + (count > 1) + (count >= MIN_SEEDS)  # standard error and interval need seeds
    rows = []
    better: dict[str, list[str]] = {first: [], second: []}
    for metric in METRICS:
        change = difference(pair, metric.key)
        winner = "-" if math.isnan(change.change) else "neither"
        if metric.visible(change.change):
            winner = second if metric.is_better(change.change) else first
            better[winner].append(metric.name)
        row = [
            metric.title,
            "higher" if metric.higher_is_better else "lower",
            metric.plain(change.first),
            metric.plain(change.second),
            metric.signed(change.change),
            shown(change.percent, "{:+z.2f} %"),
            winner,
            metric.plain(change.error),
            f"{metric.signed(change.low)} to {metric.signed(change.high)}",
        ]
        rows.append(row[:columns])
    header = [
        *("metric", "better if", first, second, "difference", "relative", "better here"),
        *("s.e.", "95 % interval"),
    ]
    wins = [f"{name} is better in {listed(titles)}" for name, titles in better.items() if titles]
    notes = ["s.e.: standard error of the mean paired difference"] * (count > 1)
    notes += [f"95 % interval: t-interval over the {count} seeds"] * (count >= MIN_SEEDS)
    return [
        f"{first} against {second} on the search-validation lines, each trial at its kept epoch: "
        f"the best by `{objective}`, or the last if the learning rates fall to 0. "
        f"{seeds_sentence(pair)} By the sign of the difference alone, "
        f"{' and '.join(wins) or 'neither arm is better in any metric'}. A difference is "
        f"{second} minus {first}; *relative* is its percentage of {first}.",
        "",
        table(header[:columns], rows, words=("better if", "better here")),
        *(["", f"{'; '.join(notes)}."] if notes else []),
    ]


def arms_section(pair: Pair) -> list[str]:
    """Return the trials and how long each ran."""
    rows = []
    for arm, trial in trials_of(pair):
        row = trial.row
        memory = [value for value in trial.diagnostic("peak_memory_mb") if value > 0]
        rows.append(
            [
                arm.name,
                row.id,
                trial.seed_text,
                row.status,
                str(row.epochs),
                str(row.best_epoch or "-"),
                f"{row.seconds:.1f}",
                shown(row.seconds / row.epochs if row.epochs else None, "{:.2f}"),
                shown(max(memory, default=None), "{:.0f}"),
            ]
        )
    header = [
        *("arm", "trial", "seed", "status", "epochs", "kept epoch"),
        *("seconds", "seconds an epoch", "peak memory MiB"),
    ]
    note = "*complete*: all epochs ran; *stopped*: no improvement within the patience."
    if all(row[-1] == "-" for row in rows):
        note += " Peak memory is measured on CUDA devices only."
    return [table(header, rows, words=("trial", "status")), "", note]


def kept_section(pair: Pair, objective: str) -> list[str]:
    """Return each trial at the epoch whose weights it kept."""
    rows = []
    for arm, trial in trials_of(pair):
        row = trial.row
        rows.append(
            [
                *(arm.name, row.id, trial.seed_text, str(row.best_epoch or "-")),
                *(metric.plain(row.metrics.get(metric.key)) for metric in METRICS),
                OBJECTIVES[objective].shown(row.value),
            ]
        )
    titles = [metric.title for metric in METRICS]
    header = ["arm", "trial", "seed", "epoch", *titles, f"objective ({objective})"]
    return [table(header, rows, words=("trial",))]


def problem_section(problems: list[Problem]) -> list[str]:
    return [f"- {problem.text}" for problem in problems] or ["None."]


def files_section(folder: StudyFolder, trials: list[str]) -> list[str]:
    """Return the files of the study, relative to the report."""
    rows = [
        [f"`{name}`", text]
        for name, text in FILES.items()
        if name == "report.md" or (folder.path / name).exists()
    ]
    for name, text in TRIAL_FILES.items():
        having = [trial for trial in trials if (folder.path / "trials" / trial / name).exists()]
        if having:
            only = "" if len(having) == len(trials) else f" ({', '.join(having)})"
            rows.append([f"`trials/*/{name}`", f"{text}{only}"])
    return [
        table(["file", "content"], rows, words=("content",)),
        "",
        f"`*` is the name of a trial, here {listed(trials)}.",
    ]


def pair_sections(
    pair: Pair,
    objective: str,
    setup: list[str],
    problems: list[Problem],
    samples: list[str],
    preset: str | None,
    files: list[str],
) -> dict[str, list[str]]:
    """Return heading -> lines. preset: of the original experiment, otherwise None."""
    return {
        "Summary": summary_section(pair, objective),
        "Set-up": setup,
        "The arms": arms_section(pair),
        "Kept epoch": kept_section(pair, objective),
        "Loss components at the end": loss_section(pair),
        "Stability": stability_section(pair),
        "Convergence": convergence_section(pair, objective),
        "Problems met": problem_section(problems),
        "Sample images": samples,
        "Conclusion": conclusion_section(pair, preset),
        "Files": files,
    }
