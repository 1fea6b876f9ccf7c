"""The settings of a space file, checked: plain values -> fields of a Space."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from ganhtr.config import PRESETS, RULES
from tune.metric import BY_KEY, MEASURED
from tune.space.constraint import CONSTRAINT_RULES, Constraint
from tune.space.settings import (
    AMOUNT,
    FORMULATION,
    MARGIN,
    OBJECTIVE,
    PRESET,
    SEARCH_ENDS,
    SEARCH_ONLY,
    SETTING_RULES,
    TOP_LEVEL,
    Budget,
    EarlyStopping,
    SearchSettings,
    VerdictSettings,
)
from tune.space.source import (
    KeyPath,
    Source,
    check_key,
    check_unique,
    check_value,
    hint,
    is_experiment,
    read_values,
    section,
    show,
    unknown_key,
)

BASELINE = {FORMULATION: "none"}


def read_settings(source: Source) -> dict[str, Any]:
    """Return the settings as fields of a Space, checked. Faults are noted in `source`."""
    for key in source.value:
        if key not in TOP_LEVEL:
            place = "Put it under space or fixed. " if key in RULES else ""
            source.fault((key,), f"unknown top-level key. {place}{hint(key, TOP_LEVEL)}")
    preset = source.value.get("preset")
    if "preset" in source.value and not check_value(source, ("preset",), PRESET, preset):
        preset = None
    fixed = _config_values(source, "fixed", {})
    baseline = _config_values(source, "baseline", BASELINE)
    off = _formulation(source, "baseline", preset, fixed, baseline)
    if off not in (None, "none"):
        source.fault(
            ("baseline", FORMULATION),
            f"the OFF arm has no contrastive loss, got {off}. Write {FORMULATION}: none.",
        )
    if is_experiment(source):
        if _formulation(source, "fixed", preset, fixed) == "none":
            source.fault(
                ("fixed", FORMULATION),
                "the ON arm of an experiment needs a contrastive loss, got none. Write for "
                f"instance {FORMULATION}: infonce.",
            )
        for name in SEARCH_ONLY:
            if source.value.get(name):
                source.fault((name,), "an experiment searches nothing. Remove it, or add space.")
    objectives = _objectives(source)
    return {
        "preset": preset,
        "objectives": objectives,
        "budget": _budget(source, objectives),
        "search": _search(source, objectives),
        "constraints": _constraints(source),
        "verdict": _verdict(source),
        "early_stopping": EarlyStopping(**_settings(source, "early_stopping")),
        "fixed": fixed,
        "baseline": baseline,
    }


def _settings(source: Source, name: str) -> dict[str, Any]:
    """Return the values of a section whose settings have rules."""
    return read_values(source, (name,), section(source, name), SETTING_RULES[name])


def _config_values(source: Source, name: str, default: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section `fixed` or `baseline`."""
    if name not in source.value:
        return dict(default)
    return {
        key: RULES[key].type(value)
        for key, value in section(source, name).items()
        if check_key(source, (name, key), name)
        and check_value(source, (name, key), RULES[key], value)
    }


def _objectives(source: Source) -> tuple[str, ...]:
    """Return the objective or objectives; the default after a fault."""
    plain = source.value.get("objective", OBJECTIVE.default)
    if not isinstance(plain, list):
        valid = check_value(source, ("objective",), OBJECTIVE, plain)
        return (plain if valid else OBJECTIVE.default,)
    if not plain:
        source.must_be(
            ("objective",),
            "an objective or a list of them",
            "an empty list",
            hint("", OBJECTIVE.choices),
        )
    valid_names = [
        check_value(source, ("objective", index), OBJECTIVE, name)
        for index, name in enumerate(plain)
    ]
    if not plain or not all(valid_names):
        return (OBJECTIVE.default,)
    check_unique(source, ("objective",), plain)
    if len(plain) > 1 and is_experiment(source):
        source.fault(
            ("objective",), "an experiment has a single objective. Its report shows every metric."
        )
    return tuple(plain)


def _search(source: Source, objectives: tuple[str, ...]) -> SearchSettings:
    """Return the section `search`."""
    search = SearchSettings(**_settings(source, "search"))
    if is_experiment(source):
        return SearchSettings(pruner="none")
    if len(objectives) > 1 and search.pruner != "none":
        if "pruner" in section(source, "search"):
            source.fault(
                ("search", "pruner"),
                f"{search.pruner} needs a single objective. Write pruner: none, or keep one "
                "objective.",
            )
        return dataclasses.replace(search, pruner="none")
    return search


def _constraints(source: Source) -> tuple[Constraint, ...]:
    """Return the section `constraints`: metric -> rules with an amount."""
    constraints = []
    for metric, rules in section(source, "constraints").items():
        path = ("constraints", metric)
        if not _check_metric(source, path, MEASURED):
            continue
        if not isinstance(rules, dict) or not rules:
            known = f"Rules: {', '.join(CONSTRAINT_RULES)}."
            source.must_be(path, "a mapping such as {below_off: 0.5}", show(rules), known)
            continue
        for rule, amount in rules.items():
            if rule not in CONSTRAINT_RULES:
                unknown_key(source, (*path, rule), CONSTRAINT_RULES)
            elif check_value(source, (*path, rule), AMOUNT, amount):
                constraints.append(Constraint(metric, rule, float(amount)))
    return tuple(constraints)


def _check_metric(source: Source, path: KeyPath, known: Collection[str]) -> bool:
    """Whether the key at the end of `path` is one of the known metrics; else a fault."""
    if path[-1] in known:
        return True
    source.fault(path, f"unknown metric. {hint(path[-1], known)}")
    return False


def _verdict(source: Source) -> VerdictSettings:
    """Return the section `verdict`."""
    plain, path = dict(section(source, "verdict")), ("verdict", "margins")
    margins = plain.pop("margins", {})
    verdict = VerdictSettings(**read_values(source, ("verdict",), plain, SETTING_RULES["verdict"]))
    if not isinstance(margins, dict):
        source.must_be(
            path, "a mapping of metrics to numbers", show(margins), "Write margins: {psnr: 0.2}."
        )
        return verdict
    changed = {
        metric: float(amount)
        for metric, amount in margins.items()
        if _check_metric(source, (*path, metric), BY_KEY)
        and check_value(source, (*path, metric), MARGIN, amount)
    }
    return dataclasses.replace(verdict, margins={**verdict.margins, **changed})


def _budget(source: Source, objectives: tuple[str, ...]) -> Budget:
    """Return the section `budget`; settings that the kind of study cannot have are faults."""
    plain = section(source, "budget")
    if is_experiment(source):
        for name in (name for name in plain if name in SEARCH_ENDS):
            source.fault(
                ("budget", name),
                "an experiment runs both arms once for each seed. Set budget.seeds instead, or "
                "use --seeds.",
            )
        plain = {name: value for name, value in plain.items() if name not in SEARCH_ENDS}
    elif len(objectives) > 1 and "target" in plain:
        source.fault(
            ("budget", "target"), "it needs a single objective. Keep one objective, or remove it."
        )
    budget = Budget(**read_values(source, ("budget",), plain, SETTING_RULES["budget"]))
    if budget.seeds > 1 and not is_experiment(source):
        source.fault(
            ("budget", "seeds"),
            f"only an experiment repeats its arms over seeds, got {budget.seeds}. Remove it, or "
            "remove space to run OFF and ON alone.",
        )
    return budget


def _formulation(
    source: Source, section_name: str, preset: str | None, *layers: Mapping[str, Any]
) -> str | None:
    """Return the contrastive loss of an arm, whose values are the layers over the preset.

    section_name: the section of the last layer. None if its formulation already has a fault.
    """
    plain = source.value.get(section_name, {})
    if not isinstance(plain, dict) or (FORMULATION in plain and FORMULATION not in layers[-1]):
        return None
    arm = {FORMULATION: RULES[FORMULATION].default, **PRESETS[preset or "tiny"]}
    for layer in layers:
        arm.update(layer)
    return arm[FORMULATION]
