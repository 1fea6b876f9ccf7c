"""The report of the original experiment for two arms of a study, from the numbers that the trials recorded, section by section."""

from __future__ import annotations

from collections.abc import Mapping

from tune.metric import METRICS, OBJECTIVES
from tune.report_markup import listed, shown, table
from tune.reporting.conclusion import conclusion_section
from tune.reporting.pair import Arm, ArmTrial, Pair
from tune.reporting.paired_difference import ENOUGH, difference
from tune.reporting.problems import Problem
from tune.reporting.sample_strips import sampled_epochs, thinned, write_strip
from tune.reporting.training_curves import convergence_section, loss_section, stability_section
from tune.study.folder import StudyFolder

STRIPS = "strips"
LINES = 2  # lines shown at every sampled epoch
FILES = {
    "report.md": "this report",
    "trials.csv": "a row a trial",
    "confirm/": "the runs behind the verdict, and every opening of the test lines",
    "region.png": "the good region, with the trials",
    "best/": "the best trial, to restore with: weights, guide, configuration",
    "study.yaml": "everything that was asked for, resolved",
    "environment.json": "versions, machine, data, recognizers",
    "references.json": "degraded, Sauvola and clean lines, measured as the trials are",
    "study.journal": "Optuna's journal",
    "recognizers/": "guide and judge, as every trial had them",
    "sessions.json": "when searches ran",
    "logs/ray.log": "what Ray and its workers said",
    f"{STRIPS}/": "the strips of sample images",
}
OF_A_TRIAL = {
    "config.json": "its configuration",
    "metrics/training_metrics_fp32.json": "every epoch, every step",
    "lines/": "the values of every search-validation line, an epoch a file",
    "samples/": "sample images",
    "best.safetensors": "the generator at its best epoch",
    "last.pt": "its last checkpoint",
    "result.json": "how it ended",
    "traceback.txt": "why it failed",
}


def each_trial(pair: Pair) -> list[tuple[Arm, ArmTrial]]:
    """All trials with their arm, those that failed too."""
    return [(arm, trial) for arm in pair.arms for trial in arm.trials]


def seed_of(trial: ArmTrial) -> str:
    """Its seed as a cell."""
    return "-" if trial.seed is None else str(trial.seed)


def whose_figures(pair: Pair) -> str:
    """Over which seeds the means of the report go."""
    seeds = pair.seeds
    if not seeds:
        counts = [len(side) for side in pair.compared]
        return (
            f"the arms have no seed in common, so each has the mean over its own finished trials ({counts[0]} and {counts[1]}), "
            "and nothing is paired"
        )
    return (
        f"seed {seeds[0]} in both arms"
        if len(seeds) == 1
        else f"means over the seeds {listed(seeds)}, paired"
    )


def summary_section(pair: Pair, objective: str) -> list[str]:
    """The metrics of both arms at their best epochs, and how they differ."""
    first, second = (arm.name for arm in pair.arms)
    count = len(pair.seeds)
    rows = []
    better: dict[str, list[str]] = {first: [], second: []}
    for metric in METRICS:
        held = difference(pair, metric.key)
        winner = "-"
        if held.change == held.change:
            winner = second if (held.change > 0) == metric.higher_is_better else first
            winner = winner if metric.visible(held.change) else "neither"
            better.setdefault(winner, []).append(metric.name)
        form, signed = f"{{:.{metric.places}f}}", f"{{:+z.{metric.places}f}}"
        rows.append(
            [
                metric.title,
                "higher" if metric.higher_is_better else "lower",
                shown(held.first, form),
                shown(held.second, form),
                shown(held.change, signed),
                shown(held.percent, "{:+z.2f} %"),
                winner,
                *([shown(held.error, form)] if count > 1 else []),
                *(
                    [f"{shown(held.low, signed)} to {shown(held.high, signed)}"]
                    if count >= ENOUGH
                    else []
                ),
            ]
        )
    told = [
        f"{name} is better in {listed(titles)}"
        for name, titles in better.items()
        if titles and name in (first, second)
    ]
    return [
        f"{first} against {second} on the search-validation lines, each trial at its best epoch by `{objective}`; {whose_figures(pair)}. "
        f"By the sign of the difference alone {' and '.join(told) or 'neither arm is better in anything'}. A difference is {second} minus "
        f"{first}, *relative* is the same in percent of {first}. An error rate is better when it is lower.",
        "",
        table(
            [
                "metric",
                "better if",
                first,
                second,
                "difference",
                "relative",
                "better here",
                *(["s.e."] if count > 1 else []),
                *(["95 % interval"] if count >= ENOUGH else []),
            ],
            rows,
            words=("better if", "better here"),
        ),
        *(
            [
                "",
                "s.e.: standard error of the mean paired difference"
                + (
                    f"; 95 % interval: t-interval over the {count} seeds."
                    if count >= ENOUGH
                    else "."
                ),
            ]
            if count > 1
            else []
        ),
    ]


def arms_section(pair: Pair) -> list[str]:
    """The trials and how long each ran."""
    rows = []
    for arm, trial in each_trial(pair):
        row, peak = (
            trial.row,
            max((value for value in trial.diagnostic("peak_memory_mb") if value > 0), default=None),
        )
        rows.append(
            [
                arm.name,
                row.id,
                seed_of(trial),
                row.status,
                str(row.epochs),
                str(row.best_epoch or "-"),
                f"{row.seconds:.1f}",
                shown(row.seconds / row.epochs if row.epochs else None, "{:.2f}"),
                shown(peak, "{:.0f}"),
            ]
        )
    unmeasured = all(row[-1] == "-" for row in rows)
    return [
        table(
            [
                "arm",
                "trial",
                "seed",
                "status",
                "epochs",
                "best epoch",
                "seconds",
                "seconds an epoch",
                "peak memory MiB",
            ],
            rows,
            words=("trial", "status"),
        ),
        "",
        "*complete*: ran all its epochs; *stopped*: ran out of patience."
        + (" Peak memory is the device's and is measured with CUDA alone." if unmeasured else ""),
    ]


def best_section(pair: Pair, objective: str) -> list[str]:
    """Each trial at its best epoch."""
    rows = []
    for arm, trial in each_trial(pair):
        figures = [
            shown(trial.row.metrics.get(metric.key), f"{{:.{metric.places}f}}")
            for metric in METRICS
        ]
        value = "-" if trial.row.value is None else OBJECTIVES[objective].shown(trial.row.value)
        rows.append(
            [
                arm.name,
                trial.row.id,
                seed_of(trial),
                str(trial.row.best_epoch or "-"),
                *figures,
                value,
            ]
        )
    titles = [metric.title for metric in METRICS]
    return [
        table(
            ["arm", "trial", "seed", "epoch", *titles, f"objective ({objective})"],
            rows,
            words=("trial",),
        )
    ]


def problem_section(found: list[Problem]) -> list[str]:
    """What went wrong, or nothing."""
    return [f"- {problem.text}" for problem in found] or ["None."]


def sample_section(
    folder: StudyFolder, shown_trials: Mapping[str, ArmTrial], images: bool
) -> list[str]:
    """For one trial of each arm: its lines at the best epoch, and two of them at every fifth epoch, stacked into strips."""
    if not images:
        return ["The images are left out of this report."]
    lines = []
    for name, trial in shown_trials.items():
        path, row = f"trials/{trial.row.id}/samples", trial.row
        title = row.id if name == row.id else f"{name} ({row.id}, seed {seed_of(trial)})"
        best = sorted((folder.path / path).glob("comparison_best_*.png"))
        if best:
            lines += [
                f"**{title}, best epoch {row.best_epoch}**: degraded, restored, clean.",
                "",
                *(
                    line
                    for each in best
                    for line in (f"![{row.id}, {each.stem}]({path}/{each.name})", "")
                ),
            ]
        for sample in range(LINES):
            every = sampled_epochs(folder.path / path, sample)
            kept = thinned(every)
            strip = f"{STRIPS}/{row.id}_sample_{sample}.png"
            lost = write_strip(folder.path / strip, kept)
            links = ", ".join(f"[{epoch}]({path}/{image.name})" for epoch, image in kept.items())
            if len(lost) < len(kept):
                lines += [
                    f"**{title}, sample {sample}**: degraded, restored, clean at the epochs {links}"
                    f"{f' ({len(every)} were kept in all)' if len(kept) < len(every) else ''}.",
                    "",
                    f"![{row.id}, sample {sample}, epoch by epoch]({strip})",
                    "",
                ]
            if lost:
                lines += [
                    f"The images of {title}, sample {sample}, epoch {listed(lost)}, do not open and are left out.",
                    "",
                ]
    return lines or ["There are none: no trial reached an epoch at which samples are kept."]


def files_section(folder: StudyFolder, trials: list[str]) -> list[str]:
    """Where everything lies, relative to this report."""
    rows = [
        [f"`{name}`", text]
        for name, text in FILES.items()
        if name == "report.md" or (folder.path / name).exists()
    ]
    for name, text in OF_A_TRIAL.items():
        held = [trial for trial in trials if (folder.path / "trials" / trial / name).exists()]
        if held:
            rows.append(
                [
                    f"`trials/*/{name}`",
                    text if len(held) == len(trials) else f"{text} ({', '.join(held)})",
                ]
            )
    return [
        table(["file", "what it is"], rows, words=("what it is",)),
        "",
        f"`*` is a trial's name, here {listed(trials)}.",
    ]


def pair_sections(
    pair: Pair,
    objective: str,
    setup: list[str],
    found: list[Problem],
    samples: list[str],
    preset: str | None,
    files: list[str],
) -> dict[str, list[str]]:
    """The sections of two arms in the order of the original's report; `preset` where they are its own two arms."""
    return {
        "Summary": summary_section(pair, objective),
        "Set-up": setup,
        "The arms": arms_section(pair),
        "Best epoch": best_section(pair, objective),
        "Loss components at the end": loss_section(pair),
        "Stability": stability_section(pair),
        "Convergence": convergence_section(pair, objective),
        "Problems met": problem_section(found),
        "Sample images": samples,
        "Conclusion": conclusion_section(pair, preset),
        "Files": files,
    }
