"""The settings of a space file, checked: plain values -> the fields of a Space that are not about its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ganhtr.config import PRESETS, RULES
from tune.space.settings import (
    AMOUNT,
    BUDGET_RULES,
    CONSTRAINT_RULES,
    FORMULATION,
    MARGIN,
    METRICS,
    OBJECTIVE,
    OBJECTIVES,
    OF_A_SEARCH,
    OFF,
    PRESET,
    SEARCH_ENDS,
    SEARCH_RULES,
    STOPPING_RULES,
    VERDICT_RULES,
    Budget,
    Constraint,
    EarlyStopping,
    SearchSettings,
    VerdictSettings,
)
from tune.space.source import (
    TOP_LEVEL,
    Source,
    check_key,
    check_value,
    is_experiment,
    known,
    section,
    show,
    values_of,
)


def read_settings(source: Source) -> dict[str, Any]:
    """The settings as fields of a Space, checked; faults are noted in `source`, whose value is a mapping."""
    for key in source.value:
        if key not in TOP_LEVEL:
            hint = (
                f"Put it under space or fixed. {known(key, TOP_LEVEL)}"
                if key in RULES
                else known(key, TOP_LEVEL)
            )
            source.fault((key,), "one of the top-level keys", "an unknown key", hint)
    preset = values_of(
        source,
        (),
        {key: value for key, value in source.value.items() if key == "preset"},
        {"preset": PRESET},
    )["preset"]
    fixed = _config_values(source, "fixed", {})
    baseline = _config_values(source, "baseline", OFF)
    _check_off(source, preset, fixed, baseline)
    if is_experiment(source):
        _check_on(source, preset, fixed)
        for name in OF_A_SEARCH:
            if source.value.get(name):
                source.fault(
                    (name,),
                    "left out where nothing is searched",
                    show(source.value[name]),
                    "Remove it.",
                )
    objectives = _objectives(source)
    return {
        "preset": preset,
        "objectives": objectives,
        "budget": _budget(source, objectives),
        "search": _search(source, objectives),
        "constraints": _constraints(source),
        "verdict": _verdict(source),
        "early_stopping": EarlyStopping(
            **values_of(
                source, ("early_stopping",), section(source, "early_stopping"), STOPPING_RULES
            )
        ),
        "fixed": fixed,
        "baseline": baseline,
    }


def _config_values(source: Source, name: str, default: Mapping[str, Any]) -> dict[str, Any]:
    """The section `fixed` or `baseline`."""
    if name not in source.value:
        return dict(default)
    values = {}
    for key, value in section(source, name).items():
        if check_key(source, (name, key), name) and check_value(
            source, (name, key), RULES[key], value
        ):
            values[key] = RULES[key].type(value)
    return values


def _objectives(source: Source) -> tuple[str, ...]:
    """One objective, or a list of them; the default after a fault."""
    given = source.value.get("objective", OBJECTIVE.default)
    several = isinstance(given, list)
    paths = [
        ("objective", index) if several else ("objective",)
        for index in range(len(given) if several else 1)
    ]
    names = given if several else [given]
    if not names:
        source.fault(
            ("objective",), "an objective or a list of them", "an empty list", known("", OBJECTIVES)
        )
    sound = [
        check_value(source, path, OBJECTIVE, name) for path, name in zip(paths, names, strict=True)
    ]
    if not names or not all(sound):
        return (OBJECTIVE.default,)
    for index, name in enumerate(names):
        if name in names[:index]:
            source.fault(paths[index], "free of duplicates", f"{name} again", "Remove one.")
    if several and len(names) > 1 and is_experiment(source):
        source.fault(
            ("objective",),
            "a single one where nothing is searched",
            show(names),
            "The report shows every metric.",
        )
    return tuple(names)


def _search(source: Source, objectives: tuple[str, ...]) -> SearchSettings:
    """The section `search`; what cannot go together is a fault."""
    given, path = section(source, "search"), ("search",)
    settings = SearchSettings(**values_of(source, path, given, SEARCH_RULES))
    if len(objectives) > 1 and settings.pruner != "none":
        if "pruner" in given:
            source.fault(
                (*path, "pruner"),
                "none with several objectives: no single value of an epoch tells which trial to give up",
                settings.pruner,
                "Write pruner: none, or keep one objective.",
            )
        settings = dataclasses.replace(settings, pruner="none")
    return SearchSettings(pruner="none") if is_experiment(source) else settings


def _constraints(source: Source) -> tuple[Constraint, ...]:
    """The section `constraints`: metric -> rules with an amount."""
    found, given = [], section(source, "constraints")
    for metric, rules in given.items():
        path = ("constraints", metric)
        if metric not in METRICS:
            source.fault(path, "a metric", "an unknown one", known(metric, METRICS))
        elif not isinstance(rules, dict) or not rules:
            source.fault(
                path,
                "a mapping such as {below_off: 0.5}",
                show(rules),
                f"Rules: {', '.join(CONSTRAINT_RULES)}.",
            )
        else:
            for rule, amount in rules.items():
                if rule not in CONSTRAINT_RULES:
                    source.fault(
                        (*path, rule),
                        "one of the rules",
                        "an unknown one",
                        known(rule, CONSTRAINT_RULES),
                    )
                elif check_value(source, (*path, rule), AMOUNT, amount):
                    found.append(Constraint(metric, rule, float(amount)))
    return tuple(found)


def _verdict(source: Source) -> VerdictSettings:
    """The section `verdict`."""
    given = dict(section(source, "verdict"))
    margins, path = given.pop("margins", {}), ("verdict", "margins")
    settings = VerdictSettings(**values_of(source, ("verdict",), given, VERDICT_RULES))
    if not isinstance(margins, dict):
        source.fault(
            path, "a mapping of metrics to numbers", show(margins), "Write margins: {psnr: 0.2}."
        )
        return settings
    held = dict(settings.margins)
    for metric, amount in margins.items():
        if metric not in METRICS:
            source.fault((*path, metric), "a metric", "an unknown one", known(metric, METRICS))
        elif check_value(source, (*path, metric), MARGIN, amount):
            held[metric] = float(amount)
    return dataclasses.replace(settings, margins=held)


def _budget(source: Source, objectives: tuple[str, ...]) -> Budget:
    """The budget; what only a search, or only an experiment, can follow is a fault in the other."""
    given, path = section(source, "budget"), ("budget",)
    for name in SEARCH_ENDS if is_experiment(source) else ():
        if name in given:
            source.fault(
                (*path, name),
                "left out where nothing is searched: an experiment runs both arms once for each seed",
                show(given[name]),
                "Set budget.seeds, or use --seeds.",
            )
    given = {
        name: value
        for name, value in given.items()
        if not (is_experiment(source) and name in SEARCH_ENDS)
    }
    if len(objectives) > 1 and "target" in given:
        source.fault(
            (*path, "target"),
            "left out with several objectives",
            show(given["target"]),
            "Keep one objective, or remove it.",
        )
    budget = Budget(**values_of(source, path, given, BUDGET_RULES))
    if budget.seeds > 1 and not is_experiment(source):
        source.fault(
            (*path, "seeds"),
            "1 where parameters are searched: only an experiment repeats its arms over seeds",
            show(budget.seeds),
            "Remove it, or take out space to run OFF and ON alone.",
        )
    return budget


def _check_on(source: Source, preset: str | None, fixed: Mapping[str, Any]) -> None:
    """The fixed values of an experiment are its ON arm. A value that is a fault in itself is not judged twice."""
    given = source.value.get("fixed", {})
    if not isinstance(given, dict) or (FORMULATION in given and FORMULATION not in fixed):
        return
    on = {FORMULATION: RULES[FORMULATION].default, **PRESETS[preset or "tiny"], **fixed}
    if on[FORMULATION] == "none":
        source.fault(
            ("fixed", FORMULATION),
            "a contrastive loss, as it is the ON arm where nothing is searched",
            "none",
            f"Write for instance {FORMULATION}: infonce.",
        )


def _check_off(
    source: Source, preset: str | None, fixed: Mapping[str, Any], baseline: Mapping[str, Any]
) -> None:
    """The baseline is the OFF arm. A value that is a fault in itself is not judged twice."""
    given = source.value.get("baseline", OFF)
    if not isinstance(given, dict) or (FORMULATION in given and FORMULATION not in baseline):
        return
    off = {
        FORMULATION: RULES[FORMULATION].default,
        **PRESETS[preset or "tiny"],
        **fixed,
        **baseline,
    }
    if off[FORMULATION] != "none":
        path = ("baseline", FORMULATION) if FORMULATION in baseline else ("baseline",)
        source.fault(
            path,
            "an OFF arm without contrastive loss",
            f"{FORMULATION} {off[FORMULATION]}",
            f"Write {FORMULATION}: none.",
        )
