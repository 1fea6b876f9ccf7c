"""A space as a tree of lines: each parameter under the values of the ancestor that activate it, and below it the rules of the space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune.constraints import described as constraint_in_words
from tune.parameter import Parameter
from tune.space import Space
from tune.value_range import condition_in_words


def parameter_in_words(parameter: Parameter) -> str:
    """The values of one parameter."""
    if parameter.choices:
        words = "one of " + ", ".join(map(str, parameter.choices))
    else:
        words = f"{parameter.kind} {parameter.low:g} to {parameter.high:g}" + (", log" if parameter.log else "")
        words += f", step {parameter.step:g}" if parameter.step is not None else ""
    return words + (f", default {parameter.default}" if parameter.default is not None else "")


def values_in_line(values: Mapping[str, Any]) -> str:
    """Values in one line."""
    return "  ".join(f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items())


def space_tree(space: Space) -> list[str]:
    """The lines of the tree. A parameter with several ancestors hangs under the last of them, and names the others."""
    order = [parameter.key for parameter in space.parameters]

    def parent(parameter: Parameter) -> str | None:
        return max(parameter.when, key=order.index) if parameter.when else None

    def branch(of: str | None, indent: str) -> list[str]:
        children = [parameter for parameter in space.parameters if parent(parameter) == of]
        lines = []
        for number, parameter in enumerate(children):
            last = number == len(children) - 1
            conditions = [f"{'' if key == of else key + ' '}{condition_in_words(allowed)}" for key, allowed in parameter.when.items()]
            when = f"[{' and '.join(conditions)}] " if conditions else ""
            lines.append(f"{indent}{'└─' if last else '├─'} {when}{parameter.key}: {parameter_in_words(parameter)}")
            lines += branch(parameter.key, indent + ("   " if last else "│  "))
        return lines

    return branch(None, "  ") + [f"  {line}" for line in rule_lines(space)]


def rule_lines(space: Space) -> Sequence[str]:
    """What else the space says, a line each: derived values, forbidden combinations, first points, how it is searched, ended and judged."""
    lines = [f"derived    {key} = {expression.text}" for key, expression in space.derived.items()]
    lines += ["forbidden  " + " with ".join(f"{key} {condition_in_words(allowed)}" for key, allowed in clause.items())
              for clause in space.forbidden]
    lines += [f"first      {name}: {values_in_line(point)}" for name, point in space.first.items()]
    lines += [f"constraint {constraint_in_words(each)}" for each in space.constraints]
    search, verdict, budget = space.search, space.verdict, space.budget
    pruner = "no pruner" if search.pruner == "none" else f"pruner {search.pruner} from epoch {search.warmup}"
    lines.append(f"search     sampler {search.sampler}, {pruner}; a configuration that was run before: {search.duplicates}")
    ends = {"hours": budget.wall_hours, "epochs in all": budget.total_epochs, f"{space.objective} reached": budget.target,
            "trials without improvement": budget.no_improvement}
    told = [f"{value:g} {name}" for name, value in ends.items() if value is not None]
    lines += [f"ends       at {' or '.join(told)}"] if told else []
    lines.append("verdict    none" if not verdict.seeds else
                 f"verdict    on {verdict.primary} (equal within ±{verdict.margins[verdict.primary]:g}), {verdict.seeds} seeds, one of the "
                 f"best {verdict.top} chosen")
    return lines
