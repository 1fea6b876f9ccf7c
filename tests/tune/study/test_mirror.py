"""Tests of the mirror of a study folder: what it copies and in which order, and its failures."""

import json
import time

import fsspec
import pytest

import tune.study.mirror
from tune.study.mirror import mirror, mirrored


@pytest.fixture
def folder(tmp_path):
    """A study's files, some of which are not to be copied."""
    for name, text in {
        "study.yaml": "a",
        "study.journal": "one\n",
        "trials/on-000/last.pt": "weights",
        "trials/on-000/.last.pt.7.writing": "half",
        "logs/ray.log": "said",
        "logs/ray/state.pkl": "p",
        ".lock": "",
        "control/pause": "",
    }.items():
        path = tmp_path / "results/first" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "results/first"


@pytest.fixture(params=["file", "memory"])
def target(request, tmp_path):
    """A URI; where it is in memory, nothing is left of it afterwards."""
    yield f"file://{tmp_path}/away/studies" if request.param == "file" else "memory://studies/"
    fsspec.filesystem("memory").store.clear()


def at(uri):
    """Path -> bytes of what lies at a URI."""
    fs, root = fsspec.core.url_to_fs(uri)
    return {path.removeprefix(root).lstrip("/"): fs.cat_file(path) for path in fs.find(root)}


def test_the_study_is_copied_without_what_is_no_part_of_it(folder, target):
    assert mirror(folder, target) == 4
    copied = at(target)
    assert {
        name: bytes_ for name, bytes_ in copied.items() if not name.endswith("mirror.json")
    } == {
        "first/study.yaml": b"a",
        "first/study.journal": b"one\n",
        "first/trials/on-000/last.pt": b"weights",
        "first/logs/ray.log": b"said",
    }


def test_only_what_is_new_or_changed_is_copied_and_nothing_is_deleted(folder, target, monkeypatch):
    sent = []
    fs, _ = fsspec.core.url_to_fs(target)
    put = type(fs).put
    monkeypatch.setattr(
        type(fs),
        "put",
        lambda self, ours, theirs: (sent.extend(theirs), put(self, ours, theirs))[1],
    )
    mirror(folder, target)
    assert len(sent) == 3
    sent.clear()
    mirror(folder, target)
    assert not sent
    (folder / "study.yaml").write_text("b")  # of the same size
    (folder / "trials/on-000/last.pt").unlink()
    (folder / "report.md").write_text("result")
    mirror(folder, target)
    assert [path.rsplit("/", 1)[1] for path in sent] == ["report.md", "study.yaml"]
    copied = at(target)
    assert (
        copied["first/study.yaml"] == b"b"
        and copied["first/trials/on-000/last.pt"] == b"weights"
        and copied["first/report.md"] == b"result"
    )
    assert json.loads(copied["first/mirror.json"])["files"].keys() == {
        "study.yaml",
        "trials/on-000/last.pt",
        "logs/ray.log",
        "report.md",
    }


def test_the_journal_never_tells_of_what_is_not_there(folder, target, monkeypatch):
    """A trial ends while the files are being copied: the journal that arrives is of before."""
    fs, _ = fsspec.core.url_to_fs(target)
    put = type(fs).put

    def slow(self, ours, theirs):
        with (folder / "study.journal").open("a") as file:
            file.write("two\n")
        return put(self, ours, theirs)

    monkeypatch.setattr(type(fs), "put", slow)
    mirror(folder, target)
    assert at(target)["first/study.journal"] == b"one\n"


def test_files_that_did_not_arrive_are_sent_again(folder, target, monkeypatch):
    """The target goes away in mid-copy; the journal is not there before the files are."""
    fs, _ = fsspec.core.url_to_fs(target)
    put, calls = type(fs).put, []

    def failing(self, ours, theirs):
        calls.append(theirs)
        if len(calls) == 2:
            raise OSError("gone")
        return put(self, ours, theirs)

    monkeypatch.setattr(tune.study.mirror, "AT_ONCE", 1)
    monkeypatch.setattr(type(fs), "put", failing)
    with pytest.raises(OSError, match="gone"):
        mirror(folder, target)
    assert "first/study.journal" not in at(target)
    assert mirror(folder, target) == 3  # the journal, and the two that had not come
    assert at(target)["first/trials/on-000/last.pt"] == b"weights" and "first/study.journal" in at(
        target
    )


def test_a_damaged_record_costs_another_copy_only(folder, target):
    mirror(folder, target)
    fs, root = fsspec.core.url_to_fs(target)
    for text in (b"[1, 2", b"[]", b'{"files": 3}'):
        fs.pipe_file(f"{root.rstrip('/')}/first/mirror.json", text)
        assert mirror(folder, target) == 4


@pytest.mark.parametrize(
    "uri, named",
    [("s3://bucket/studies", "s3fs"), ("gs://bucket", "gcsfs"), ("nowhere://x", "nowhere")],
)
def test_a_uri_that_cannot_be_opened_is_refused_before_anything_runs(
    folder, uri, named, monkeypatch
):
    monkeypatch.setitem(__import__("sys").modules, named, None)  # also where it is installed
    with (
        pytest.raises(ValueError, match=rf"--mirror {uri}.*{named}"),
        mirrored(folder, uri, print),
    ):
        raise AssertionError("the search began")


def test_a_mirror_is_kept_up_and_is_whole_at_the_end(folder, target, monkeypatch):
    monkeypatch.setattr(tune.study.mirror, "EVERY", 0.05)
    with mirrored(folder, target, print):
        deadline = time.monotonic() + 20
        while "first/study.journal" not in at(target):
            assert time.monotonic() < deadline, "nothing was copied while the search ran"
            time.sleep(0.02)
        monkeypatch.setattr(tune.study.mirror, "EVERY", 3600)
        time.sleep(0.2)
        (folder / "report.md").write_text("result")
    assert at(target)["first/report.md"] == b"result"


def test_a_search_that_breaks_leaves_a_whole_mirror(folder, target):
    with pytest.raises(KeyboardInterrupt), mirrored(folder, target, print):
        raise KeyboardInterrupt
    assert "first/study.journal" in at(target)


def test_an_unreachable_mirror_is_reported_and_stops_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tune.study.mirror, "EVERY", 0.05)
    messages = []
    (tmp_path / "away").write_text("a file where a folder should be")
    with mirrored(folder, f"file://{tmp_path}/away", messages.append):
        time.sleep(0.5)
    assert len(messages) == 2, "once when it fails, and once at the end"
    assert messages[0].startswith("note: ") and "cannot write the mirror" in messages[0]
    assert str(folder) in messages[1] and "--resume" in messages[1]


def test_a_mirror_that_comes_back_is_whole_in_the_end(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tune.study.mirror, "EVERY", 0.05)
    messages, blocked = [], tmp_path / "away"
    blocked.write_text("a file where a folder should be")
    with mirrored(folder, f"file://{blocked}", messages.append):
        time.sleep(0.3)
        blocked.unlink()
    assert len(messages) == 1 and at(f"file://{blocked}")["first/study.journal"] == b"one\n"


def test_without_a_uri_nothing_is_done(folder, monkeypatch):
    called = []
    monkeypatch.setattr(tune.study.mirror, "mirror", lambda *words: called.append(words))
    with mirrored(folder, None, called.append):
        pass
    assert called == []
