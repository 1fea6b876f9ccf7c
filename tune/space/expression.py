"""Derived values: a configuration key computed from others, such as `head.width: 2 * head.dim`.

An expression is arithmetic and nothing else: + - * / // % **, parentheses, min, max, round, numerals and configuration keys. It is parsed,
never run as Python.
"""

from __future__ import annotations

import ast
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
    ast.Pow: lambda base, exponent: float(base) ** exponent,
}  # whole numbers would grow without end
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "round": round}
_ARGUMENTS = {
    "min": range(2, 20),
    "max": range(2, 20),
    "round": range(1, 2),
}  # round(7, -10**9) would count for hours


class ExpressionError(ValueError):
    """Why an expression will not do."""


@dataclass(frozen=True)
class Derived:
    """An expression over configuration keys; `keys` are those it names."""

    text: str
    keys: tuple[str, ...]

    @property
    def canonical(self) -> str:
        """The same for expressions that differ in blanks and needless parentheses alone."""
        return ast.unparse(_parsed(self.text))

    def value(self, values: Mapping[str, Any]) -> float:
        """The number it gives. Raises: ExpressionError, for a division by zero too."""
        try:
            found = _evaluate(_parsed(self.text), values)
            if isinstance(found, complex) or found != found or abs(found) == float("inf"):
                raise ExpressionError(f"it gives {found}, which is no number")
            return found
        except ExpressionError:
            raise
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ExpressionError(f"it cannot be computed ({error})") from error


def parse_expression(text: Any) -> Derived:
    """The expression in a text or a plain number. Raises: ExpressionError."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ExpressionError("it is no text")
    text = str(text)
    keys: dict[str, None] = {}
    _walk(_parsed(text), keys, 0)
    return Derived(text, tuple(keys))


@lru_cache(maxsize=256)
def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it has more than {MAX_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own opinion of "1if 2else 3"
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError("it is no arithmetic expression") from error


def _key(node: ast.expr) -> str | None:
    """The dotted name of a node, or None."""
    return (
        f"{node.value.id}.{node.attr}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        else None
    )


def _walk(node: ast.expr, keys: dict[str, None], depth: int) -> None:
    """Collects the keys. Raises: ExpressionError for what is no arithmetic."""
    if depth > MAX_DEPTH:
        raise ExpressionError(f"it is nested more than {MAX_DEPTH} deep")
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
            raise ExpressionError(f"{node.func.id} may not have {len(node.args)} arguments")
        for argument in node.args:
            _walk(argument, keys, depth + 1)
    elif not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
        raise ExpressionError(
            f"it may hold numbers, keys, + - * / // % **, min, max and round alone, not {ast.unparse(node)}"
        )


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if (key := _key(node)) is not None:
        held = values[key]
        if isinstance(held, bool) or not isinstance(held, (int, float)):
            raise ExpressionError(f"{key} is {held!r}, which is no number")
        return held
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_evaluate(node.left, values), _evaluate(node.right, values))
    if isinstance(node, ast.UnaryOp):
        operand = _evaluate(node.operand, values)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.Call):
        return _FUNCTIONS[node.func.id](*(_evaluate(argument, values) for argument in node.args))  # type: ignore[attr-defined]
    return node.value  # type: ignore[attr-defined]


def derived_values(derived: Mapping[str, Derived], values: Mapping[str, Any]) -> dict[str, Any]:
    """What is derived from the values of all configuration keys; in the order of `derived` one may use another.

    Raises: ExpressionError where one cannot be computed, or is nothing that its key takes.
    """
    found: dict[str, Any] = {}
    for key, expression in derived.items():
        number = expression.value({**values, **found})
        if RULES[key].type is int and number == int(number):
            number = int(number)
        if fault := RULES[key].fault(number):
            hint = (
                ". Write round(...) around it"
                if RULES[key].type is int and isinstance(number, float)
                else ""
            )
            raise ExpressionError(f"derived: {fault} from {expression.text}{hint}")
        found[key] = RULES[key].type(number)
    return found
