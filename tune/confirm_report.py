"""The section "Verdict" of a report: what was judged, how the configuration was chosen, when the test lines were opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune.judgement import Verdict
from tune.monitor import short
from tune.objective import OBJECTIVES
from tune.report_table import cell, listed, shown, table
from tune.study import StudyError, StudyFolder
from tune.verdict_text import onward, report, sentence
from tune.verdict_text import table as verdict_table

NAMES = {"off": "OFF", "on": "ON"}


def read_verdict(folder: StudyFolder) -> Verdict | None:
    """The study's verdict; None where there is none. Raises: StudyError when its file holds something else."""
    plain = folder.read_json("confirm/verdict.json")
    try:
        return Verdict.from_plain(plain) if plain else None
    except (KeyError, TypeError) as error:
        raise StudyError(f"{folder.path / 'confirm/verdict.json'}: must be a verdict that confirm wrote, got something else ({error}). Delete "
                         f"it and run: {folder.command('confirm')}") from error


def verdict_for_terminal(folder: StudyFolder) -> str:
    """The verdict's table, a sentence for each metric and what it lacks; empty without a verdict."""
    verdict = read_verdict(folder)
    if verdict is None:
        return ""
    return "\n".join(["Verdict, on test lines:", "", verdict_table(verdict), "", *(f"- {sentence(each)}" for each in verdict.judgements),
                      *(f"- {line}" for line in [onward(verdict, go_on(folder, verdict))] if line), ""])


def go_on(folder: StudyFolder, verdict: Verdict) -> str:
    """The command that runs the seeds which a verdict lacks; `--seeds` counts those that ran too."""
    worth = folder.read_json("confirm/judged.json")
    return f"{folder.command('confirm')} --seeds {max((len(runs) for runs in worth.values()), default=0) + verdict.more_seeds}"


def verdict_section(folder: StudyFolder) -> list[str]:
    """The section, or how to get a verdict."""
    verdict, command = read_verdict(folder), folder.command("confirm")
    if verdict is None:
        return [f"There is none yet: every figure below is of single runs on search-validation lines. `{command}` gives one."]
    choice, worth = folder.read_json("confirm/choice.json"), folder.read_json("confirm/judged.json")
    return ["Test lines, CER and WER by the judge; each run at the epoch that search-validation chose, by one rule in all arms.", "",
            report(verdict, go_on(folder, verdict)), "", *chosen_lines(choice, worth), "", *opening_lines(folder)]


def chosen_lines(choice: Mapping[str, Any], worth: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Who was judged and why, and how much of the search's figure was luck."""
    objective = choice["objective"]
    say = OBJECTIVES[objective].shown
    lines = ["**How it was chosen.** The best of the search were run again with fresh seeds, on search-validation; the best mean was judged, "
             f"with other seeds ({objective}; a dash is a run that failed).", ""]
    rows = []
    for arm, side in choice["arms"].items():
        for each in side:
            values = [shown(value, "{:.4g}") if value is None else say(value) for value in each["values_by_seed"].values()]
            mean = "-" if each["mean"] is None else say(each["mean"])
            rows.append([cell(each["id"]), NAMES[arm], "yes" if choice["chosen"][arm] == each["id"] else "", say(each["search_value"]),
                         ", ".join(values) or "-", mean, cell(short(each["values"]))])
    lines += [table(["trial", "arm", "judged", "in the search", f"with seeds {listed(choice['seeds'])}", "mean", "values"], rows,
                    words=("arm", "judged", "values")), ""]
    for arm, side in choice["arms"].items():
        own = next(each for each in side if each["id"] == choice["chosen"][arm])
        held = [value for value in worth.get(arm, {}).values() if value is not None]
        if held and own["search_value"] is not None:
            mean = sum(held) / len(held)
            lines.append(f"- {NAMES[arm]} ({cell(own['id'])}): {say(own['search_value'])} in the search, {say(mean)} over {len(held)} judged "
                         f"runs on the same search-validation lines: {luck(own['search_value'] - mean)}.")
    return lines


def luck(gap: float) -> str:
    """The winner's-curse gap in words; higher is better."""
    return f"the search's figure flattered it by {gap:.2f}" if gap > 0 else f"the search's figure was {-gap:.2f} below"


def opening_lines(folder: StudyFolder) -> list[str]:
    """Every time that the test lines were opened."""
    openings = folder.read_json("confirm/openings.json").get("openings", [])
    times = "once" if len(openings) == 1 else f"{len(openings)} times"
    return [f"**The test lines were opened {times}.**" + ("" if len(openings) == 1 else " Each look after the first makes the verdict weaker "
                                                          "than its figures say, if what was seen had a part in what came next."), "",
            *(f"- {cell(each['when'])}: {cell(each['why'])} ({each['runs']} runs, {each['lines']} lines)" for each in openings)]
