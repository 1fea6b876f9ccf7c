"""The section "Verdict" of a report: the judgements, the choice, the openings of the test lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune.arm import OFF, ON
from tune.metric import OBJECTIVES
from tune.report_markup import cell, listed, short, shown, table
from tune.reporting.matcher_learning import matcher_learning
from tune.study.folder import CONFIRM, StudyError, StudyFolder
from tune.study.trial_folder import METRICS_FILE
from tune.verdict.judgement import Judgement, Verdict
from tune.verdict.wording import by_seed, method, next_steps, sentence
from tune.verdict.wording import table as verdict_table

Runs = Mapping[str, float | None]  # seed -> value of the objective, None for a failed run
ARM_NAMES = {OFF: "OFF", ON: "ON"}


def read_verdict(folder: StudyFolder) -> Verdict | None:
    """Read the verdict of a study, None if there is none. Raises: StudyError for a damaged file."""
    try:
        plain = folder.read_json(f"{CONFIRM}/verdict.json")
        return Verdict.from_plain(plain) if plain else None
    except (KeyError, TypeError, ValueError) as error:
        raise StudyError(
            f"{folder.path / CONFIRM / 'verdict.json'}: not a verdict ({error!r}). Delete the file "
            f"and run: {folder.command('confirm')}"
        ) from error


def verdict_for_terminal(folder: StudyFolder) -> str:
    """Return sentences, table and next steps; empty without a verdict."""
    verdict = read_verdict(folder)
    if verdict is None:
        return ""
    steps = next_steps(verdict, f"{folder.command('confirm')} {_seeds_option(folder, verdict)}")
    return "\n".join(
        [
            "Verdict, on test lines:",
            *(f"- {sentence(judgement)}" for judgement in _primary_first(verdict)),
            "",
            verdict_table(verdict),
            *(["", steps] if steps else []),
        ]
    )


def _primary_first(verdict: Verdict) -> list[Judgement]:
    return sorted(verdict.judgements, key=lambda judgement: not judgement.primary)


def _seeds_option(folder: StudyFolder, verdict: Verdict) -> str:
    """Return the option that adds the missing seeds. It counts the seeds that ran before."""
    judged = folder.read_json(f"{CONFIRM}/judged.json").values()
    ran = max(map(len, judged), default=0)
    return f"--seeds {ran + verdict.more_seeds}"


def _command(folder: StudyFolder) -> str:
    """Return the command of a confirmation with a short path, since reports are passed on."""
    return f"python tune/confirm.py {cell(folder.path.parent.name)}/{cell(folder.path.name)}"


def verdict_in_short(folder: StudyFolder) -> list[str]:
    """Return the sentences on the primary metric; empty without a verdict."""
    verdict = read_verdict(folder)
    return [f"**{sentence(judgement)}**" for judgement in verdict.on_primary] if verdict else []


def verdict_section(folder: StudyFolder) -> list[str]:
    """Return the section, or that there is no verdict and how to get one."""
    verdict, openings = read_verdict(folder), opening_lines(folder)
    if verdict is None:
        current = " of the study in its current state" if openings else ""
        lines = [
            f"There is no verdict{current}. All figures here are from single runs on "
            f"search-validation lines. After the search, `{_command(folder)}` gives a verdict."
        ]
        return [*lines, "", *openings] if openings else lines
    choice = folder.read_json(f"{CONFIRM}/choice.json")
    judged = folder.read_json(f"{CONFIRM}/judged.json")
    steps = next_steps(verdict, f"{_command(folder)} {_seeds_option(folder, verdict)}")
    return [
        _judged_sentence(choice, judged, folder.read_json(f"{CONFIRM}/seconds.json")),
        "",
        *(f"- {sentence(judgement)}" for judgement in _primary_first(verdict)),
        *(f"- {line}" for line in _learning(folder, choice, judged)),
        "",
        verdict_table(verdict),
        "",
        *([steps, ""] if steps else []),
        *(f"- {line}" for line in by_seed(verdict)),
        *(f"- {cell(note)}" for note in (*verdict.notes, *method(verdict))),
        *(["", *choice_lines(choice, judged)] if choice else []),
        *(["", *openings] if openings else []),
    ]


def _judged_sentence(
    choice: Mapping[str, Any], judged: Mapping[str, Runs], seconds: Mapping[str, float]
) -> str:
    """Return what the arms are, on what they are judged, and how long their runs took."""
    chosen = choice.get("chosen", {})
    seeds = list(dict.fromkeys(seed for runs in judged.values() for seed in runs))
    sentences = [
        f"Judged on the test lines{f', with the seeds {listed(seeds)}' if seeds else ''}. CER and "
        "WER are the judge's. Each run is measured with the weights that it kept: those of its "
        "last epoch if the learning rates fall to 0, else of its best epoch on search-validation "
        "lines."
    ]
    arms = [f"`{arm}` is {cell(chosen[arm])}" for arm in (ON, OFF) if arm in chosen]
    if arms:
        sentences.append(f"{listed(arms)}.")
    if seconds:
        times = [f"{time:.0f} s (`{cell(arm)}`)" for arm, time in seconds.items()]
        sentences.append(f"A run took {listed(times)} in the mean.")
    if off_epochs := choice.get("off_epochs"):
        sentences.append(f"`off` trained for {off_epochs} epochs, to match the time of `on`.")
    if "shuffled" in judged:
        sentences.append(
            "`shuffled` is `on` with transcriptions that belong to other lines. If it does as well "
            "as `on`, the content of the transcriptions is not what helps."
        )
    return " ".join(sentences)


def _learning(
    folder: StudyFolder, choice: Mapping[str, Any], judged: Mapping[str, Runs]
) -> list[str]:
    """Return whether the matcher of the judged runs learned; empty if they have none."""
    runs = [f"{CONFIRM}/trials/{choice['chosen'][ON]}-s{seed}" for seed in judged.get(ON, ())]
    config = folder.read_json(f"{runs[0]}/config.json").get("config", {}) if runs else {}
    metrics = [folder.read_json(f"{run}/result.json").get("metrics", {}) for run in runs]
    epochs = [folder.read_json(f"{run}/{METRICS_FILE}").get("epochs", []) for run in runs]
    return matcher_learning(metrics, epochs, config.get("train.batch_size", 1))


def choice_lines(choice: Mapping[str, Any], judged: Mapping[str, Runs]) -> list[str]:
    """Return how the configurations were chosen, with the gap between search and fresh runs.

    The gap shows the winner's curse: the best of many runs is partly lucky.
    """
    objective, seeds = choice["objective"], [str(seed) for seed in choice["seeds"]]
    value_text = OBJECTIVES[objective].shown
    candidates = [(arm, entry) for arm, side in choice["arms"].items() for entry in side]
    contested = any(entry["values_by_seed"] for _, entry in candidates)
    rows, failed = [], []
    for arm, entry in candidates:
        chosen = entry["id"] == choice["chosen"].get(arm)
        fresh, final = entry["values_by_seed"], judged.get(arm, {}) if chosen else {}
        search_value, trial = entry["search_value"], cell(entry["id"])
        again = [
            *(value_text(fresh.get(seed)) for seed in seeds),
            value_text(_mean(fresh)),
            _gap(objective, search_value, _mean(fresh)),
        ]
        rows.append(
            [
                trial,
                ARM_NAMES.get(arm, cell(arm)),
                "yes" if chosen else "",
                value_text(search_value),
                *(again if contested else []),
                value_text(_mean(final)),
                _gap(objective, search_value, _mean(final)),
                cell(short(entry["values"])),
            ]
        )
        failed += [
            f"{trial} with seed {seed}"
            for runs in (fresh, final)
            for seed, value in runs.items()
            if value is None
        ]
    how = (
        f"The best configurations of the search ran again with the seeds {listed(seeds)}. The one "
        "with the best mean on the search-validation lines was judged, with other seeds."
        if contested
        else "Each arm had one configuration, so there was nothing to choose."
    )
    again = [*(f"seed {seed}" for seed in seeds), "mean", "gap"]
    header = [
        *("trial", "arm", "judged", f"{objective} in the search"),
        *(again if contested else []),
        *("mean of judged runs", "gap", "values"),
    ]
    return [
        f"**How the configuration was chosen.** {how} *Gap* is the search's value minus the mean "
        "of fresh runs on the same search-validation lines: the best of many runs is partly lucky. "
        "`-`: no run, or a failed one.",
        "",
        table(header, rows, words=("arm", "judged", "values")),
        *(["", f"Failed runs, which count against their arm: {listed(failed)}."] if failed else []),
    ]


def _mean(runs: Runs) -> float | None:
    """Return the mean of the runs that have a value."""
    values = [value for value in runs.values() if value is not None]
    return sum(values) / len(values) if values else None


def _gap(objective: str, search_value: float | None, fresh: float | None) -> str:
    """Return by how much the search's value is better; in both, higher is better."""
    gap = None if search_value is None or fresh is None else search_value - fresh
    return shown(gap, f"{{:+z.{OBJECTIVES[objective].decimals}f}}")


def opening_lines(folder: StudyFolder) -> list[str]:
    """Return every opening of the test lines; empty if they were never opened."""
    openings = folder.read_json(f"{CONFIRM}/openings.json").get("openings", [])
    if not openings:
        return []
    times = "once" if len(openings) == 1 else f"{len(openings)} times"
    weaker = (
        ""
        if len(openings) == 1
        else " What one opening showed may have influenced the next, so the verdict is weaker than "
        "its figures say."
    )
    return [
        f"**The test lines were opened {times}.**{weaker}",
        "",
        *(
            f"- {cell(opening['when'])}: {cell(opening['why'])} "
            f"({opening['runs']} runs, {opening['lines']} lines)"
            for opening in openings
        ),
    ]
