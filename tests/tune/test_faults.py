"""Faults are listed by line, the main file first, and counted beyond the limit."""

from tune.faults import Faults


def test_faults_are_listed_by_line_and_source():
    faults = Faults("b.yaml")
    faults.add("third", 9)
    faults.add("second", 3)
    faults.add("fourth", 1, "a.yaml")
    faults.add("first")
    assert faults.texts() == ["b.yaml: first", "b.yaml:3: second", "b.yaml:9: third"] + [
        "a.yaml:1: fourth"
    ]


def test_faults_beyond_the_limit_are_counted():
    faults = Faults("lines.csv", limit=2)
    for row in range(5):
        faults.add("bad", row + 1)
    assert faults.count == 5
    assert faults.texts() == ["lines.csv:1: bad", "lines.csv:2: bad", "and 3 more"]


def test_the_faults_of_another_source_are_added():
    faults, others = Faults("a"), Faults("b", limit=1)
    faults.add("x", 2)
    others.add("y", 1)
    others.add("z", 2)
    faults.extend(others)
    assert (faults.count, faults.texts()) == (3, ["a:2: x", "b:1: y", "and 1 more"])
    assert Faults("a").texts() == []
