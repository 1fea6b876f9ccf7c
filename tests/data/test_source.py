"""Tests of data sources: splits, digests, the cache, notes, and a closed test split."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganhtr.charset import Charset
from ganhtr.config_sections import DataConfig
from ganhtr.data import source
from ganhtr.data.folder import read_folder
from ganhtr.data.pairs import Pairs, fit_line, load_lines
from ganhtr.data.raw import RawLine, RawLines
from ganhtr.data.source import builtin_lines, format_of, load_pairs, read_source
from ganhtr.data.splits import split_groups
from ganhtr.data.tfrecord import write_tfrecord

DATA = DataConfig(height=32, width=64, lines=16, recognizer_share=0.0)
HALF = dataclasses.replace(DATA, recognizer_share=0.5)
HELD = {"validation": 4, "test": 5}
OTHER = {"height": 16, "width": 96, "degradation": 0.5, "lines": 17, "seed": 1}
GROUPS = tuple(f"page{i}" for i in range(10))
SPLIT = dict(zip(GROUPS, split_groups(GROUPS, DATA.seed), strict=True))
LETTER = dict(
    zip(GROUPS, "ABCDEFGHIJ", strict=True)
)  # stands in the transcriptions of one group alone
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
    """Three lines in each of ten pages; the first line of a page is too wide.

    The others are in a subfolder.
    """
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
    made = hashlib.sha256(
        repr((pairs.charset, pairs.digest, pairs.clean_digest, pairs.notes)).encode()
    )
    for lines in (pairs.train, pairs.validation):
        for array in (lines.clean, lines.degraded, lines.widths):
            made.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
        made.update(repr((lines.transcripts, lines.names, lines.groups)).encode())
    return made.hexdigest()


def add_twins(folder, names, grey=200):
    """A flat degraded image for each of these lines."""
    for name in names:
        with Image.open(folder / name) as image:
            (folder / "degraded" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", image.size, grey).save(folder / "degraded" / name)


@pytest.fixture
def records(tmp_path):
    """A TFRecord of 21 lines of noise, of different sizes, with a charset beside it."""
    rng = np.random.default_rng(1)
    images = [
        rng.integers(0, 255, (2, 32 + 16 * (i % 2), 40 + i), dtype=np.uint8) for i in range(21)
    ]
    lines = [RawLine(f"l{i}", "g", "ab"[: 1 + i % 2], *pair) for i, pair in enumerate(images)]
    (tmp_path / "charset.txt").write_text("a\nb\n")
    write_tfrecord(tmp_path / "lines.tfrecord", lines, Charset("ab"))
    return tmp_path / "lines.tfrecord", lines


def page(folder, name, texts, image="page.png"):
    """An ALTO file, its page (64 px a line) beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(name))
    Image.fromarray(rng.integers(0, 255, (64 * len(texts), 120), dtype=np.uint8)).save(
        folder / image
    )
    rows = "".join(
        f'<TextLine ID="l{i}" HPOS="0" VPOS="{64 * i}" WIDTH="120" HEIGHT="64">'
        f'<String CONTENT="{text}"/></TextLine>'
        for i, text in enumerate(texts)
    )
    (folder / f"{name}.xml").write_text(
        f"<alto><Description><sourceImageInformation><fileName>{image}</fileName>"
        "</sourceImageInformation></Description><Layout>"
        f'<Page WIDTH="120" HEIGHT="{64 * len(texts)}"><PrintSpace><TextBlock>{rows}</TextBlock>'
        "</PrintSpace></Page></Layout></alto>"
    )
    return folder


def page_folder(tmp_path):
    """Three pages of two lines."""
    for i in range(3):
        page(tmp_path / "pages", f"p{i}", ("ab", "ba"), f"p{i}.png")
    return tmp_path / "pages"


@pytest.fixture
def pages(tmp_path):
    return page_folder(tmp_path)


def letters(split):
    return {LETTER[group] for group in GROUPS if SPLIT[group] == split}


def test_the_built_in_splits_share_no_transcription(cache):
    pairs = load_pairs("builtin", DATA)
    test = load_lines(cache / pairs.digest / "test.npz")
    texts = [set(lines.transcripts) for lines in (pairs.train, pairs.validation, test)]
    assert (
        [len(part) for part in texts]
        == [16, 4, 5]
        == [len(part) for part in (pairs.train, pairs.validation, test)]
    )
    assert len(set.union(*texts)) == 25
    assert pairs.name == "builtin" and pairs.notes == ()


def test_a_second_call_reads_what_the_first_made(monkeypatch):
    first = load_pairs("builtin", DATA)
    monkeypatch.setattr(source, "_make", None)
    assert content(load_pairs("builtin", DATA)) == content(first)


def test_another_process_makes_the_same_bytes(tmp_path):
    here = Path(__file__)
    environment = {**os.environ, "GANHTR_CACHE": str(tmp_path / "other"), "PYTHONHASHSEED": "5"}
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(here.parents[2]), str(here.parent)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == content(load_pairs("builtin", DATA))


@pytest.mark.parametrize("key", OTHER)
def test_each_setting_of_the_data_changes_the_digest(key):
    pairs, other = (
        load_pairs("builtin", dataclasses.replace(DATA, **changes))
        for changes in ({}, {key: OTHER[key]})
    )
    assert pairs.digest != other.digest
    assert (pairs.clean_digest == other.clean_digest) == (key == "degradation")
    assert not np.array_equal(pairs.train.degraded, other.train.degraded)
    assert np.array_equal(pairs.train.clean, other.train.clean) == (key == "degradation")


def test_fonts_and_their_bytes_change_the_digest(tmp_path, monkeypatch):
    monkeypatch.setattr("ganhtr.data.drawn.synthetic.file_fonts", lambda folder: ())
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
            assert all(
                (np.where(outside, images, 255) == 255).all()
                for images in (lines.clean, lines.degraded)
            )
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


def test_recognizers_have_groups_of_their_own(folder):
    whole, pairs = load_pairs(str(folder), DATA), load_pairs(str(folder), HALF)
    aside = pairs.recognizer_lines()
    assert whole.recognizer_lines is None and not set(aside.groups) & set(pairs.train.groups)
    assert sorted(aside.names + pairs.train.names) == sorted(whole.train.names)
    assert len(aside) == len(pairs.train) == 12 and np.array_equal(aside.degraded, aside.clean)
    assert pairs.validation.names == whole.validation.names and pairs.charset == whole.charset
    for loaded, own, others in ((pairs, 12, 12), (whole, 0, 24)):
        words = f"trained on {own} lines of their own, the generator on the other {others}"
        alone = "guide and judge are trained on the lines that the generator is trained on"
        assert any(words in note if own else alone in note for note in loaded.notes)


def test_the_digest_of_recognizers_follows_their_lines_alone(folder):
    before = load_pairs(str(folder), HALF)
    groups = before.recognizer_lines().groups[0], before.train.groups[0]
    for group, changes in zip(groups, (True, False), strict=True):
        path = folder / group / "1.png"
        image = path.read_bytes()
        Image.new("L", (41, 32), 255).save(path)
        after = load_pairs(str(folder), HALF)
        assert after.digest != before.digest
        assert (after.clean_digest != before.clean_digest) == changes
        path.write_bytes(image)


def test_training_lines_of_one_group_are_shared_with_the_recognizers(tmp_path):
    pairs = load_pairs(str(page_folder(tmp_path)), HALF)
    assert pairs.recognizer_lines is None and len(pairs.train) == 2
    assert any("are of one group" in note for note in pairs.notes)


def test_the_built_in_recognizer_lines_share_no_transcription(cache):
    pairs = load_pairs("builtin", DATA)
    own, test = pairs.recognizer_lines(), load_lines(cache / pairs.digest / "test.npz")
    texts = [set(lines.transcripts) for lines in (own, pairs.train, pairs.validation, test)]
    assert len(own) == 16 and len(set.union(*texts)) == 16 + 25
    assert np.array_equal(own.clean, pairs.recognizer_lines().clean)


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
    assert any(
        note.startswith(f"train: {outside} characters are outside the charset ('2' ×8")
        for note in pairs.notes
    )
    assert pairs.digest != load_pairs(str(folder), DATA).digest


def test_an_image_of_the_lines_height_is_laid_down_as_it_is(folder):
    train = load_pairs(str(folder), DATA).train
    fitting = [i for i, name in enumerate(train.names) if "/" in name]
    assert len(fitting) == 2 * len(letters(0))
    for i in fitting:
        with Image.open(folder / train.names[i]) as image:
            assert np.array_equal(train.clean[i, :, : train.widths[i]], np.asarray(image))


def test_a_relative_path_is_remembered_whole(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert load_pairs("lines", DATA).name == str(folder.resolve())


def test_squeezed_lines_are_counted(folder):
    assert (
        "9 lines are wider than 64 px at 32 px height and were squeezed"
        in load_pairs(str(folder), DATA).notes
    )


@pytest.mark.parametrize(
    "name", ["page3_0.png", "page3/1.png", "lines.tsv", "degraded/page3/1.png"]
)
def test_a_changed_byte_changes_the_digest(folder, name):
    add_twins(folder, ["page3/1.png"])
    before = load_pairs(str(folder), DATA)
    data = bytearray((folder / name).read_bytes()) + (
        b"\0" if name.endswith("png") else b"page3/2.png\tx\n"
    )
    (folder / name).write_bytes(data)
    assert load_pairs(str(folder), DATA).digest != before.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: Image.new("L", (100, 32), 7).save(folder / "page3_0.png"),
        lambda folder: Image.new("L", (41, 32), 255).save(folder / "page3/1.png"),
        lambda folder: (folder / "lines.tsv").write_text(
            (folder / "lines.tsv").read_text().replace("xD1", "xDD")
        ),
    ],
)
def test_what_a_recognizer_trains_on_changes_the_clean_digest(folder, change):
    before = load_pairs(str(folder), DATA)
    change(folder)
    after = load_pairs(str(folder), DATA)
    assert after.digest != before.digest and after.clean_digest != before.clean_digest


def test_what_a_recognizer_never_sees_leaves_the_clean_digest(folder):
    before = load_pairs(str(folder), DATA)
    test_page = next(group for group in GROUPS if SPLIT[group] == 2)
    for change in (
        lambda: add_twins(folder, ["page3/1.png"]),
        lambda: Image.new("L", (9, 9)).save(folder / test_page / "1.png"),
    ):
        change()
        after = load_pairs(str(folder), DATA)
        assert after.digest != before.digest and after.clean_digest == before.clean_digest


def test_a_copy_of_the_folder_has_the_same_digest(folder):
    before = load_pairs(str(folder), DATA).digest
    assert load_pairs(str(folder.rename(folder.with_name("moved"))), DATA).digest == before


def test_the_test_split_is_made_and_never_opened(cache):
    pairs = load_pairs("builtin", DATA)
    assert {field.name for field in dataclasses.fields(Pairs)} == {
        "train",
        "validation",
        "charset",
        "name",
        "digest",
        "clean_digest",
        "notes",
        "recognizer_lines",
    }
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
        patch.setattr("ganhtr.data.degrade.degrade", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_pairs("builtin", DATA)
    assert list(cache.iterdir()) == []
    pairs = load_pairs("builtin", DATA)
    assert [path.name for path in cache.iterdir()] == [pairs.digest] and len(pairs.train) == 16
    meta = json.loads((cache / pairs.digest / "meta.json").read_text())
    assert meta["data"] == dataclasses.asdict(DATA)


def test_fonts_beside_a_folder_are_refused(folder, tmp_path):
    with pytest.raises(
        ValueError, match="--fonts is for the built-in data and cannot be combined with --data"
    ):
        load_pairs(str(folder), DATA, fonts=tmp_path)


def test_the_format_is_detected_by_content(folder, records, pages, tmp_path):
    cases = {
        "builtin": "builtin",
        folder: "folder",
        records[0]: "tfrecord",
        pages: "pages",
        pages / "p0.xml": "pages",
    }
    assert {name: format_of(name) for name in cases} == cases
    records[0].rename(tmp_path / "lines.TFRecords")
    page(folder, "p0", ("ab",))
    assert format_of(tmp_path / "lines.TFRecords") == "tfrecord" and format_of(folder) == "folder"


def test_a_source_is_read_by_its_format(folder, records, pages):
    assert read_source(folder, None).names == read_folder(folder).names
    progress = []
    lines = read_source(str(records[0]), Charset("ab"), progress.append)
    assert (
        lines.transcripts == tuple(line.transcript for line in records[1]) and lines.in_file_order
    )
    assert progress[-1] == records[0].stat().st_size
    assert read_source(pages, None).names == ("p0/l0", "p0/l1", "p1/l0", "p1/l1", "p2/l0", "p2/l1")
    assert read_source(pages / "p1.xml", None).names == ("p1/l0", "p1/l1")


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda path: None, "a path that does not exist"),
        (lambda path: path.mkdir(), "a folder without lines.tsv and pages"),
        (lambda path: path.write_text("<alto/>"), "another file"),
        (
            lambda path: path.mkdir() or (path / "mets.xml").write_text("<mets/>"),
            "a folder without lines.tsv and pages",
        ),
    ],
)
def test_what_is_no_source_names_the_accepted_forms(tmp_path, make, got):
    make(tmp_path / "it")
    for read in (lambda path: read_source(path, None), lambda path: load_pairs(str(path), DATA)):
        with pytest.raises(
            ValueError,
            match="it: data must be 'builtin', a folder with lines.tsv, a .tfrecord .*pages .*, "
            f"got {got}",
        ):
            read(tmp_path / "it")


def test_builtin_lines_are_those_of_the_pairs():
    lines, pairs = builtin_lines(DATA), load_pairs("builtin", DATA)
    assert [lines.groups.count(split) for split in ("train", "validation", "test")] == [16, 4, 5]
    assert (
        lines.names[:16] == pairs.train.names
        and lines.transcripts[16:20] == pairs.validation.transcripts
    )
    assert all(
        np.array_equal(fit_line(line.clean, 32, 64)[0], image)
        for line, image in zip(lines.lines, pairs.train.clean, strict=False)
    )


def test_degraded_images_of_the_source_are_used_as_they_are(folder):
    alone = load_pairs(str(folder), DATA).train
    add_twins(folder, ["page3_0.png", "page3/1.png"])
    pairs = load_pairs(str(folder), DATA)
    seen = len(pairs.train) + len(pairs.validation)
    assert (
        f"the degraded images of 2 of {seen} lines are those of the source, the others were made"
        in pairs.notes
    )
    from_source = [name.startswith("page3") and "2" not in name for name in pairs.train.names]
    for i, twin in enumerate(from_source):
        inside = pairs.train.degraded[i, :, : pairs.train.widths[i]]
        assert (inside == 200).all() == twin
        assert np.array_equal(pairs.train.degraded[i], alone.degraded[i]) != twin
    assert sum(from_source) == 2
    add_twins(
        folder, [row.split("\t")[0] for row in (folder / "lines.tsv").read_text().splitlines()]
    )
    assert "the degraded images are those of the source" in load_pairs(str(folder), DATA).notes


def test_a_tfrecord_is_split_in_its_order(records, cache):
    path, lines = records
    pairs = load_pairs(str(path), DATA, charset_file=path.with_name("charset.txt"))
    test = load_lines(cache / pairs.digest / "test.npz")
    assert [len(part) for part in (pairs.train, pairs.validation, test)] == [17, 2, 2]
    for first, part in ((0, pairs.train), (17, pairs.validation), (19, test)):
        for i in range(len(part)):
            for made, image in (
                (part.clean, lines[first + i].clean),
                (part.degraded, lines[first + i].degraded),
            ):
                assert np.array_equal(made[i], fit_line(image, 32, 64)[0])
    assert pairs.charset.characters == "ab"
    assert "the degraded images are those of the source" in pairs.notes
    assert (
        "lines are split 80/10/10 by their order in the file: 17 train, 2 validation, 2 test "
        "(the original experiment: 90/10, no test lines)"
    ) in pairs.notes
    half = load_pairs(str(path), HALF, charset_file=path.with_name("charset.txt"))
    assert half.recognizer_lines().names == pairs.train.names[:8]
    assert half.train.names == pairs.train.names[8:]
    with pytest.raises(ValueError, match="cannot be read without its charset"):
        load_pairs(str(path), DATA)


def test_other_degraded_images_leave_the_clean_digest(records):
    path, lines = records
    digests = []
    for spoil in ("clean", "degraded", None):
        changed = [
            dataclasses.replace(line, **{spoil: getattr(line, spoil) // 2}) if spoil else line
            for line in lines
        ]
        write_tfrecord(path, changed, Charset("ab"))
        pairs = load_pairs(str(path), DATA, charset_file=path.with_name("charset.txt"))
        digests.append((pairs.digest, pairs.clean_digest))
    (clean, clean_clean), (degraded, degraded_clean), (before, before_clean) = digests
    assert len({clean, degraded, before}) == 3
    assert degraded_clean == before_clean != clean_clean


def test_pages_are_split_by_page(pages):
    pairs = load_pairs(str(pages), DATA)
    assert len(pairs.train) == len(pairs.validation) == 2
    assert (
        len(set(pairs.train.groups)) == 1 and pairs.train.groups[0] not in pairs.validation.groups
    )
    Image.new("L", (120, 128), 9).save(pages / f"{pairs.train.groups[0]}.png")
    after = load_pairs(str(pages), DATA)
    assert after.digest != pairs.digest and (after.train.clean[:, :, :60] == 9).all()
    (pages / "p2.xml").unlink()
    with pytest.raises(
        ValueError, match="at least 3 groups are needed, .*got 2 .*three pages or more"
    ):
        load_pairs(str(pages), DATA)


def test_a_page_whose_image_lies_one_folder_up(pages):
    up = pages.with_name("document")
    (up / "page").mkdir(parents=True)
    for path in pages.iterdir():
        path.rename(up / ("page" if path.suffix == ".xml" else ".") / path.name)
    before = load_pairs(str(up / "page"), DATA)
    Image.new("L", (120, 128), 9).save(up / "p0.png")
    assert load_pairs(str(up / "page"), DATA).digest != before.digest


def test_a_raw_line_is_let_go_when_it_is_fitted(records, monkeypatch):
    alive = []

    def counted(image, height, width):
        alive.append(sum(image() is not None for image in references))
        return fit_line(image, height, width)

    def read(path, charset):
        lines = tuple(
            dataclasses.replace(line, clean=line.clean.copy(), degraded=None) for line in records[1]
        )
        references.extend(weakref.ref(line.clean) for line in lines)
        return RawLines(lines, in_file_order=True)

    references = []
    monkeypatch.setattr(source, "read_source", read)
    monkeypatch.setattr("ganhtr.data.fitting.fit_line", counted)
    load_pairs(str(records[0]), DATA)
    assert alive == list(range(21, 0, -1))


def test_the_module_and_cached_pairs_need_nothing_that_draws(records, folder):
    """Training imports the module, and must do so with little installed."""
    load_pairs(str(folder), DATA)
    program = (
        "import sys\n"
        "from ganhtr.config import DataConfig\n"
        "from ganhtr.data.source import load_pairs\n"
        f"load_pairs({str(folder)!r}, {DATA!r})\n"
        "heavy = {'PIL', 'scipy', 'defusedxml', 'crc32c', 'typer', 'rich', 'HersheyFonts'}\n"
        "print(heavy & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert ran.stdout.strip() == "set()"
