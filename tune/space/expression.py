"""Derived values: a configuration key computed from others, such as `head.width: 2 * head.dim`.

An expression is arithmetic: + - * / // % **, parentheses, min, max, round, numbers and
configuration keys. It is parsed, never run as Python.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ganhtr.config import RULES

MAX_LENGTH, MAX_DEPTH = 200, 20
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    # With floats a huge power overflows; integers would take all memory.
    ast.Pow: lambda base, exponent: float(base) ** exponent,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "round": round}
# Allowed numbers of arguments. A second one of round, such as -10**9, could take hours.
_ARGUMENTS = {"min": range(2, 20), "max": range(2, 20), "round": range(1, 2)}


class ExpressionError(ValueError):
    """An expression that cannot be parsed or computed."""


@dataclass(frozen=True)
class Derived:
    """An expression over configuration keys; `keys` are those that it uses."""

    text: str
    keys: tuple[str, ...]

    @property
    def canonical(self) -> str:
        """The expression without superfluous blanks and parentheses."""
        return ast.unparse(_parsed(self.text))

    def value(self, values: Mapping[str, Any]) -> float:
        """Compute the expression. Raises: ExpressionError, also for a division by zero."""
        try:
            result = _evaluate(_parsed(self.text), values)
            finite = not isinstance(result, complex) and math.isfinite(result)
        except ExpressionError:
            raise
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ExpressionError(f"cannot be computed ({error})") from error
        if not finite:
            raise ExpressionError(f"the result {result} is not a number")
        return result


def parse_expression(text: Any) -> Derived:
    """Parse a text or a plain number. Raises: ExpressionError."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ExpressionError("an expression must be text")
    text = str(text)
    keys: dict[str, None] = {}
    _walk(_parsed(text), keys, 0)
    return Derived(text, tuple(keys))


@lru_cache(maxsize=256)
def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression has more than {MAX_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of "1if 2else 3"
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError("not an arithmetic expression") from error


def _key(node: ast.expr) -> str | None:
    """Return the dotted name of a node; None for another node."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def _walk(node: ast.expr, keys: dict[str, None], depth: int) -> None:
    """Collect the keys. Raises: ExpressionError for anything but arithmetic."""
    if depth > MAX_DEPTH:
        raise ExpressionError(f"the expression is nested more than {MAX_DEPTH} levels deep")
    if (key := _key(node)) is not None:
        keys[key] = None
    elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        _walk(node.left, keys, depth + 1)
        _walk(node.right, keys, depth + 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        _walk(node.operand, keys, depth + 1)
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and not node.keywords
    ):
        if len(node.args) not in _ARGUMENTS[node.func.id]:
            raise ExpressionError(f"{node.func.id} cannot have {len(node.args)} arguments")
        for argument in node.args:
            _walk(argument, keys, depth + 1)
    elif not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
        raise ExpressionError(
            "only numbers, keys, + - * / // % **, min, max and round are allowed, not "
            + ast.unparse(node)
        )


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if (key := _key(node)) is not None:
        value = values[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ExpressionError(f"{key} is {value!r}, which is not a number")
        return value
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_evaluate(node.left, values), _evaluate(node.right, values))
    if isinstance(node, ast.UnaryOp):
        operand = _evaluate(node.operand, values)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.Call):
        arguments = [_evaluate(argument, values) for argument in node.args]
        return _FUNCTIONS[node.func.id](*arguments)  # type: ignore[attr-defined]
    return node.value  # type: ignore[attr-defined]


def derived_values(derived: Mapping[str, Derived], values: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the derived values from the values of all configuration keys.

    An expression may use those before it in `derived`.

    Raises: ExpressionError if one cannot be computed, or its key cannot have the result.
    """
    results: dict[str, Any] = {}
    for key, expression in derived.items():
        rule = RULES[key]
        try:
            number = expression.value({**values, **results})
        except ExpressionError as error:
            raise ExpressionError(f"{key} = {expression.text}: {error}") from error
        if rule.type is int and number == int(number):
            number = int(number)
        if fault := rule.fault(number):
            fix = ""
            if rule.type is int and isinstance(number, float):
                fix = ". Write round(...) around it"
            raise ExpressionError(f"{fault} from {expression.text}{fix}")
        results[key] = rule.type(number)
    return results
