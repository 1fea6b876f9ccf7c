"""All of a space file but its parameters: objective, budget, early stopping, OFF arm, fixed values, preset; and whether there are any."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganhtr.config import PRESETS, RULES, Rule, nearest
from tune.yaml_source import KeyPath, Source, show

OBJECTIVES = ("score", "psnr", "ssim", "cer", "wer")
FORMULATION = "contrastive.formulation"
OFF = {FORMULATION: "none"}
BUDGET_KEYS = {"train.epochs": "budget.epochs", "train.steps_per_epoch": "budget.steps_per_epoch"}

# None as a default: the preset's own value holds.
BUDGET_RULES = {
    "trials": Rule("budget.trials", int, 12, "trials of a search", low=1, high=100_000),
    "seeds": Rule("budget.seeds", int, 1, "seeds of an experiment: each runs both arms", low=1, high=1000),
    **{name.split(".")[1]: dataclasses.replace(RULES[key], key=name, default=None)
       for key, name in BUDGET_KEYS.items()},
}
STOPPING_RULES = {
    "patience": Rule("early_stopping.patience", int, 15, "epochs without a better objective before a trial stops",
                     low=1, high=100_000),
    "min_delta": Rule("early_stopping.min_delta", float, 0.01, "gain of the objective that counts as better",
                      low=0, high=1e6),
}
SETTINGS = {
    "objective": Rule("objective", str, "score", "what the study optimises: score is PSNR - 0.5 * 100 * CER",
                      choices=OBJECTIVES),
    "preset": Rule("preset", str, None, "configuration that the space changes", choices=tuple(PRESETS)),
}
SECTIONS = ("budget", "early_stopping", "baseline", "fixed", "space")
TOP_LEVEL = ("objective", "preset", *SECTIONS)


@dataclass(frozen=True)
class Budget:
    """How much a study trains: a search `trials`, an experiment both arms for each of `seeds`.

    `epochs` and `steps_per_epoch` are the preset's where None.
    """

    trials: int = 12
    epochs: int | None = None
    steps_per_epoch: int | None = None
    seeds: int = 1


@dataclass(frozen=True)
class EarlyStopping:
    """A trial stops after `patience` epochs without a gain of `min_delta` in the objective."""

    patience: int = 15
    min_delta: float = 0.01


def read_settings(source: Source) -> dict[str, Any]:
    """The settings as fields of a Space, checked; faults are noted in `source`, whose value is a mapping."""
    for key in source.value:
        if key not in TOP_LEVEL:
            hint = f"Put it under space or fixed. {known(key, TOP_LEVEL)}" if key in RULES else known(key, TOP_LEVEL)
            source.fault((key,), "one of the top-level keys", "an unknown key", hint)
    settings = _values(source, (), {key: value for key, value in source.value.items() if key in SETTINGS}, SETTINGS)
    fixed = _config_values(source, "fixed", {})
    baseline = _config_values(source, "baseline", OFF)
    _check_off(source, settings["preset"], fixed, baseline)
    if is_experiment(source):
        _check_on(source, settings["preset"], fixed)
    return {
        **settings,
        "budget": _budget(source),
        "early_stopping": EarlyStopping(
            **_values(source, ("early_stopping",), section(source, "early_stopping"), STOPPING_RULES)),
        "fixed": fixed,
        "baseline": baseline,
    }


def is_experiment(source: Source) -> bool:
    """Whether nothing is searched: `space` is left out or empty, so that OFF and ON run as they stand."""
    return source.value.get("space") in (None, {}) and ("space",) not in source.refused


def section(source: Source, name: str) -> Mapping[str, Any]:
    """A top-level mapping; empty if it is left out or is a fault."""
    value = source.value.get(name, {})
    if isinstance(value, dict):
        return value
    source.fault((name,), "a mapping of keys to values", show(value), f"Indent the keys under `{name}:`.")
    return {}


def known(name: Any, names: tuple | Mapping) -> str:
    """The nearest known name, with all names unless there are too many."""
    hint = nearest(str(name), tuple(names))
    return hint if hint.startswith("Known") or len(names) > 12 else f"{hint} Known: {', '.join(names)}."


def check_key(source: Source, path: KeyPath, place: str) -> bool:
    """Whether the configuration key that ends `path` may stand under `place`; notes the fault if not."""
    key = path[-1]
    if key not in RULES:
        source.fault(path, "a configuration key", "an unknown one", known(key, RULES))
    elif key in BUDGET_KEYS:
        source.fault(path, "left to the budget", f"it under {place}", f"Set {BUDGET_KEYS[key]} instead.")
    elif place != "fixed" and RULES[key].shared:
        source.fault(path, "the same in all trials", f"it under {place}", "Put it under fixed.")
    elif place != "fixed" and key == "train.seed":
        source.fault(path, "fixed, as the seed is not searched", f"it under {place}", "Put it under fixed.")
    else:
        return True
    return False


def check_value(source: Source, path: KeyPath, rule: Rule, value: Any) -> bool:
    """Whether `value` follows `rule`; notes the fault if not."""
    if rule.fault(value) is None:
        return True
    fix = f"It is: {rule.doc}."
    if rule.type is bool:
        fix = "Write true or false; yes, no, on and off are text here."
    elif rule.choices:
        fix = nearest(str(value), rule.choices)
    elif isinstance(value, str) and rule.type in (int, float):
        fix = "Write a plain numeral, without quotes or units."
    source.fault(path, rule.words(), show(value), fix)
    return False


def _values(source: Source, path: KeyPath, given: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    values = {name: rule.default for name, rule in rules.items()}
    for name, value in given.items():
        if name not in rules:
            source.fault((*path, name), "a known key", "an unknown one", known(name, rules))
        elif check_value(source, (*path, name), rules[name], value):
            values[name] = rules[name].type(value)
    return values


def _config_values(source: Source, name: str, default: Mapping[str, Any]) -> dict[str, Any]:
    """The section `fixed` or `baseline`."""
    if name not in source.value:
        return dict(default)
    values = {}
    for key, value in section(source, name).items():
        if check_key(source, (name, key), name) and check_value(source, (name, key), RULES[key], value):
            values[key] = RULES[key].type(value)
    return values


def _budget(source: Source) -> Budget:
    """The budget; what only a search, or only an experiment, can follow is a fault in the other."""
    given, path = section(source, "budget"), ("budget",)
    if is_experiment(source) and "trials" in given:
        source.fault((*path, "trials"), "left out where nothing is searched: an experiment runs both arms once for each seed",
                     show(given["trials"]), "Set budget.seeds, or use --seeds.")
        given = {name: value for name, value in given.items() if name != "trials"}
    budget = Budget(**_values(source, path, given, BUDGET_RULES))
    if budget.seeds > 1 and not is_experiment(source):
        source.fault((*path, "seeds"), "1 where parameters are searched: only an experiment repeats its arms over seeds",
                     show(budget.seeds), "Remove it, or take out space to run OFF and ON alone.")
    return budget


def _check_on(source: Source, preset: str | None, fixed: Mapping[str, Any]) -> None:
    """The fixed values of an experiment are its ON arm. A value that is a fault in itself is not judged twice."""
    given = source.value.get("fixed", {})
    if not isinstance(given, dict) or (FORMULATION in given and FORMULATION not in fixed):
        return
    on = {FORMULATION: RULES[FORMULATION].default, **PRESETS[preset or "tiny"], **fixed}
    if on[FORMULATION] == "none":
        source.fault(("fixed", FORMULATION), "a contrastive loss, as it is the ON arm where nothing is searched", "none",
                     f"Write for instance {FORMULATION}: infonce.")


def _check_off(source: Source, preset: str | None, fixed: Mapping[str, Any], baseline: Mapping[str, Any]) -> None:
    """The baseline is the OFF arm. A value that is a fault in itself is not judged twice."""
    given = source.value.get("baseline", OFF)
    if not isinstance(given, dict) or (FORMULATION in given and FORMULATION not in baseline):
        return
    off = {FORMULATION: RULES[FORMULATION].default, **PRESETS[preset or "tiny"], **fixed, **baseline}
    if off[FORMULATION] != "none":
        path = ("baseline", FORMULATION) if FORMULATION in baseline else ("baseline",)
        source.fault(path, "an OFF arm without contrastive loss", f"{FORMULATION} {off[FORMULATION]}", f"Write {FORMULATION}: none.")
