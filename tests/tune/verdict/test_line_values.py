"""The table of line values: read, checked, written, and set beside OFF."""

import gzip
import math
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tune.metric import BY_KEY
from tune.verdict.judge import mean_difference
from tune.verdict.line_table import LineValue, table_of
from tune.verdict.line_values import read_line_values, write_line_values

HEADER = "arm,seed,line,metric,value,weight\n"
WHOLE = [
    f"{arm},{seed},{line},psnr,{value + seed / 8},1"
    for seed in (0, 1)
    for arm, value in (("off", 20), ("on", 21))
    for line in "ab"
]


@pytest.fixture
def read(tmp_path):
    """read(rows, header): the table of a CSV file of these rows."""

    def table(rows, header=HEADER):
        path = tmp_path / "lines.csv"
        path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
        return read_line_values(path)

    return table


def faults_of(read, rows, header=HEADER):
    with pytest.raises(ValueError) as caught:
        read(rows, header)
    return re.sub(r"^/[^:]*/", "", str(caught.value), flags=re.M).split("\n")


def values(seeds=(0, 1, 2), arms=("off", "on"), lines="abc", metric="cer"):
    return [
        LineValue(
            arm,
            seed,
            line,
            metric,
            round(0.1 * (1 + place) + seed + 10 * arms.index(arm), 3),
            1.0 + place,
        )
        for arm in arms
        for seed in seeds
        for place, line in enumerate(lines)
    ]


def test_what_is_written_is_read_again(tmp_path):
    write_line_values(
        tmp_path / "lines.csv", [*values(), LineValue("on", 3, "", "cer", math.nan, math.nan)]
    )
    table = read_line_values(tmp_path / "lines.csv")
    pair = table.pair("on", "cer")
    assert (
        table.arms == ("on",)
        and table.metrics["cer"].lines == ("a", "b", "c")
        and pair.weights.tolist() == [1, 2, 3]
    )
    assert pair.off.tolist() == [[0.1, 0.2, 0.3], [1.1, 1.2, 1.3], [2.1, 2.2, 2.3]] and pair.on[
        2
    ].tolist() == [12.1, 12.2, 12.3]
    assert (
        pair.runs.seeds,
        pair.runs.on_diverged,
        pair.runs.off_missing,
        pair.runs.off_diverged,
        pair.runs.on_missing,
    ) == (
        (0, 1, 2),
        (3,),
        (3,),
        (),
        (),
    )
    difference = mean_difference(pair, None)
    assert (difference.off, difference.on) == pytest.approx((1 + 1.4 / 6, 11 + 1.4 / 6))


names = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8)


@settings(max_examples=60)
@given(
    st.sets(names, min_size=1, max_size=5),
    st.sets(st.integers(-(10**6), 10**17), min_size=1, max_size=3),
    st.sets(st.sampled_from(sorted(BY_KEY)), min_size=1),
    st.randoms(use_true_random=False),
    st.data(),
)
def test_any_whole_table_comes_back_the_same(tmp_path_factory, lines, seeds, metrics, order, data):
    weights = {line: data.draw(st.floats(1e-3, 1e9)) for line in lines}
    value = {metric: st.floats(BY_KEY[metric].least, BY_KEY[metric].most) for metric in metrics}
    rows = [
        LineValue(arm, seed, line, metric, data.draw(value[metric]), weights[line])
        for arm in ("off", "on 2:x=1")
        for seed in seeds
        for metric in metrics
        for line in lines
    ]
    assume(
        len(seeds) == len({tuple(row.value for row in rows if row.seed == seed) for seed in seeds})
    )
    order.shuffle(rows)
    path = tmp_path_factory.mktemp("table") / "lines.csv"
    write_line_values(path, rows)
    first, second = table_of(rows), read_line_values(path)
    assert list(first.metrics) == list(second.metrics) and first.arms == second.arms
    for metric in metrics:
        one, other = first.metrics[metric], second.metrics[metric]
        assert (
            one.lines == other.lines == tuple(sorted(lines))
            and (one.weights == other.weights).all()
        )
        assert one.runs.keys() == other.runs.keys() and all(
            (one.runs[run] == other.runs[run]).all() for run in one.runs
        )


@given(
    st.binary(max_size=300)
    | st.text(st.sampled_from('of,n0123.-e"\n\r \x00aNinf'), max_size=200).map(str.encode)
)
def test_garbage_is_refused_and_never_crashes(tmp_path_factory, garbage):
    path = tmp_path_factory.getbasetemp() / "garbage.csv"
    for data in (garbage, HEADER.encode() + garbage):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"(?s)garbage\.csv(:\d+)?: .*\. [A-Z]"):
            read_line_values(path)


def test_a_file_that_is_not_there_or_too_large(tmp_path, monkeypatch, read):
    for path, why in (
        (tmp_path / "none.csv", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(ValueError, match=rf"cannot read the file: {why}\. Check the path$"):
            read_line_values(path)
    monkeypatch.setattr("tune.verdict.line_values.MAX_BYTES", 100)
    assert "the file has 0 MB, more than 0." in faults_of(read, WHOLE)[0]
    monkeypatch.setattr("tune.verdict.line_values.MAX_BYTES", 10**6)
    monkeypatch.setattr("tune.verdict.line_values.MAX_ROWS", 7)
    assert "the table has more than 7 rows" in faults_of(read, WHOLE)[0]


def test_columns_may_stand_in_any_order_beside_others(read):
    rows = [",".join([row.split(",")[i] for i in (5, 4, 3, 2, 1, 0)] + ["x"]) for row in WHOLE]
    table = read(rows, "weight,value,metric,line,seed, arm ,note\n")
    assert (
        table.pair("on", "psnr").on.tolist() == [[21, 21], [21.125, 21.125]]
        and "1 other columns" in table.notes[0]
    )
    assert faults_of(read, WHOLE, "arm,seed,line,metric,value,value\n") == [
        "lines.csv:1: the first row must name the columns arm, seed, line, metric, value, weight "
        "once each, got arm, seed, line, metric, value, value. Missing or repeated: value, weight"
    ]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("on,x,a,psnr,1,1", "seed 'x' is not a whole number"),
        ("on,1.5,a,psnr,1,1", "seed '1.5' is not a whole number"),
        ("<b>,2,a,psnr,1,1", "arm '<b>' is not a name of at most 100 letters"),
        (
            "on,2,a,loss,1,1",
            "unknown metric 'loss'. Known: score, psnr, ssim, cer, wer, judge_cer, judge_wer. "
            "Rename it",
        ),
        ("on,2,a,psnr,good,1", "value 'good' is not a number from -1e+06 to 1e+06"),
        ("on,2,a,psnr,inf,1", "value 'inf' is not a number from -1e+06 to 1e+06"),
        ("on,2,a,psnr,1,-1", "weight '-1' is not a number from 0 to 1e+09"),
        ("on,2,a,psnr,1,", "the value has no weight. Use 1"),
        ("on,2,,psnr,1,1", "the value has no line. Name the line"),
        (
            "on,2,a\x1b[2J,psnr,1,1",
            r"line 'a\x1b[2J' has more than 4096 characters or a control character",
        ),
        ("on,2", "row has 2 cells, the header has 6. Fill in every column"),
        (
            "on,2,a,psnr,18,5,1",
            "row has 7 cells, the header has 6. Fill in every column, write decimals with a point",
        ),
        (
            'on,2,a,psnr,"18,5",1',
            "value '18,5' is not a number from -1e+06 to 1e+06. "
            "Write it in digits, with a decimal point",
        ),
        (
            "on,2,a,psnr,1_8,1",
            "value '1_8' is not a number from -1e+06 to 1e+06. Write it in digits",
        ),
        ("on,2,a,psnr,1,1_0", "weight '1_0' is not a number from 0 to 1e+09"),
        (
            "on,2,a,psnr,NA,1",
            "value 'NA' is not a number from -1e+06 to 1e+06. Leave it empty if the run diverged",
        ),
        (
            "on,2,a,psnr,-inf,1",
            "value '-inf' is not a number from -1e+06 to 1e+06. Replace it by a finite value",
        ),
        (
            "on,2,a,psnr,1e7,1",
            "value '1e7' is not a number from -1e+06 to 1e+06. "
            "Correct it, or the name of its metric",
        ),
        ("on,2,a,ssim,1.01,1", "value '1.01' is not a number from -1 to 1. Correct it"),
        ("on,2,a,ssim,-1.01,1", "value '-1.01' is not a number from -1 to 1"),
        ("on,2,a,judge_wer,-0.1,1", "value '-0.1' is not a number from 0 to 1e+06"),
        (
            "on,2,a,cer,0.1,-1",
            "weight '-1' is not a number from 0 to 1e+09. "
            "Use 1, or for an error rate the length of the line's transcription",
        ),
    ],
)
def test_a_faulty_row_is_named(read, row, fault):
    assert faults_of(read, [*WHOLE, row])[0].startswith(f"lines.csv:10: {fault}")


def test_a_row_of_blanks_is_ignored(read):
    assert read([*WHOLE[:2], "", "   ", " , ,,,,", *WHOLE[2:]]).pair("on", "psnr").runs.seeds == (
        0,
        1,
    )


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (
            b'off,0,"c,psnr,20,1\non,0,c,psnr,21,1\n',
            ":10: not valid CSV: unexpected end of data. Close every quote",
        ),
        (
            b'off,0,"c"d,psnr,20,1\n',
            ":10: not valid CSV: ',' expected after '\"'. Close every quote",
        ),
        (
            b"off,0,c\xe9,psnr,20,1\n",
            r":10: not valid UTF-8: b'off,0,c\xe9,psnr,20,1'. Save the table as UTF-8",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path, data, fault):
    path = tmp_path / "lines.csv"
    path.write_bytes(HEADER.encode() + "\n".join(WHOLE).encode() + b"\n" + data)
    with pytest.raises(ValueError) as caught:
        read_line_values(path)
    assert str(caught.value).startswith(f"{path}{fault}")


def test_a_compressed_table_is_refused(tmp_path):
    path = tmp_path / "lines.csv.gz"
    path.write_bytes(gzip.compress(HEADER.encode()))
    with pytest.raises(
        ValueError, match=r"the file is compressed with gzip\. Decompress it first$"
    ):
        read_line_values(path)


def test_twenty_faults_are_listed_at_once(read):
    faults = faults_of(read, ["on,x,a,psnr,1,1"] * 25)
    assert len(faults) == 21 and faults[20] == "and 5 more"
    assert faults[0].startswith("lines.csv:2: ") and faults[19].startswith("lines.csv:21: ")


def test_runs_that_cannot_be_compared_are_refused():
    twice = [*values(), values()[4]]
    with pytest.raises(
        ValueError,
        match=r"^lines:19: duplicate line b for off, seed 1, cer\.",
    ):
        table_of(twice)
    with pytest.raises(
        ValueError,
        match=r"on, seed 2, cer lacks 1 of the 3 lines of the other runs \(c\)\. Measure",
    ):
        table_of(values()[:-1])
    other = [row._replace(weight=9.0) if row[:3] == ("on", 1, "b") else row for row in values()]
    with pytest.raises(
        ValueError,
        match="weight of b, cer is 9 here and 2 in row 2",
    ):
        table_of(other)
    with pytest.raises(ValueError, match="all 3 lines of cer have weight 0"):
        table_of([row._replace(weight=0.0) for row in values()])
    for arms in (("off",), ("on", "of")):
        with pytest.raises(
            ValueError,
            match=r"column arm needs the reference arm, named off, and an arm to judge, got",
        ):
            table_of(values(arms=arms))


def test_every_way_of_writing_a_diverged_run_is_understood(read):
    rows = [row for row in WHOLE if not row.startswith("on,1")]
    for diverged in (
        ["on,1,,psnr,,"],
        ["on,1,a,psnr,nan,1", "on,1,b,psnr,NaN,1"],
        ["on,1,a,psnr,,", "on,1,b,psnr,,"],
        ["on,1,a,psnr,21,1", "on,1,b,psnr,,1"],
        ["on,1,a,psnr,,1"],
        ["on,1,,psnr,nan,0"],
    ):
        pair = read([*rows, *diverged]).pair("on", "psnr")
        assert (pair.runs.seeds, pair.runs.on_diverged, pair.runs.on_missing, pair.off.shape) == (
            (0,),
            (1,),
            (),
            (1, 2),
        ), diverged
    assert read([*rows, "on,1,a,psnr,21,1", "on,1,b,psnr,,1"]).notes == (
        "on, seed 1: 1 of 2 lines have no psnr; the run counts as diverged.",
    )
    assert read(rows).pair("on", "psnr").runs.on_missing == (1,)


def test_each_pair_has_its_seeds_and_metrics():
    rows = [*values((0, 1, 2)), *values((1, 2), ("shuffled",)), *values((5,), ("off",))]
    pair = table_of(rows).pair("shuffled", "cer")
    assert (
        pair.runs.seeds == (1, 2) and pair.runs.on_missing == (0, 5) and pair.runs.off_missing == ()
    )
    both = table_of(
        [*values(), *values((0,), metric="psnr"), LineValue("on", 7, "", "psnr", math.nan, 0)]
    )
    assert list(both.metrics) == ["psnr", "cer"] and both.pair("on", "psnr").runs.on_diverged == (
        7,
    )
    assert (
        both.pair("on", "cer").runs.seeds == (0, 1, 2)
        and both.pair("on", "cer").runs.on_missing == ()
    )


def test_a_run_that_diverged_in_one_metric_diverged_in_all():
    lost = [
        LineValue("on", 1, "", "psnr", math.nan, math.nan),
        LineValue("on", 8, "", "psnr", math.nan, math.nan),
    ]
    table = table_of(
        [
            *values(),
            *[row for row in values(metric="psnr") if (row.arm, row.seed) != ("on", 1)],
            *lost,
            *values((8,), ("off",), metric="cer"),
        ]
    )
    for metric in ("cer", "psnr"):
        pair = table.pair("on", metric)
        assert (pair.runs.on_diverged, pair.runs.on_missing, pair.runs.off_diverged) == (
            (1, 8),
            (),
            (),
        )
    assert table.pair("on", "cer").runs.seeds == (0, 1, 2) and table.pair(
        "on", "psnr"
    ).runs.seeds == (0, 2)


def test_one_run_under_two_seeds_is_refused():
    rows = [*values(), *[row._replace(seed=7) for row in values((1,))]]
    with pytest.raises(
        ValueError,
        match=r"^lines: column seed: seeds 1 and 7 of on and off have the same values in all "
        r"lines\. Enter each training run once$",
    ):
        table_of(rows)
    fixed = [row._replace(value=0.5) if row.arm == "off" else row for row in rows]
    with pytest.raises(ValueError, match="seeds 1 and 7"):
        table_of(fixed)
    assert table_of([row for row in fixed if (row.arm, row.seed) != ("on", 7)]).arms == ("on",)
    assert table_of([*rows, *values((1, 7), metric="psnr")]).arms == ("on",), (
        "another metric tells the runs apart"
    )


def test_an_arm_that_repeats_beside_an_off_that_does_not_is_allowed():
    assert table_of(
        [row._replace(value=0.5) if row.arm == "on" else row for row in values()]
    ).arms == ("on",)


def test_doubtful_error_rates_are_noted():
    assert table_of(values(seeds=(0,))).notes == (
        "cer of on is 10.2, above 2. Are the values edits or percentages? A value is "
        "edits / length, as a fraction; its weight is the length.",
    )
    even = [row._replace(weight=1.0, value=row.value / 20) for row in values()]
    (note,) = table_of(even).notes
    assert note.startswith(
        "cer: all weights are 1. Unless all transcriptions have length 1, the figures are means"
    )
    assert (
        table_of([row._replace(metric="psnr") for row in even]).notes
        == table_of(values(metric="psnr")).notes
        == ()
    )
    assert table_of([row._replace(weight=5.0) for row in even]).notes == ()


def test_a_line_without_weight_does_not_count(read):
    rows = [
        f"{arm},{seed},{line},cer,{rate + seed / 8},4"
        for seed in (0, 1)
        for arm, rate in (("off", 0.5), ("on", 0))
        for line in "ab"
    ]
    rows += [
        f"{arm},{seed},empty,cer,{rate},0"
        for seed in (0, 1)
        for arm, rate in (("off", 3), ("on", "nan"))
    ]
    table = read(rows)
    assert (
        table.metrics["cer"].lines == ("a", "b")
        and table.pair("on", "cer").runs.seeds == (0, 1)
        and table.notes == ()
    )


def test_the_reference_arm_may_be_in_capitals(read):
    assert np.all(
        read([row.replace("off", "OFF") for row in WHOLE]).pair("on", "psnr").off[0] == 20
    )
