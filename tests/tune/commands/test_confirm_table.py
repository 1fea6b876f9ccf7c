"""`confirm.py --from`: the choice of the primary metric, and an ASCII terminal."""

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


def test_a_chosen_primary_metric_must_be_in_the_table(table):
    assert "CER guide (primary)" in judged(table, None, None) == judged(table, None, "cer")
    for name in ("psnr", "fid"):
        with pytest.raises(
            ValueError, match=f"no lines of the primary metric {name}; its metrics are cer"
        ):
            judged(table, None, name)


def test_the_primary_metric_that_a_space_names_must_be_there(table, tmp_path):
    space = tmp_path / "mine.yaml"
    space.write_text("verdict: {primary: ssim}")
    with pytest.raises(
        ValueError, match="no lines of the primary metric ssim; its metrics are cer"
    ):
        judged(table, space, None)
    assert judged(table, space, "cer")


@pytest.mark.parametrize(
    ("metrics", "primary"), [("psnr score", "score"), ("psnr wer", "PSNR"), ("cer", "CER guide")]
)
def test_without_a_name_it_is_that_of_the_objective_or_psnr(metrics, primary, tmp_path):
    space = Path(__file__).parents[3] / "search_spaces/contrastive.yaml"
    rows = [row for name in metrics.split() for row in runs({"on": 1.0}, name, start=30)]
    write_line_values(tmp_path / "lines.csv", rows)
    for name in (space, None):
        text = judged(tmp_path / "lines.csv", name, None)
        (row,) = [line for line in text.splitlines() if "(primary)" in line and "|" in line]
        assert primary in row


def test_an_ascii_terminal_gets_the_report(table, monkeypatch):
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="ascii"))
    confirm(lines=table)
    sys.stdout.flush()
    assert b"gr??er: helps" in output.getvalue()
