"""A space as a tree of lines: each parameter under the values of the ancestor that activate it, and below it the rules of the space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune.space.parameter import Parameter, condition_in_words
from tune.space.settings import described as constraint_in_words
from tune.space.space import Space


def parameter_in_words(parameter: Parameter) -> str:
    """The values of one parameter."""
    if parameter.choices:
        words = "one of " + ", ".join(map(str, parameter.choices))
    else:
        words = f"{parameter.kind} {parameter.low:g} to {parameter.high:g}" + (
            ", log" if parameter.log else ""
        )
        words += f", step {parameter.step:g}" if parameter.step is not None else ""
    return words + (f", default {parameter.default}" if parameter.default is not None else "")


def values_in_line(values: Mapping[str, Any]) -> str:
    """Values in one line."""
    return "  ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in values.items()
    )


def space_tree(space: Space) -> list[str]:
    """The lines of the tree. A parameter with several ancestors hangs under the last of them, and names the others."""
    return _branch(space, None, "  ") + [f"  {line}" for line in rule_lines(space)]


def _branch(space: Space, stem: str | None, indent: str) -> list[str]:
    """The lines of the parameters under `stem`, which is a key, or None for those that are always active."""
    order = [parameter.key for parameter in space.parameters]
    twigs = [
        parameter
        for parameter in space.parameters
        if max(parameter.when, key=order.index, default=None) == stem
    ]
    lines = []
    for parameter in twigs:
        last = parameter is twigs[-1]
        conditions = [
            f"{'' if key == stem else key + ' '}{condition_in_words(allowed)}"
            for key, allowed in parameter.when.items()
        ]
        when = f"[{' and '.join(conditions)}] " if conditions else ""
        lines.append(
            f"{indent}{'└─' if last else '├─'} {when}{parameter.key}: {parameter_in_words(parameter)}"
        )
        lines += _branch(space, parameter.key, indent + ("   " if last else "│  "))
    return lines


def rule_lines(space: Space) -> list[str]:
    """What else the space says, a line each: derived values, forbidden combinations, first points, how it is searched, ended and judged."""
    lines = [f"derived    {key} = {expression.text}" for key, expression in space.derived.items()]
    lines += [
        "forbidden  "
        + " with ".join(f"{key} {condition_in_words(allowed)}" for key, allowed in clause.items())
        for clause in space.forbidden
    ]
    lines += [f"first      {name}: {values_in_line(point)}" for name, point in space.first.items()]
    lines += [f"constraint {constraint_in_words(each)}" for each in space.constraints]
    return [*lines, *([] if space.experiment else _search_lines(space)), _verdict_line(space)]


def _search_lines(space: Space) -> list[str]:
    search, budget = space.search, space.budget
    pruner = (
        "no pruner"
        if search.pruner == "none"
        else f"pruner {search.pruner} from epoch {search.warmup}"
    )
    again = {"skip": "not run again", "repeat": "run again with another seed"}[search.duplicates]
    ends = {
        "after {:g} hours": budget.wall_hours,
        "after {} epochs in all": budget.total_epochs,
        f"at {space.objective} {{:g}}": budget.target,
        "after {} trials without a better one": budget.no_improvement,
    }
    early = " or ".join(words.format(value) for words, value in ends.items() if value is not None)
    return [
        f"search     sampler {search.sampler}, {pruner}; a configuration that was run is {again}",
        *([f"budget     ends early {early}"] if early else []),
    ]


def _verdict_line(space: Space) -> str:
    verdict, seeds = space.verdict, space.budget.seeds if space.experiment else space.verdict.seeds
    if not seeds:
        return "verdict    none"
    chosen = "" if space.experiment else f", of one chosen among the best {verdict.top}"
    return f"verdict    on {verdict.primary}, equal within ±{verdict.margins[verdict.primary]:g}; {seeds} seeds{chosen}"
