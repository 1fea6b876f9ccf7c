"""All of a space file but its parameters and the rules between them: what is optimised, how long, how it ends; and whether it searches."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganhtr.config import PRESETS, RULES, Rule, nearest
from tune.yaml_source import KeyPath, Source, show

OBJECTIVES = ("score", "psnr", "ssim", "cer", "wer")
METRICS = ("psnr", "ssim", "cer", "wer", "judge_cer", "judge_wer")
VERDICT_METRICS = ("psnr", "ssim", "judge_cer", "judge_wer")
SAMPLERS = ("tpe", "gp", "nsga2", "nsga3", "qmc", "random", "grid")
PRUNERS = ("asha", "hyperband", "median", "wilcoxon", "none")
FORMULATION = "contrastive.formulation"
OFF = {FORMULATION: "none"}
BUDGET_KEYS = {"train.epochs": "budget.epochs", "train.steps_per_epoch": "budget.steps_per_epoch"}

# None as a default: the preset's own value holds.
BUDGET_RULES = {
    "trials": Rule("budget.trials", int, 12, "trials of a search", low=1, high=100_000),
    "seeds": Rule("budget.seeds", int, 1, "seeds of an experiment: each runs both arms", low=1, high=1000),
    "wall_hours": Rule("budget.wall_hours", float, None, "hours that a study's sessions may take in all", low=0.001, high=10_000),
    "total_epochs": Rule("budget.total_epochs", int, None, "epochs of all trials together beyond which none starts", low=1, high=10**9),
    "target": Rule("budget.target", float, None, "value of the objective at which a search ends", low=-1e6, high=1e6),
    "no_improvement": Rule("budget.no_improvement", int, None, "trials in a row without a better value after which a search ends", low=1,
                           high=100_000),
    **{name.split(".")[1]: dataclasses.replace(RULES[key], key=name, default=None)
       for key, name in BUDGET_KEYS.items()},
}
STOPPING_RULES = {
    "patience": Rule("early_stopping.patience", int, 15, "epochs without a better objective before a trial stops",
                     low=1, high=100_000),
    "min_delta": Rule("early_stopping.min_delta", float, 0.01, "gain of the objective that counts as better",
                      low=0, high=1e6),
}
OBJECTIVE = Rule("objective", str, "score", "what the study optimises: score is PSNR - 0.5 * 100 * CER", choices=OBJECTIVES)
SEARCH_RULES = {
    "sampler": Rule("search.sampler", str, "tpe", "who proposes trials", choices=SAMPLERS),
    "pruner": Rule("search.pruner", str, "asha", "who gives trials up", choices=PRUNERS),
    "warmup": Rule("search.warmup", int, 5, "epochs before which no trial is given up", low=1, high=100_000),
    "duplicates": Rule("search.duplicates", str, "skip", "skip: a configuration is run once; repeat: again with another seed",
                       choices=("skip", "repeat")),
}
VERDICT_RULES = {
    "primary": Rule("verdict.primary", str, "psnr", "the metric that the verdict is given on", choices=VERDICT_METRICS),
    "seeds": Rule("verdict.seeds", int, 3, "seeds of the judgement at the end of a search; 0: none", low=0, high=1000),
    "top": Rule("verdict.top", int, 3, "configurations that are confirmed before one is chosen", low=1, high=1000),
}
MARGIN = Rule("verdict.margins", float, None, "difference within which two arms are practically equal, in the metric's unit", low=0, high=1e6)
AMOUNT = Rule("constraints", float, None, "a limit, or how far a metric may lie from OFF's, in its unit", low=-1e6, high=1e6)
CONSTRAINT_RULES = ("min", "max", "below_off", "above_off")
SETTINGS = {
    "preset": Rule("preset", str, None, "configuration that the space changes", choices=tuple(PRESETS)),
}
SEARCH_ENDS = ("trials", "total_epochs", "target", "no_improvement")
SECTIONS = ("budget", "early_stopping", "search", "constraints", "verdict", "baseline", "fixed", "derived", "space")
TOP_LEVEL = ("extends", "objective", "preset", *SECTIONS, "first", "forbidden")


@dataclass(frozen=True)
class Budget:
    """How much a study trains: a search `trials`, an experiment both arms for each of `seeds`.

    `epochs` and `steps_per_epoch` are the preset's where None. A search ends earlier once its sessions took `wall_hours`, its trials
    `total_epochs`, once a contrastive trial reaches `target` (in the objective's own unit: a CER of at most that), or when `no_improvement`
    of them in a row were no better than the best.
    """

    trials: int = 12
    epochs: int | None = None
    steps_per_epoch: int | None = None
    seeds: int = 1
    wall_hours: float | None = None
    total_epochs: int | None = None
    target: float | None = None
    no_improvement: int | None = None


@dataclass(frozen=True)
class SearchSettings:
    """How trials are proposed and given up: names of sampler and pruner, epochs before which none is pruned, whether repeats are run."""

    sampler: str = "tpe"
    pruner: str = "asha"
    warmup: int = 5
    duplicates: str = "skip"


@dataclass(frozen=True)
class Constraint:
    """What a trial must keep to win: `min`, `max`, or at most `amount` below (`below_off`) or above (`above_off`) OFF's mean."""

    metric: str
    rule: str
    amount: float


@dataclass(frozen=True)
class VerdictSettings:
    """How a search ends: primary metric, seeds of the judgement (0: none), how many configurations are confirmed, what counts as equal."""

    primary: str = "psnr"
    seeds: int = 3
    top: int = 3
    margins: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"psnr": 0.2, "ssim": 0.005, "cer": 0.005, "wer": 0.01, "judge_cer": 0.005, "judge_wer": 0.01})


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
    objectives = _objectives(source)
    return {
        **settings,
        "objectives": objectives,
        "budget": _budget(source, objectives),
        "search": _search(source, objectives),
        "constraints": _constraints(source),
        "verdict": _verdict(source),
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


def _objectives(source: Source) -> tuple[str, ...]:
    """One objective, or a list of them; the default after a fault."""
    given = source.value.get("objective", OBJECTIVE.default)
    several = isinstance(given, list)
    paths = [("objective", index) if several else ("objective",) for index in range(len(given) if several else 1)]
    names = given if several else [given]
    if not names:
        source.fault(("objective",), "an objective or a list of them", "an empty list", known("", OBJECTIVES))
    sound = [check_value(source, path, OBJECTIVE, name) for path, name in zip(paths, names, strict=True)]
    if not names or not all(sound):
        return (OBJECTIVE.default,)
    for index, name in enumerate(names):
        if name in names[:index]:
            source.fault(paths[index], "free of duplicates", f"{name} again", "Remove one.")
    if several and len(names) > 1 and is_experiment(source):
        source.fault(("objective",), "a single one where nothing is searched", show(names), "The report shows every metric.")
    return tuple(names)


def _search(source: Source, objectives: tuple[str, ...]) -> SearchSettings:
    """The section `search`; what cannot go together is a fault."""
    given, path = section(source, "search"), ("search",)
    settings = SearchSettings(**_values(source, path, given, SEARCH_RULES))
    if len(objectives) > 1 and settings.pruner != "none":
        if "pruner" in given:
            source.fault((*path, "pruner"), "none with several objectives: no single value of an epoch tells which trial to give up",
                         settings.pruner, "Write pruner: none, or keep one objective.")
        settings = dataclasses.replace(settings, pruner="none")
    if is_experiment(source):
        for name in given:
            source.fault((*path, name), "left out where nothing is searched", show(given[name]), "Remove it.")
        settings = dataclasses.replace(SearchSettings(), pruner="none")
    return settings


def _constraints(source: Source) -> tuple[Constraint, ...]:
    """The section `constraints`: metric -> rules with an amount."""
    found, given = [], section(source, "constraints")
    if given and is_experiment(source):
        source.fault(("constraints",), "left out where nothing is searched", show(given), "Remove it.")
    for metric, rules in given.items():
        path = ("constraints", metric)
        if metric not in METRICS:
            source.fault(path, "a metric", "an unknown one", known(metric, METRICS))
        elif not isinstance(rules, dict) or not rules:
            source.fault(path, "a mapping such as {below_off: 0.5}", show(rules), f"Rules: {', '.join(CONSTRAINT_RULES)}.")
        else:
            for rule, amount in rules.items():
                if rule not in CONSTRAINT_RULES:
                    source.fault((*path, rule), "one of the rules", "an unknown one", known(rule, CONSTRAINT_RULES))
                elif check_value(source, (*path, rule), AMOUNT, amount):
                    found.append(Constraint(metric, rule, float(amount)))
    return tuple(found)


def _verdict(source: Source) -> VerdictSettings:
    """The section `verdict`."""
    given = dict(section(source, "verdict"))
    margins, path = given.pop("margins", {}), ("verdict", "margins")
    settings = VerdictSettings(**_values(source, ("verdict",), given, VERDICT_RULES))
    if not isinstance(margins, dict):
        source.fault(path, "a mapping of metrics to numbers", show(margins), "Write margins: {psnr: 0.2}.")
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
            source.fault((*path, name), "left out where nothing is searched: an experiment runs both arms once for each seed",
                         show(given[name]), "Set budget.seeds, or use --seeds.")
    given = {name: value for name, value in given.items() if not (is_experiment(source) and name in SEARCH_ENDS)}
    if len(objectives) > 1 and "target" in given:
        source.fault((*path, "target"), "left out with several objectives", show(given["target"]), "Keep one objective, or remove it.")
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
