"""`python -m ganhtr restore`: files, skipped inputs, refused arguments and exit codes."""

import sys
from pathlib import Path

import jiwer
import numpy as np
import pytest
import torch
from PIL import Image

from ganhtr import __main__, restore
from ganhtr.data.image_file import read_grey
from ganhtr.data.pages.pages import read_page
from ganhtr.train.model_folder import load_model
from tests.made_model import save_model

PAGE = """<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
 <Page imageFilename="page.png" imageWidth="150" imageHeight="100"><TextRegion>
 <TextLine id="l1"><Coords points="10,5 140,8 138,40 10,44"/>
 <TextEquiv><Unicode>bad cab</Unicode></TextEquiv></TextLine>
 <TextLine id="l2"><Coords points="10,50 140,50 140,90 10,90"/></TextLine>
 </TextRegion></Page></PcGts>"""
HEAD = [
    "file",
    "line",
    "reading_before",
    "reading_after",
    "transcription",
    "cer_before",
    "cer_after",
]


@pytest.fixture
def model(tmp_path, small, new_state, inputs):
    save_model(tmp_path / "model", new_state(small()), inputs.guide)
    return tmp_path / "model"


@pytest.fixture
def run(model, tmp_path, monkeypatch, capsys):
    """run(*words): exit code, stdout and stderr of the command, with default --model and --out."""

    def call(*words):
        options = [
            *([] if "--model" in words else ["--model", model]),
            *([] if "--out" in words else ["--out", tmp_path / "out"]),
        ]
        monkeypatch.setattr(sys, "argv", ["ganhtr", "restore", *map(str, [*words, *options])])
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        return (ended.value.code, *capsys.readouterr())

    return call


@pytest.fixture
def lines(tmp_path):
    """A folder of line images of several kinds."""
    folder = tmp_path / "lines"
    folder.mkdir()
    grey = np.random.default_rng(0).integers(60, 255, (40, 120), dtype=np.uint8)
    Image.fromarray(grey).save(folder / "a.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "b.tif")
    Image.fromarray(np.dstack([grey, grey, grey, np.full_like(grey, 128)])).save(folder / "c.png")
    Image.fromarray(grey[:20, :300]).convert("P").save(folder / "d.gif")
    Image.fromarray(np.tile(grey, 5)).convert("RGB").save(folder / "e.jpg")
    return folder


@pytest.fixture
def page(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    Image.fromarray(np.random.default_rng(1).integers(60, 255, (100, 150), dtype=np.uint8)).save(
        folder / "page.png"
    )
    (folder / "page.xml").write_text(PAGE)
    return folder / "page.xml"


def table(out):
    rows = [
        row.split("\t")
        for row in (out / "readings.tsv").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    ]
    assert rows[0] == HEAD and {len(row) for row in rows} == {7}
    return rows[1:]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_lines_of_every_kind_come_back_at_their_size(run, lines, model, tmp_path):
    code, output, _ = run(lines, "--device", "cpu")
    assert code == 0 and output == f"{tmp_path / 'out'}: 5 lines restored\n"
    assert names(tmp_path / "out") == ["a.png", "b.png", "c.png", "d.png", "e.png", "readings.tsv"]
    loaded = load_model(model, torch.device("cpu"))
    for source, row in zip(sorted(lines.iterdir()), table(tmp_path / "out"), strict=True):
        grey = read_grey(source)
        (expected,) = restore.restore_lines(loaded, [grey])
        with Image.open(tmp_path / "out" / f"{source.stem}.png") as restored:
            assert (restored.format, restored.mode) == ("PNG", "L") and restored.size == grey.shape[
                ::-1
            ]
            assert np.abs(np.asarray(restored).astype(int) - expected.image).max() <= 1
        assert row == [str(source), "", expected.before, expected.after, "", "", ""]


def test_a_page_comes_back_whole_with_its_readings(run, page, model, tmp_path):
    code, output, _ = run(page.parent)
    assert code == 0 and "2 lines restored, 1 pages" in output
    assert names(tmp_path / "out") == ["page.png", "readings.tsv"]
    expected = restore.restore_page(load_model(model, torch.device("cpu")), read_page(page))
    assert (read_grey(tmp_path / "out" / "page.png") == expected.image).all()
    original = read_grey(page.with_suffix(".png"))
    assert (expected.image[44:50] == original[44:50]).all() and (
        expected.image[50:90, 10:140] != original[50:90, 10:140]
    ).any()
    first, second = (line for _, line in expected.lines)
    cers = [f"{jiwer.cer('bad cab', reading):.4f}" for reading in (first.before, first.after)]
    assert table(tmp_path / "out") == [
        [str(page), "l1", first.before, first.after, "bad cab", *cers],
        [str(page), "l2", second.before, second.after, "", "", ""],
    ]
    assert (
        f"CER of the guide: {float(cers[0]):.3f} before, {float(cers[1]):.3f} after "
        "(1 lines with a transcription, 7 characters)" in output
    )


def test_lines_and_pages_together(run, lines, page, tmp_path):
    code, output, _ = run(page, lines)
    assert code == 0 and "7 lines restored, 1 pages" in output
    assert [Path(row[0]).name for row in table(tmp_path / "out")] == [
        "a.png",
        "b.tif",
        "c.png",
        "d.gif",
        "e.jpg",
        "page.xml",
        "page.xml",
    ]


def test_the_unusable_is_counted_named_and_skipped(run, lines, page, tmp_path):
    (lines / "bad.png").write_bytes(b"\x89PNG no more")
    Image.new("L", (90, 1)).save(lines / "flat.png")
    (lines / "alone.xml").write_text(PAGE.replace("page.png", "gone.png"))
    page.write_text(PAGE.replace("10,5 140,8 138,40 10,44", "10,5 140,5 140,9 10,9"))
    damaged = (page.parent / "torn.png", page.parent / "torn.xml")
    damaged[0].write_bytes(page.with_suffix(".png").read_bytes()[:-200])
    damaged[1].write_text(PAGE.replace("page.png", "torn.png"))
    code, output, errors = run(lines, page.parent)
    assert code == 1 and "6 lines restored, 1 pages" in output
    assert errors.startswith("5 skipped:\n")
    for words in (
        f"{lines / 'bad.png'}: cannot read this image (",
        f"{lines / 'flat.png'}: a line must be at least 8 px",
        f"{lines / 'alone.xml'}: no image found next to",
        f"{page}: line l1: a line must be at least 8 px",
        f"{damaged[1]}: cannot read the image torn.png",
    ):
        assert words in errors
    assert names(tmp_path / "out") == [
        "a.png",
        "b.png",
        "c.png",
        "d.png",
        "e.png",
        "page.png",
        "readings.tsv",
    ]
    assert len(table(tmp_path / "out")) == 6


def test_all_skipped_is_no_wrong_call(run, lines, tmp_path):
    (lines / "bad.png").write_bytes(b"")
    assert run(lines / "bad.png")[0] == 1 and names(tmp_path / "out") == ["readings.tsv"]
    (lines / "page.xml").write_text("<alto/>")
    assert run(lines / "page.xml", "--force")[0] == 1


def test_nothing_is_overwritten_without_force(run, lines, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "e.png").write_text("mine")
    code, _, errors = run(lines)
    assert code == 2 and f"--out: {out / 'e.png'} would be overwritten" in errors
    assert names(out) == ["e.png"] and (out / "e.png").read_text() == "mine"
    assert (
        run(lines, "--force")[0] == 0
        and read_grey(out / "e.png").shape == read_grey(lines / "e.jpg").shape
    )
    (out / "a.png").unlink()
    assert (
        run(lines / "a.png")[0] == 2 and not (out / "a.png").exists()
    )  # readings.tsv is there already


@pytest.mark.parametrize(
    "words",
    [
        ["none.png"],
        ["lines", "lines/../more"],
        ["lines", "--device", "tpu"],
        ["--force"],
        ["lines", "--model", "lines"],
        ["lines", "--model", "nowhere"],
        ["lines", "--out", "lines/a.png"],
        ["lines", "--out", "lines", "--force"],
    ],
)
def test_a_wrong_call_writes_nothing(run, lines, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more").mkdir()
    Image.new("L", (50, 20)).save(tmp_path / "more" / "a.tif")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    code, output, errors = run(*words)
    assert code == 2 and output == "" and errors.strip() and "Traceback" not in errors
    assert before == {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()
    }
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_is_not_pretended(run, lines):
    code, _, errors = run(lines, "--device", "cuda")
    assert code == 2 and errors.startswith("--device cuda: PyTorch finds no CUDA device")


def test_an_interrupt_leaves_what_is_finished(run, lines, page, tmp_path, monkeypatch):
    def stop(model, page):
        raise KeyboardInterrupt

    monkeypatch.setattr(restore, "restore_page", stop)
    code, output, errors = run(lines, page)
    assert (
        code == 130
        and "5 lines restored" in output
        and "interrupted: 1 of 6 files were not restored" in errors
    )
    assert names(tmp_path / "out") == ["a.png", "b.png", "c.png", "d.png", "e.png", "readings.tsv"]
    assert len(table(tmp_path / "out")) == 5


def test_many_lines_go_in_several_batches(run, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(35):
        Image.fromarray(
            np.random.default_rng(i).integers(0, 255, (20, 30 + i), dtype=np.uint8)
        ).save(folder / f"{i:02d}.png")
    assert run(folder)[0] == 0
    assert [Path(row[0]).name for row in table(tmp_path / "out")] == [
        f"{i:02d}.png" for i in range(35)
    ]
    assert all(
        read_grey(tmp_path / "out" / f"{i:02d}.png").shape == (20, 30 + i) for i in range(35)
    )


def test_a_file_name_with_a_tab_leaves_the_table_whole(run, lines, tmp_path):
    (lines / "a.png").rename(lines / "a\tb.png")
    assert run(lines / "a\tb.png")[0] == 0 and table(tmp_path / "out")[0][0] == f"{lines}/a\\tb.png"


def test_a_folder_that_cannot_be_written(run, lines, tmp_path):
    (tmp_path / "file").write_text("x")
    code, _, errors = run(lines, "--out", tmp_path / "file" / "out")
    assert code == 2 and "cannot be written" in errors and "Choose another folder" in errors
