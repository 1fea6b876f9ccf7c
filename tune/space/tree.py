"""A space as text: a tree of its parameters, and the rules of the space below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune.space.parameter import Parameter, condition_in_words
from tune.space.space import Space


def parameter_in_words(parameter: Parameter) -> str:
    """Return the values of a parameter in words."""
    if parameter.choices:
        words = "one of " + ", ".join(map(str, parameter.choices))
    else:
        words = f"{parameter.kind} {parameter.low:g} to {parameter.high:g}"
        words += ", log" if parameter.log else ""
        words += f", step {parameter.step:g}" if parameter.step is not None else ""
    return words + (f", default {parameter.default}" if parameter.default is not None else "")


def values_in_line(values: Mapping[str, Any]) -> str:
    """Return values in one line."""
    return "  ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in values.items()
    )


def space_tree(space: Space) -> list[str]:
    """Return the lines of the tree and of the rules.

    A parameter with several ancestors is below the last of them, and names the others.
    """
    return _branch(space, None, "  ") + [f"  {line}" for line in rule_lines(space)]


def _branch(space: Space, ancestor: str | None, indent: str) -> list[str]:
    """Return the lines of the parameters below `ancestor`; None: those that are always active."""
    order = [parameter.key for parameter in space.parameters]
    children = [
        parameter
        for parameter in space.parameters
        if max(parameter.when, key=order.index, default=None) == ancestor
    ]
    lines = []
    for parameter in children:
        last = parameter is children[-1]
        conditions = [
            f"{'' if key == ancestor else key + ' '}{condition_in_words(allowed)}"
            for key, allowed in parameter.when.items()
        ]
        when = f"[{' and '.join(conditions)}] " if conditions else ""
        corner, below = ("└─", "   ") if last else ("├─", "│  ")
        lines.append(f"{indent}{corner} {when}{parameter.key}: {parameter_in_words(parameter)}")
        lines += _branch(space, parameter.key, indent + below)
    return lines


def rule_lines(space: Space) -> list[str]:
    """Return one line for each further rule of the space, and for how it is searched and judged."""
    lines = [f"derived    {key} = {expression.text}" for key, expression in space.derived.items()]
    for clause in space.forbidden:
        conditions = [f"{key} {condition_in_words(allowed)}" for key, allowed in clause.items()]
        lines.append("forbidden  " + " with ".join(conditions))
    lines += [f"first      {name}: {values_in_line(point)}" for name, point in space.first.items()]
    lines += [f"constraint {constraint}" for constraint in space.constraints]
    if not space.experiment:
        lines += _search_lines(space)
    return [*lines, _verdict_line(space)]


def _search_lines(space: Space) -> list[str]:
    search, budget = space.search, space.budget
    pruned = search.pruner != "none"
    pruner = f"pruner {search.pruner} from epoch {search.warmup}" if pruned else "no pruner"
    duplicates = {
        "skip": "no configuration runs twice",
        "repeat": "a configuration may run again with another seed",
    }[search.duplicates]
    lines = [f"search     sampler {search.sampler}, {pruner}; {duplicates}"]
    ends = {
        "after {:g} hours": budget.wall_hours,
        "after {} epochs in total": budget.total_epochs,
        f"at {space.objective} {{:g}}": budget.target,
        "after {} trials without a better one": budget.no_improvement,
    }
    early = " or ".join(words.format(value) for words, value in ends.items() if value is not None)
    return [*lines, f"budget     ends early {early}"] if early else lines


def _verdict_line(space: Space) -> str:
    verdict = space.verdict
    seeds = space.budget.seeds if space.experiment else verdict.seeds
    if not seeds:
        return "verdict    none"
    margin = f"practically equal within ±{verdict.margins[space.primary]:g}"
    chosen = "" if space.experiment else f" for one of the best {verdict.top} configurations"
    matched = "; OFF trains as long as ON, in seconds" if space.budget.match == "seconds" else ""
    return f"verdict    on {space.primary}, {margin}; {seeds} seeds{chosen}{matched}"
