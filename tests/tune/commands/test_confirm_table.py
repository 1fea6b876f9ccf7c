"""`confirm.py --from`: the primary metric that was named, and a terminal that knows ASCII only."""

import io
import sys
from pathlib import Path

import pytest

from tests.tune.verdict.test_judge import runs
from tune.commands.confirm import confirm, judged
from tune.verdict.line_values import write_line_values


@pytest.fixture
def table(tmp_path):
    """A table that has one metric, CER."""
    write_line_values(tmp_path / "lines.csv", runs({"größer": -2.0}, "cer", start=30))
    return tmp_path / "lines.csv"


def test_a_primary_metric_that_was_named_must_be_there_even_where_there_is_but_one(table):
    assert "CER guide (primary)" in judged(table, None, None) == judged(table, None, "cer")
    for name in ("psnr", "fid"):
        with pytest.raises(
            ValueError, match=f"primary metric must be in the table, got {name}, and metrics cer"
        ):
            judged(table, None, name)


def test_the_primary_metric_of_a_space_must_be_there(table):
    space = Path(__file__).parents[3] / "search_spaces/contrastive.yaml"
    with pytest.raises(
        ValueError, match="primary metric must be in the table, got psnr, and metrics cer"
    ):
        judged(table, space, None)
    assert judged(table, space, "cer")


def test_a_terminal_that_knows_ascii_only_gets_the_report(table, monkeypatch):
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="ascii"))
    confirm(lines=table)
    sys.stdout.flush()
    assert b"gr??er: helps" in held.getvalue()
