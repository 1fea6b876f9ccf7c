"""The verdict: for each metric a word that the runs carry, and how sure it is.

helps, hurts          the 95 % interval of the difference excludes 0 after Holm's correction, and does not lie within the margin
practically equal     the interval lies within the margin on both sides of 0
cannot tell           neither; with the number of seeds that would show a difference of the size of the margin (or the one seen, if larger)
no verdict            fewer than 3 seeds that both arms finished

The primary metric is one test for each judged arm, corrected for the number of arms (Holm 1979); all other metrics of all arms are secondary
and corrected among themselves. Intervals are shown as they are. An arm that diverges more often than OFF does not help, whatever its figures.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tune.crossed_difference import Crossed, corpus, crossed_difference, seeds_needed
from tune.line_bootstrap import bootstrap_interval
from tune.line_values import OFF, MetricTable
from tune.paired_difference import METRICS, Metric
from tune.report_table import table
from tune.space_settings import VerdictSettings

HELPS, HURTS, EQUAL, UNKNOWN, NONE = "helps", "hurts", "practically equal", "cannot tell", "no verdict"
ENOUGH, FIRM = 3, 5  # seeds from which on there is a verdict, and from which on it is no longer called provisional
LEVEL = 0.05
TITLES: dict[str, Metric] = {metric.key: metric for metric in METRICS}
STANDS_FOR = {"judge_cer": "cer", "judge_wer": "wer"}  # the judge's figure is the verdict's; the guide's where there is no other


@dataclass(frozen=True)
class Judgement:
    """One metric of one arm against OFF. Figures are NaN where fewer than two seeds allow none."""

    arm: str
    metric: str
    primary: bool
    word: str
    reason: str
    seeds: tuple[int, ...]
    diverged: tuple[int, ...]  # seeds of this arm
    diverged_off: tuple[int, ...]
    lines: int
    off: float
    on: float
    change: float
    low: float
    high: float
    df: float
    p: float
    adjusted_p: float
    margin: float
    seed_sd: float
    seed_share: float  # of the variance of the mean that comes from the runs; the rest comes from the lines
    by_seed: tuple[float, ...]
    seeds_needed: int | None
    bootstrap: tuple[float, float] | None

    @property
    def provisional(self) -> bool:
        """Whether so few seeds stand behind the word that more may well change it."""
        return ENOUGH <= len(self.seeds) < FIRM and self.word != NONE


@dataclass(frozen=True)
class Verdict:
    """All judgements, the primary metric's first."""

    primary: str
    judgements: tuple[Judgement, ...]

    def to_plain(self) -> dict[str, Any]:
        """As verdict.json has it."""
        return {"primary": self.primary, "judgements": [dataclasses.asdict(each) for each in self.judgements]}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Verdict:
        """Reads `to_plain` back; null is NaN."""
        def read(held: Mapping[str, Any]) -> Judgement:
            fields = {field.name: held[field.name] for field in dataclasses.fields(Judgement)}
            numbers = ("off", "on", "change", "low", "high", "df", "p", "adjusted_p", "seed_sd", "seed_share")
            tuples = {name: tuple(fields[name]) for name in ("seeds", "diverged", "diverged_off", "by_seed")}
            bootstrap = tuple(fields["bootstrap"]) if fields["bootstrap"] else None
            return Judgement(**{**fields, **tuples, **{name: math.nan for name in numbers if fields[name] is None}, "bootstrap": bootstrap})

        return cls(plain["primary"], tuple(map(read, plain["judgements"])))


def judged_metrics(tables: Mapping[str, MetricTable]) -> list[str]:
    """The metrics of a verdict: those of the table, but a guide's error rate only where the judge's is not there."""
    covered = {STANDS_FOR[metric] for metric in tables if metric in STANDS_FOR}
    return [metric.key for metric in METRICS if metric.key in tables and metric.key not in covered]


def judge(tables: Mapping[str, MetricTable], settings: VerdictSettings) -> Verdict:
    """The verdict on a table. Raises: ValueError where the primary metric is not in it, or there is no arm but OFF."""
    metrics = judged_metrics(tables)
    if settings.primary not in metrics:
        raise ValueError(f"the primary metric must be one of the table's ({', '.join(metrics)}), got {settings.primary}. Name one with "
                         "--primary, or measure it")
    arms = sorted({arm for each in tables.values() for arm in each.runs} - {OFF})
    if not arms:
        raise ValueError("the table must have an arm beside off, got none. Give its rows")
    metrics = [settings.primary, *(metric for metric in metrics if metric != settings.primary)]
    found = {(metric, arm): measured(tables[metric], arm) for metric in metrics for arm in arms if arm in tables[metric].runs}
    adjusted: dict[tuple[str, str], float] = {}
    for family in ([key for key in found if key[0] == settings.primary], [key for key in found if key[0] != settings.primary]):
        adjusted |= dict(zip(family, holm([found[key].p if found[key] else 1.0 for key in family]), strict=True))  # type: ignore[union-attr]
    return Verdict(settings.primary, tuple(
        _judgement(tables[metric], arm, crossed, adjusted[metric, arm], settings) for (metric, arm), crossed in found.items()))


def measured(held: MetricTable, arm: str) -> Crossed | None:
    """The crossed difference of an arm from OFF; None with fewer than two seeds or lines."""
    seeds, off, own = held.pairs(arm)
    return crossed_difference(own - off, held.weights) if len(seeds) >= 2 and len(held.lines) >= 2 else None


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    order, adjusted, highest = sorted(range(len(p)), key=lambda i: p[i]), [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = highest
    return adjusted


def _judgement(held: MetricTable, arm: str, crossed: Crossed | None, adjusted: float, settings: VerdictSettings) -> Judgement:
    seeds, off, own = held.pairs(arm)
    margin = settings.margins.get(held.metric, 0.0)
    diverged, diverged_off = held.diverged(arm), held.diverged(OFF)
    word, reason = _word(TITLES[held.metric], crossed, adjusted, margin, (len(diverged), len(held.runs[arm])),
                         (len(diverged_off), len(held.runs[OFF])), len(seeds))
    means = [float(corpus(side, held.weights).mean()) if len(seeds) else math.nan for side in (off, own)]
    figures = dict.fromkeys(("low", "high", "df", "p", "seed_sd", "seed_share"), math.nan)
    if crossed is not None:
        variance = crossed.seed_variance + crossed.line_variance
        figures = {"low": crossed.low, "high": crossed.high, "df": crossed.df, "p": crossed.p, "seed_sd": crossed.seed_sd,
                   "seed_share": crossed.seed_variance / variance if variance else math.nan}
    return Judgement(
        arm=arm, metric=held.metric, primary=held.metric == settings.primary, word=word, reason=reason, seeds=tuple(seeds),
        diverged=tuple(diverged), diverged_off=tuple(diverged_off), lines=len(held.lines), off=means[0], on=means[1],
        change=means[1] - means[0], adjusted_p=adjusted if crossed else math.nan, margin=margin, by_seed=crossed.by_seed if crossed else (),
        seeds_needed=seeds_needed(max(margin, abs(crossed.mean)), crossed) if crossed and word == UNKNOWN else None,
        bootstrap=bootstrap_interval(own - off, held.weights) if crossed else None, **figures)


def _word(metric: Metric, crossed: Crossed | None, adjusted: float, margin: float, on: tuple[int, int], off: tuple[int, int],
          seeds: int) -> tuple[str, str]:
    """The word and why. on, off: how many runs of each arm diverged, of how many."""
    if crossed is None or seeds < ENOUGH:
        return NONE, f"{seeds} seeds that both arms finished, and {ENOUGH} are the least"
    if -margin <= crossed.low and crossed.high <= margin:
        apart = f", though {'better' if (crossed.mean > 0) == metric.higher_is_better else 'worse'}" if adjusted < LEVEL else ""
        return EQUAL, f"the interval lies within ±{margin:g}{metric.unit}{apart}"
    if adjusted >= LEVEL:
        return UNKNOWN, "the interval contains 0" if crossed.low <= 0 <= crossed.high else f"p is {adjusted:.3f} after Holm's correction"
    if (crossed.mean > 0) != metric.higher_is_better:
        return HURTS, "the interval excludes 0"
    if on[0] * off[1] > off[0] * on[1]:
        return UNKNOWN, f"it diverged in {on[0]} of {on[1]} runs, OFF in {off[0]} of {off[1]}"
    return HELPS, "the interval excludes 0"


def sentence(held: Judgement) -> str:
    """One judgement for a reader."""
    metric = TITLES[held.metric]
    if held.word == NONE:
        return f"{metric.name}: no verdict on {held.arm} ({held.reason})."
    amount = f"{metric.signed(held.change)}{metric.unit}, 95 % interval {metric.signed(held.low)} to {metric.signed(held.high)}"
    tail = ""
    if held.word == UNKNOWN and "diverged" not in held.reason:
        size = f"a difference of {metric.plain(max(held.margin, abs(held.change)))}{metric.unit}"
        tail = (f" About {held.seeds_needed} seeds would show {size} with 80 % power." if held.seeds_needed else
                f" No number of seeds would show {size} on these {held.lines} lines: more lines are needed.")
    name = "ON" if held.arm == "on" else held.arm
    return (f"{metric.name}: {name} {held.word}{' (provisional)' if held.provisional else ''} ({amount}, {len(held.seeds)} seeds x "
            f"{held.lines} lines; {held.reason}).{tail}")


def divergence(verdict: Verdict) -> list[str]:
    """What is said of runs that diverged."""
    primary = [held for held in verdict.judgements if held.primary]
    off = primary[0].diverged_off if primary else ()
    lost = [(held.arm, held.diverged) for held in primary] + [("OFF", off)]
    return [f"{arm} diverged with seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}: such a seed is counted here and in no mean."
            for arm, seeds in lost if seeds]


def bootstraps(verdict: Verdict) -> list[str]:
    """The bootstrap's intervals, where there are seeds enough for one."""
    said = []
    for held in verdict.judgements:
        if held.bootstrap:
            metric = TITLES[held.metric]
            low, high = map(metric.signed, held.bootstrap)
            said.append(f"{metric.name}, {held.arm}: the bootstrap over whole seeds and whole lines gives {low} to {high}.")
    return said


def verdict_table(verdict: Verdict) -> str:
    """All judgements as a Markdown table."""
    rows = []
    for held in verdict.judgements:
        metric = TITLES[held.metric]
        name = "ON" if held.arm == "on" else held.arm
        figures = ["-"] * 6
        if math.isfinite(held.low):
            figures = [metric.plain(held.off), metric.plain(held.on), metric.signed(held.change),
                       f"{metric.signed(held.low)} to {metric.signed(held.high)}", f"{held.p:.3f}", f"{held.adjusted_p:.3f}"]
        word = held.word + (" (provisional)" if held.provisional else "")
        rows.append([metric.title + (" (primary)" if held.primary else ""), name, word, *figures, f"±{held.margin:g}", str(len(held.seeds)),
                     "-" if math.isnan(held.seed_share) else f"{held.seed_share:.0%}"])
    return table(["metric", "arm", "verdict", "OFF", "arm's mean", "difference", "95 % interval", "p", "p, Holm", "margin", "seeds",
                  "variance by seeds"], rows, words=("metric", "arm", "verdict"))


def report(verdict: Verdict) -> str:
    """The verdict for a terminal: a sentence a metric, the table, what diverged."""
    notes = [*divergence(verdict), *bootstraps(verdict)]
    return "\n".join(["", *(f"- {sentence(held)}" for held in verdict.judgements), "", verdict_table(verdict), "",
                      *(f"- {line}" for line in notes)]).rstrip() + "\n"
