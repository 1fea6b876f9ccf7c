"""search_spaces/README.md is complete: its tables are those of the rules, its example loads.

`python tests/tune/space/test_spaces_readme.py` writes the tables anew.
"""

import dataclasses
import re
from pathlib import Path

import pytest

from ganhtr.config import RULES, build_config
from tune.metric import BY_KEY
from tune.space.constraint import CONSTRAINT_RULES, Constraint
from tune.space.load import load_space
from tune.space.read_parameters import OPTIONS
from tune.space.settings import (
    FIXABLE,
    MARGIN,
    SEARCHABLE,
    SETTING_RULES,
    SETTINGS,
    TOP_LEVEL,
    VerdictSettings,
)

FOLDER = Path(__file__).resolve().parents[3] / "search_spaces"
README = FOLDER / "README.md"


def table_of(columns, rows):
    """A Markdown table; a bar in a cell is escaped."""
    cells = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in cells
    )


def default_of(value):
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value in (None, "") else f"{value:g}" if isinstance(value, float) else value


def top_level():
    notes = {"value": "value", "list": "list", "section": "mapping"}
    return table_of(
        ["key", "kind", "needs a search", "meaning"],
        [
            [f"`{name}`", notes[key.kind], "yes" if key.search_only else "", key.doc]
            for name, key in TOP_LEVEL.items()
        ],
    )


def settings():
    rows = [
        [f"`{rule.key}`", rule.words(), default_of(rule.default), rule.doc]
        for rules in SETTING_RULES.values()
        for rule in rules.values()
    ]
    margins = ", ".join(f"{key} {value:g}" for key, value in VerdictSettings().margins.items())
    rows.append([f"`{MARGIN.key}`", f"mapping of metrics to {MARGIN.words()}", margins, MARGIN.doc])
    return table_of(["setting", "value", "default", "meaning"], rows)


def constraints():
    rows = [
        [f"`psnr: {{{rule}: 0.5}}`", str(Constraint("psnr", rule, 0.5))]
        for rule in CONSTRAINT_RULES
    ]
    return table_of(["constraint", "to win, a trial must have"], rows)


def options():
    return table_of(["option", "value"], [[f"`{name}`", doc] for name, doc in OPTIONS.items()])


def configuration():
    tiny = build_config("tiny").flat()
    rows = [
        [
            f"`{key}`",
            "" if key in SEARCHABLE else "fixed",
            rule.words(),
            default_of(tiny[key]),
            rule.doc,
        ]
        for key, rule in FIXABLE.items()
    ]
    return table_of(["key", "where", "value", "default", "meaning"], rows)


TABLES = {
    "top-level": top_level,
    "settings": settings,
    "constraints": constraints,
    "options": options,
    "configuration": configuration,
}
MARKED = re.compile(r"<!-- table: ([\w-]+) -->\n(\n\|(?:.*\n)*?(?=\n|\Z))?")


def with_tables(text):
    """The text with each marked table replaced by that of the rules."""
    return MARKED.sub(lambda mark: f"{mark[0].splitlines()[0]}\n\n{TABLES[mark[1]]()}\n", text)


def test_the_tables_are_those_of_the_rules():
    text = README.read_text(encoding="utf-8")
    assert set(TABLES) == {mark[1] for mark in MARKED.finditer(text)}
    assert text == with_tables(text), f"run python {Path(__file__).relative_to(FOLDER.parent)}"


@pytest.mark.parametrize(
    "rule", [rule for rules in SETTING_RULES.values() for rule in rules.values()], ids=str
)
def test_every_default_follows_its_own_rule(rule):
    assert rule.doc and (rule.default is None or rule.fault(rule.default) is None)


def test_every_setting_and_metric_has_a_rule_or_a_margin():
    for section, settings_type in SETTINGS.items():
        names = {field.name for field in dataclasses.fields(settings_type)} - {"margins"}
        assert names == set(SETTING_RULES[section])
    assert set(VerdictSettings().margins) == set(BY_KEY)
    assert set(SEARCHABLE) < set(FIXABLE) < set(RULES)


def test_the_example_loads(tmp_path):
    example = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.S)[1]
    (tmp_path / "mine.yaml").write_text(example, encoding="utf-8")
    space = load_space(tmp_path / "mine.yaml")
    assert len(space.parameters) == 8 and set(TOP_LEVEL) - {"extends", "preset"} == set(
        re.findall(r"^(\w+):", example, re.M)
    )


def test_every_shipped_space_is_listed():
    listed = re.findall(r"^\| \[`(\w+)`\]", README.read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == sorted(path.stem for path in FOLDER.glob("*.yaml"))


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
