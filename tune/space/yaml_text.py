"""YAML text as plain values with line numbers and faults.

Scalars follow YAML 1.2: `1e-3` is a number, only `true` and `false` are booleans (`yes`, `no`,
`on` and `off` are text) and `1:30` is text. Nodes are composed, objects are never constructed.
Tags, anchors and aliases are refused: a space needs none, and no file can grow when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tune.space.source import KeyPath, Source, SpaceError

MAX_BYTES = 1_000_000
MAX_DEPTH = 16


class _Composer(yaml.SafeLoader):
    """A composer with the scalars of YAML 1.2; it notes tags, anchors and aliases as refusals."""

    yaml_implicit_resolvers: ClassVar[dict] = {}  # none of YAML 1.1
    ALIAS = "alias"

    def __init__(self, text: str):
        super().__init__(text)
        self.refusals: list[tuple[int, str, str]] = []
        self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        """Return a node, and note aliases, anchors and tags. Raises: ComposerError if too deep."""
        event = self.peek_event()
        line = event.start_mark.line + 1
        if self.check_event(yaml.AliasEvent):
            self.get_event()
            self.refusals.append((line, f"the alias *{event.anchor}", "Write the value out."))
            return yaml.ScalarNode(self.ALIAS, "", event.start_mark, event.end_mark)
        if event.anchor is not None:
            self.refusals.append(
                (line, f"the anchor &{event.anchor}", "Remove it and write the value out.")
            )
            event.anchor = None
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.refusals.append((line, f"the tag {tag}", "Remove the tag."))
            event.tag = None
            event.implicit = (getattr(event, "style", "") is None, True)
        if self.depth == MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, f"values nested more than {MAX_DEPTH} levels deep", event.start_mark
            )
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_FLOAT = (
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    # Longer ones are read as floats: int() refuses thousands of digits.
    ("int", r"[-+]?[0-9]{1,30}", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
):
    _Composer.add_implicit_resolver(_name, re.compile(rf"(?:{_pattern})\Z"), _first)

_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
}


def read_yaml(path: str | Path) -> Source:
    """Return the values of a YAML file.

    Duplicate keys, tags, anchors and aliases are noted as faults in the source.

    Raises: SpaceError if the file cannot be read or is not YAML.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpaceError(
            [f"{path}: the file cannot be read ({error.strerror}). Check the path."]
        ) from error
    if len(data) > MAX_BYTES:
        raise SpaceError(
            [f"{path}: the file has more than {MAX_BYTES} bytes. Is it a search space?"]
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, byte = data[: error.start].count(b"\n") + 1, data[error.start]
        raise SpaceError(
            [f"{path}:{line}: the byte 0x{byte:02x} is not UTF-8. Save the file as UTF-8."]
        ) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Source:
    """Return the values of YAML text, as `read_yaml`; `file` is the name used in faults."""
    source = Source(file)
    try:
        composer = _Composer(text)
        node = composer.get_single_node()
    except yaml.YAMLError as error:
        line, problem = _syntax_error(error, text)
        source.fault(
            (), f"not valid YAML: {problem}. Check brackets, colons and indentation.", line
        )
        source.check()
    for line, refusal, fix in composer.refusals:
        source.fault((), f"{refusal} is not allowed. {fix}", line)
    source.lines[()] = 1
    source.value = None if node is None else _plain(source, node, ())
    return source


def _syntax_error(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Return the line and the problem of a syntax error."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", "unreadable text"))
    if mark:
        return mark.line + 1, problem
    return text[: getattr(error, "position", 0)].count("\n") + 1, problem


def _plain(source: Source, node: yaml.Node, path: KeyPath) -> Any:
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            source.lines[(*path, index)] = item.start_mark.line + 1
            items.append(_plain(source, item, (*path, index)))
        return items
    if isinstance(node, yaml.MappingNode):
        return _mapping(source, node, path)
    if node.tag == _Composer.ALIAS:
        source.refused.add(path)
        return None
    return _SCALARS.get(node.tag, str)(node.value)


def _mapping(source: Source, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
    """Return a mapping. Keys are always text. Of a repeated key the first counts."""
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _Composer.ALIAS:
            source.fault(path, "a list, a mapping or an alias cannot be a key. Write text.", line)
            continue
        inner = (*path, key_node.value)
        if key_node.value in values:
            first = source.lines[inner]
            source.fault(inner, f"the key is already on line {first}. Remove one.", line)
            continue
        source.lines[inner] = line
        values[key_node.value] = _plain(source, value_node, inner)
    return values
