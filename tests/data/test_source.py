"""From a name or a folder to pairs: splits, digests, cache, notes, and a test split that stays closed."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganhtr.config import DataConfig
from ganhtr.data import source
from ganhtr.data.pairs import Pairs, load_lines
from ganhtr.data.source import load_pairs
from ganhtr.data.splits import split_groups

DATA = DataConfig(height=32, width=64, lines=16)
HELD = {"validation": 4, "test": 5}
OTHER = {"height": 16, "width": 96, "degradation": 0.5, "lines": 17, "seed": 1}
GROUPS = tuple(f"page{i}" for i in range(10))
SPLIT = dict(zip(GROUPS, split_groups(GROUPS, DATA.seed), strict=True))
LETTER = dict(zip(GROUPS, "ABCDEFGHIJ", strict=True))  # stands in the transcriptions of one group alone
PROGRAM = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import test_source
test_source.source.BUILTIN_HELD = test_source.HELD
print(test_source.content(test_source.load_pairs("builtin", test_source.DATA)))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache for this test alone, and few held-out lines."""
    monkeypatch.setenv("GANHTR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(source, "BUILTIN_HELD", HELD)
    return tmp_path / "cache" / "lines"


@pytest.fixture
def folder(tmp_path):
    """Three lines in each of ten pages, the first of each too wide; the others lie in a folder below."""
    rows, rng = [], np.random.default_rng(0)
    for group in GROUPS:
        for i, width in enumerate((100, 40, 30)):
            name = f"{group}/{i}.png" if i else f"{group}_{i}.png"
            path = tmp_path / "lines" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (32, width), dtype=np.uint8)).save(path)
            rows.append(f"{name}\tx{LETTER[group]}{i}\t{group}\n")
    (tmp_path / "lines" / "lines.tsv").write_text("".join(rows))
    return tmp_path / "lines"


def content(pairs):
    """A digest of everything in the pairs."""
    made = hashlib.sha256(repr((pairs.charset, pairs.digest, pairs.clean_digest, pairs.notes)).encode())
    for lines in (pairs.train, pairs.validation):
        for array in (lines.clean, lines.degraded, lines.widths):
            made.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
        made.update(repr((lines.transcripts, lines.names, lines.groups)).encode())
    return made.hexdigest()


def letters(split):
    return {LETTER[group] for group in GROUPS if SPLIT[group] == split}


def test_the_built_in_splits_share_no_transcription(cache):
    pairs = load_pairs("builtin", DATA)
    test = load_lines(cache / pairs.digest / "test.npz")
    texts = [set(lines.transcripts) for lines in (pairs.train, pairs.validation, test)]
    assert [len(part) for part in texts] == [16, 4, 5] == [len(part) for part in (pairs.train, pairs.validation, test)]
    assert len(set.union(*texts)) == 25
    assert pairs.name == "builtin" and pairs.notes == ()


def test_a_second_call_reads_what_the_first_made(monkeypatch):
    first = load_pairs("builtin", DATA)
    monkeypatch.setattr(source, "_make", None)
    assert content(load_pairs("builtin", DATA)) == content(first)


def test_a_process_of_its_own_makes_the_same_bytes(tmp_path):
    here = Path(__file__)
    environment = {**os.environ, "GANHTR_CACHE": str(tmp_path / "other"), "PYTHONHASHSEED": "5"}
    there = subprocess.run([sys.executable, "-c", PROGRAM, str(here.parents[2]), str(here.parent)], env=environment,
                           capture_output=True, text=True, check=True)
    assert there.stdout.strip() == content(load_pairs("builtin", DATA))


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(DataConfig)])
def test_each_setting_of_the_data_changes_the_digest(key):
    pairs, other = (load_pairs("builtin", dataclasses.replace(DATA, **changes)) for changes in ({}, {key: OTHER[key]}))
    assert pairs.digest != other.digest
    assert (pairs.clean_digest == other.clean_digest) == (key == "degradation")
    assert not np.array_equal(pairs.train.degraded, other.train.degraded)
    assert np.array_equal(pairs.train.clean, other.train.clean) == (key == "degradation")


def test_fonts_and_their_bytes_change_the_digest(tmp_path, monkeypatch):
    monkeypatch.setattr("ganhtr.data.synthetic.file_fonts", lambda folder: ())
    (tmp_path / "fonts" / "sub").mkdir(parents=True)
    digests = [load_pairs("builtin", DATA).clean_digest]
    for file in (b"one", b"two"):
        (tmp_path / "fonts" / "a.ttf").write_bytes(file)
        digests.append(load_pairs("builtin", DATA, fonts=tmp_path / "fonts").clean_digest)
    assert len(set(digests)) == 3


def test_lines_are_paper_outside_their_width_and_degraded_inside(folder):
    for pairs in (load_pairs("builtin", DATA), load_pairs(str(folder), DATA)):
        for lines in (pairs.train, pairs.validation):
            outside = np.arange(64) >= lines.widths[:, None, None]
            assert all((np.where(outside, images, 255) == 255).all() for images in (lines.clean, lines.degraded))
            assert ((lines.clean != lines.degraded)[:, :, :16].mean(axis=(1, 2)) > 0.5).all()
            assert lines.widths.min() >= 16 and lines.widths.max() <= 64
    assert set(pairs.train.widths) == {64, 40, 30}


def test_without_degradation_the_lines_stay_as_they_are():
    train = load_pairs("builtin", dataclasses.replace(DATA, degradation=0.0)).train
    assert np.array_equal(train.clean, train.degraded)


def test_a_line_is_degraded_alike_in_whatever_company(folder):
    before = load_pairs(str(folder), DATA).train
    table = (folder / "lines.tsv").read_text().split("\n")
    (folder / "lines.tsv").write_text("\n".join(row for row in table if "page3/2" not in row))
    after = load_pairs(str(folder), DATA).train
    assert SPLIT["page3"] == 0 and len(after) == len(before) - 1
    kept = [i for i, name in enumerate(before.names) if name != "page3/2.png"]
    assert np.array_equal(before.degraded[kept], after.degraded)


def test_a_folder_is_split_by_its_groups(folder, cache):
    pairs = load_pairs(str(folder), DATA)
    test = load_lines(cache / pairs.digest / "test.npz")
    for i, lines in enumerate((pairs.train, pairs.validation, test)):
        assert {text[1] for text in lines.transcripts} == letters(i)
        assert set(lines.groups) == {group for group in GROUPS if SPLIT[group] == i}
        assert len(lines) == 3 * len(set(lines.groups))
    assert pairs.name == str(folder.resolve())


def test_the_charset_comes_from_the_training_transcriptions(folder):
    pairs = load_pairs(str(folder), DATA)
    assert set(pairs.charset.characters) == letters(0) | set("x012")
    (validation,) = letters(1)
    note = next(note for note in pairs.notes if note.startswith("validation: "))
    assert note.startswith(f"validation: 3 characters are outside the charset ('{validation}' ×3)")
    assert not any(note.startswith("train: ") for note in pairs.notes)


def test_a_charset_file_replaces_the_charset_and_is_in_the_digest(folder, tmp_path):
    (tmp_path / "charset.txt").write_text("x\n0\n1\n")
    pairs = load_pairs(str(folder), DATA, charset_file=tmp_path / "charset.txt")
    assert pairs.charset.characters == "x01"
    outside = 3 * len(letters(0)) + len(letters(0))
    assert any(note.startswith(f"train: {outside} characters are outside the charset ('2' ×8") for note in pairs.notes)
    assert pairs.digest != load_pairs(str(folder), DATA).digest


def test_an_image_of_the_lines_height_is_laid_down_as_it_is(folder):
    train = load_pairs(str(folder), DATA).train
    fitting = [i for i, name in enumerate(train.names) if "/" in name]
    assert len(fitting) == 2 * len(letters(0))
    for i in fitting:
        with Image.open(folder / train.names[i]) as image:
            assert np.array_equal(train.clean[i, :, :train.widths[i]], np.asarray(image))


def test_a_relative_path_is_remembered_whole(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert load_pairs("lines", DATA).name == str(folder.resolve())


def test_squeezed_lines_are_counted(folder):
    assert "9 lines are wider than 64 px at 32 px height and were squeezed" in load_pairs(str(folder), DATA).notes


@pytest.mark.parametrize("name", ["page3_0.png", "page3/1.png", "lines.tsv"])
def test_a_changed_byte_changes_the_digest(folder, name):
    before = load_pairs(str(folder), DATA)
    data = bytearray((folder / name).read_bytes())
    if name.endswith("png"):
        data += b"\0"
    else:
        data[data.index(b"x")] = ord("y")
    (folder / name).write_bytes(data)
    after = load_pairs(str(folder), DATA)
    assert after.digest != before.digest and after.clean_digest != before.clean_digest


def test_a_copy_of_the_folder_has_the_same_digest(folder):
    before = load_pairs(str(folder), DATA).digest
    assert load_pairs(str(folder.rename(folder.with_name("moved"))), DATA).digest == before


def test_the_test_split_is_made_and_never_opened(cache):
    pairs = load_pairs("builtin", DATA)
    assert {field.name for field in dataclasses.fields(Pairs)} == {
        "train", "validation", "charset", "name", "digest", "clean_digest", "notes"}
    assert set(vars(pairs)) == {field.name for field in dataclasses.fields(Pairs)}
    assert len(load_lines(cache / pairs.digest / "test.npz")) == 5
    (cache / pairs.digest / "test.npz").write_bytes(b"closed")
    assert content(load_pairs("builtin", DATA)) == content(pairs)


def test_an_interrupted_making_leaves_nothing_behind(cache, monkeypatch):
    done = []

    def interrupted(*arguments):
        done.append(1)
        if len(done) > 18:  # in the second split, when the first is written
            raise KeyboardInterrupt
        return arguments[0]

    with monkeypatch.context() as patch:
        patch.setattr(source, "degrade", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_pairs("builtin", DATA)
    assert list(cache.iterdir()) == []
    pairs = load_pairs("builtin", DATA)
    assert [path.name for path in cache.iterdir()] == [pairs.digest] and len(pairs.train) == 16
    meta = json.loads((cache / pairs.digest / "meta.json").read_text())
    assert meta["data"] == dataclasses.asdict(DATA)


def test_fonts_beside_a_folder_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="--fonts must go with the built-in data"):
        load_pairs(str(folder), DATA, fonts=tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="--data must be 'builtin' or a folder .*nowhere, which is not a folder"):
        load_pairs(str(tmp_path / "nowhere"), DATA)
