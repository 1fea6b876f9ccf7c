"""What each setting of a space file takes, with its default; the reader and the JSON Schema both follow these rules."""

from __future__ import annotations

import dataclasses

from ganhtr.config import PRESETS, RULES, Rule
from tune.space_settings import (
    BUDGET_KEYS,
    OBJECTIVES,
    PRUNERS,
    SAMPLERS,
    VERDICT_METRICS,
    Budget,
    EarlyStopping,
    SearchSettings,
    VerdictSettings,
)

PRESET = Rule("preset", str, None, "configuration that the space changes", choices=tuple(PRESETS))
OBJECTIVE = Rule("objective", str, "score", "what the study optimises: score is PSNR - 0.5 * 100 * CER", choices=OBJECTIVES)
# None as a default: not set, or the preset's own value holds.
BUDGET_RULES = {
    "trials": Rule("budget.trials", int, Budget.trials, "trials of a search", low=1, high=100_000),
    "seeds": Rule("budget.seeds", int, Budget.seeds, "seeds of an experiment: each runs both arms", low=1, high=1000),
    "wall_hours": Rule("budget.wall_hours", float, None, "hours that a study's sessions may take in all", low=0.001, high=10_000),
    "total_epochs": Rule("budget.total_epochs", int, None, "epochs of all trials together beyond which none starts", low=1, high=10**9),
    "target": Rule("budget.target", float, None, "value of the objective at which a search ends", low=-1e6, high=1e6),
    "no_improvement": Rule("budget.no_improvement", int, None, "trials in a row without a better value after which a search ends",
                           low=1, high=100_000),
    **{name.split(".")[1]: dataclasses.replace(RULES[key], key=name, default=None) for key, name in BUDGET_KEYS.items()},
}
STOPPING_RULES = {
    "patience": Rule("early_stopping.patience", int, EarlyStopping.patience, "epochs without a better objective before a trial stops",
                     low=1, high=100_000),
    "min_delta": Rule("early_stopping.min_delta", float, EarlyStopping.min_delta, "gain of the objective that counts as better",
                      low=0, high=1e6),
}
SEARCH_RULES = {
    "sampler": Rule("search.sampler", str, SearchSettings.sampler, "who proposes trials", choices=SAMPLERS),
    "pruner": Rule("search.pruner", str, SearchSettings.pruner, "who gives trials up", choices=PRUNERS),
    "warmup": Rule("search.warmup", int, SearchSettings.warmup, "epochs before which no trial is given up", low=1, high=100_000),
    "duplicates": Rule("search.duplicates", str, SearchSettings.duplicates,
                       "skip: a configuration is run once; repeat: again with another seed", choices=("skip", "repeat")),
}
VERDICT_RULES = {
    "primary": Rule("verdict.primary", str, VerdictSettings.primary, "the metric that the verdict is given on", choices=VERDICT_METRICS),
    "seeds": Rule("verdict.seeds", int, VerdictSettings.seeds, "seeds of the judgement at the end of a search; 0: none", low=0, high=1000),
    "top": Rule("verdict.top", int, VerdictSettings.top, "configurations that are confirmed before one is chosen", low=1, high=1000),
}
MARGIN = Rule("verdict.margins", float, None, "difference within which two arms are practically equal, in the metric's unit", 0, 1e6)
AMOUNT = Rule("constraints", float, None, "a limit, or how far a metric may lie from OFF's, in its unit", low=-1e6, high=1e6)
