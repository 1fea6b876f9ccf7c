"""The table of line values: read, checked, written, and set beside OFF."""

import gzip
import math
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tune.metric import BY_KEY
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

    def recognizer(rows, header=HEADER):
        path = tmp_path / "lines.csv"
        path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
        return read_line_values(path)

    return recognizer


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
    assert (pair.seeds, pair.on_diverged, pair.off_missing, pair.off_diverged, pair.on_missing) == (
        (0, 1, 2),
        (3,),
        (3,),
        (),
        (),
    )
    assert pair.means == pytest.approx((1 + 1.4 / 6, 11 + 1.4 / 6))


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
        with pytest.raises(ValueError, match=r"(?s)must .*\. "):
            read_line_values(path)


def test_a_file_that_is_not_there_or_too_large(tmp_path, monkeypatch, read):
    for path, why in (
        (tmp_path / "none.csv", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(ValueError, match=rf"got: {why}\. Check the path$"):
            read_line_values(path)
    monkeypatch.setattr("tune.verdict.line_values.LARGEST", 100)
    assert "must be at most 0 MB" in faults_of(read, WHOLE)[0]
    monkeypatch.setattr("tune.verdict.line_values.LARGEST", 10**6)
    monkeypatch.setattr("tune.verdict.line_values.MOST_ROWS", 7)
    assert "rows must be at most 7, got more" in faults_of(read, WHOLE)[0]


def test_columns_may_stand_in_any_order_beside_others(read):
    rows = [",".join([row.split(",")[i] for i in (5, 4, 3, 2, 1, 0)] + ["x"]) for row in WHOLE]
    table = read(rows, "weight,value,metric,line,seed, arm ,note\n")
    assert (
        table.pair("on", "psnr").on.tolist() == [[21, 21], [21.125, 21.125]]
        and "1 other columns" in table.notes[0]
    )
    assert faults_of(read, WHOLE, "arm,seed,line,metric,value,value\n") == [
        "lines.csv:1: columns must be arm, seed, line, metric, value, weight, each once, got arm, seed, line, metric, value, value. "
        "Name value, weight in the first row, separated by commas"
    ]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("on,x,a,psnr,1,1", "seed must be a whole number, got 'x'"),
        ("on,1.5,a,psnr,1,1", "seed must be a whole number, got '1.5'"),
        ("<b>,2,a,psnr,1,1", "arm must be a name"),
        (
            "on,2,a,loss,1,1",
            "metric must be one of psnr, ssim, cer, wer, judge_cer, judge_wer, got 'loss'",
        ),
        ("on,2,a,psnr,good,1", "value must be a number from -1e+06 to 1e+06, got 'good'"),
        ("on,2,a,psnr,inf,1", "value must be a number from -1e+06 to 1e+06, got 'inf'"),
        ("on,2,a,psnr,1,-1", "weight must be a number from 0 to 1e+09, got '-1'"),
        ("on,2,a,psnr,1,", "weight must be a number, got none"),
        ("on,2,,psnr,1,1", "line must be the line's name, got none beside a value"),
        (
            "on,2,a\x1b[2J,psnr,1,1",
            "line must be a name of at most 4096 characters, none of them a control",
        ),
        ("on,2", "row must have 6 cells, as the header has, got 2. Fill in each column"),
        (
            "on,2,a,psnr,18,5,1",
            "row must have 6 cells, as the header has, got 7. Fill in each column; decimals are written with a point",
        ),
        (
            'on,2,a,psnr,"18,5",1',
            "value must be a number from -1e+06 to 1e+06, got '18,5'. Write it in digits, decimals with a point",
        ),
        (
            "on,2,a,psnr,1_8,1",
            "value must be a number from -1e+06 to 1e+06, got '1_8'. Write it in digits",
        ),
        ("on,2,a,psnr,1,1_0", "weight must be a number from 0 to 1e+09, got '1_0'"),
        (
            "on,2,a,psnr,NA,1",
            "value must be a number from -1e+06 to 1e+06, got 'NA'. Leave it empty where a run diverged",
        ),
        (
            "on,2,a,psnr,-inf,1",
            "value must be a number from -1e+06 to 1e+06, got '-inf'. Cap it, as an empty value is a run that diverged",
        ),
        (
            "on,2,a,psnr,1e7,1",
            "value must be a number from -1e+06 to 1e+06, got '1e7'. Correct it, or the name of its metric",
        ),
        ("on,2,a,ssim,1.01,1", "value must be a number from -1 to 1, got '1.01'. Correct it"),
        ("on,2,a,ssim,-1.01,1", "value must be a number from -1 to 1, got '-1.01'"),
        ("on,2,a,judge_wer,-0.1,1", "value must be a number from 0 to 1e+06, got '-0.1'"),
        (
            "on,2,a,cer,0.1,-1",
            "weight must be a number from 0 to 1e+09, got '-1'. Give 1, for error rates the length of the line's reference",
        ),
    ],
)
def test_a_faulty_row_is_named(read, row, fault):
    assert faults_of(read, [*WHOLE, row])[0].startswith(f"lines.csv:10: {fault}")


def test_a_row_of_blanks_is_passed_over(read):
    assert read([*WHOLE[:2], "", "   ", " , ,,,,", *WHOLE[2:]]).pair("on", "psnr").seeds == (0, 1)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (
            b'off,0,"c,psnr,20,1\non,0,c,psnr,21,1\n',
            ":10: the row must be CSV, got: unexpected end of data. Close every quote",
        ),
        (
            b'off,0,"c"d,psnr,20,1\n',
            ":10: the row must be CSV, got: ',' expected after '\"'. Close every quote",
        ),
        (
            b"off,0,c\xe9,psnr,20,1\n",
            r":10: the row must be UTF-8, got b'off,0,c\xe9,psnr,20,1'. Save the table as UTF-8",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path, data, fault):
    path = tmp_path / "lines.csv"
    path.write_bytes(HEADER.encode() + "\n".join(WHOLE).encode() + b"\n" + data)
    with pytest.raises(ValueError) as caught:
        read_line_values(path)
    assert str(caught.value).startswith(f"{path}{fault}")


def test_a_packed_table_is_to_be_unpacked(tmp_path):
    path = tmp_path / "lines.csv.gz"
    path.write_bytes(gzip.compress(HEADER.encode()))
    with pytest.raises(ValueError, match=r"got one that gzip packed\. Unpack it$"):
        read_line_values(path)


def test_twenty_faults_are_listed_at_once(read):
    found = faults_of(read, ["on,x,a,psnr,1,1"] * 25)
    assert len(found) == 21 and found[20] == "and 5 more"
    assert found[0].startswith("lines.csv:2: ") and found[19].startswith("lines.csv:21: ")


def test_runs_that_cannot_be_compared_are_refused():
    twice = [*values(), values()[4]]
    with pytest.raises(
        ValueError,
        match=r"^lines:19: line must be there once in a run, got b again for off, seed 1, cer\.",
    ):
        table_of(twice)
    with pytest.raises(
        ValueError,
        match=r"on, seed 2, cer must have all 3 lines of the other runs, lacks 1 \(c\)\. Measure",
    ):
        table_of(values()[:-1])
    other = [row._replace(weight=9.0) if row[:3] == ("on", 1, "b") else row for row in values()]
    with pytest.raises(
        ValueError,
        match="weight must be the same for a line in all runs, got 9 for b, cer, and 2 in row 2",
    ):
        table_of(other)
    with pytest.raises(
        ValueError, match="weight must be more than 0 for some line of cer, got 0 for all 3"
    ):
        table_of([row._replace(weight=0.0) for row in values()])
    for arms in (("off",), ("on", "of")):
        with pytest.raises(ValueError, match=r"column arm must have off and the arm to judge, got"):
            table_of(values(arms=arms))


def test_a_run_that_diverged_is_known_in_every_way_it_may_be_written(read):
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
        assert (pair.seeds, pair.on_diverged, pair.on_missing, pair.off.shape) == (
            (0,),
            (1,),
            (),
            (1, 2),
        ), diverged
    assert read([*rows, "on,1,a,psnr,21,1", "on,1,b,psnr,,1"]).notes == (
        "on, seed 1: 1 of 2 lines have no psnr; it counts as diverged.",
    )
    assert read(rows).pair("on", "psnr").on_missing == (1,)


def test_seeds_and_metrics_are_each_pair_s_own():
    rows = [*values((0, 1, 2)), *values((1, 2), ("shuffled",)), *values((5,), ("off",))]
    pair = table_of(rows).pair("shuffled", "cer")
    assert pair.seeds == (1, 2) and pair.on_missing == (0, 5) and pair.off_missing == ()
    both = table_of(
        [*values(), *values((0,), metric="psnr"), LineValue("on", 7, "", "psnr", math.nan, 0)]
    )
    assert list(both.metrics) == ["psnr", "cer"] and both.pair("on", "psnr").on_diverged == (7,)
    assert both.pair("on", "cer").seeds == (0, 1, 2) and both.pair("on", "cer").on_missing == ()


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
        assert (pair.on_diverged, pair.on_missing, pair.off_diverged) == ((1, 8), (), ())
    assert table.pair("on", "cer").seeds == (0, 1, 2) and table.pair("on", "psnr").seeds == (0, 2)


def test_one_run_under_two_seeds_is_refused():
    rows = [*values(), *[row._replace(seed=7) for row in values((1,))]]
    with pytest.raises(
        ValueError,
        match=r"^lines: column seed: seeds 1 and 7 of on and off must be different runs, got the same values in "
        r"every line of both arms\. Give each training run once$",
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
        "cer of on is 10.2, above 2: are its values edits or percent? A value is edits / length, as a fraction, its weight the length.",
    )
    even = [row._replace(weight=1.0, value=row.value / 20) for row in values()]
    (note,) = table_of(even).notes
    assert note.startswith(
        "cer: every weight is 1. Unless every reference has length 1, its figures are means of the lines' rates"
    )
    assert (
        table_of([row._replace(metric="psnr") for row in even]).notes
        == table_of(values(metric="psnr")).notes
        == ()
    )
    assert table_of([row._replace(weight=5.0) for row in even]).notes == ()


def test_a_line_without_weight_counts_in_nothing(read):
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
        and table.pair("on", "cer").seeds == (0, 1)
        and table.notes == ()
    )


def test_the_reference_arm_may_be_written_large(read):
    assert np.all(
        read([row.replace("off", "OFF") for row in WHOLE]).pair("on", "psnr").off[0] == 20
    )
