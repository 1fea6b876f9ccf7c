"""Tests of folders of lines: what is read, skipped and refused, and writing them again."""

import os
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganhtr.data.folder import group_of, read_folder, write_folder
from ganhtr.data.image_file import read_grey
from ganhtr.data.raw import RawLine

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("GANHTR_TEST_DATA", ROOT / ".." / "shared" / "data")) / "lines"
GRADIENT = np.tile(np.linspace(0, 255, 24, dtype=np.uint8), (10, 1))


def write(folder, table, images=()):
    """A folder with a table (text or bytes) and a grey image under each name."""
    folder.mkdir(exist_ok=True)
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(GRADIENT).save(folder / name)
    (folder / "lines.tsv").write_bytes(table if isinstance(table, bytes) else table.encode())
    return folder


def with_bad_row(folder, row):
    """A folder whose rows 1, 3 and 4 are good and whose row 2 is given."""
    images = ["a_l1.png", "b_l1.png", "b_l2.png", "x.png"]
    return write(folder, f"a_l1.png\tA\n{row}\nb_l1.png\tB\nb_l2.png\tC\n", images)


def test_transcripts_are_untouched_but_for_nfc(tmp_path):
    texts = ["Nassauw,  A!", " en de ", "e\u0301te\u0301", "a\u2028b\x0cc", "\u00a0x"]
    rows = "".join(f"{i}.png\t{text}\r\n\r\n" for i, text in enumerate(texts))
    lines = read_folder(
        write(tmp_path, b"\xef\xbb\xbf" + rows.encode(), [f"{i}.png" for i in range(5)])
    )
    assert lines.transcripts == (
        "Nassauw,  A!",
        " en de ",
        "\u00e9t\u00e9",
        "a\u2028b\x0cc",
        "\u00a0x",
    )
    assert lines.names == ("0.png", "1.png", "2.png", "3.png", "4.png")
    assert len(lines) == len(lines.lines) == 5
    assert len(lines.notes) == 1 and lines.notes[0].startswith("each line is a group of its own")


def test_images_keep_their_size_and_values(tmp_path):
    write(tmp_path, "a_1.png\tA\na_2.png\tB\n", ["a_1.png"])
    Image.fromarray(GRADIENT.T.copy()).save(tmp_path / "a_2.png")
    images = [line.clean for line in read_folder(tmp_path).lines]
    assert [image.dtype for image in images] == [np.uint8] * 2
    assert (images[0] == GRADIENT).all() and (images[1] == GRADIENT.T).all()


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("br_0020_l01.png", "br_0020"),
        ("m18_candide_11-659c2_l03.png", "m18_candide_11-659c2"),
        ("tp_AN-0374-0_l9.png", "tp_AN-0374-0"),
        ("page 7 line 12.tif", "page 7 line"),
        ("page7/03.png", "page7"),
        ("a/br_0020_l01.png", "a/br_0020"),
        ("0012.png", "0012"),
        ("l01.png", "l01"),
        ("_01.png", "_01"),
        ("wills.png", "wills"),
        ("wills_last.png", "wills_last"),
        (".", "."),
    ],
)
def test_group_of_a_file_name(name, group):
    assert group_of(name) == group


def test_a_third_column_names_the_group(tmp_path):
    table = "a_1.png\tA\tJan\na_2.png\tB\t\nsub/3.png\tC\n"
    lines = read_folder(write(tmp_path, table, ["a_1.png", "a_2.png", "sub/3.png"]))
    assert lines.groups == ("Jan", "a", "sub")


@pytest.mark.parametrize(
    ("row", "note", "fault"),
    [
        (
            "x.png",
            "row without two or three columns): lines.tsv:2",
            "a row must be file TAB transcription [TAB group], got 1 columns.",
        ),
        ("x.png\tX\tg\tmore", "row without two or three columns): x.png", "got 4 columns."),
        ("\tX", "row without a file name): lines.tsv:2", "the file name is empty ('')."),
        (
            "../x.png\tX",
            "file outside the folder): ../x.png",
            "the file must be in the folder of the table, got '../x.png'.",
        ),
        (
            "sub/../../x.png\tX",
            "file outside the folder): sub/../../x.png",
            "the file must be in the folder",
        ),
        ("/etc/x.png\tX", "file outside the folder): /etc/x.png", "got '/etc/x.png'."),
        ("y.png\tX", "image missing): y.png", "the image 'y.png' does not exist in the folder"),
        ("y" * 400 + "\tX", "image missing): yyy", "does not exist in the folder"),
        ("y\0.png\tX", "image missing): y", "does not exist in the folder"),
        (".\tX", "image missing): .", "does not exist in the folder"),
        (
            "./a_l1.png\tX",
            "image named twice): a_l1.png",
            "'a_l1.png' is already named in another row.",
        ),
        ("x.png\t", "empty transcription): x.png", "the transcription is empty ('')."),
        ("x.png\t  ", "empty transcription): x.png", "the transcription is empty ('  ')."),
    ],
)
def test_a_bad_row_is_skipped_and_named(tmp_path, row, note, fault):
    lines = read_folder(with_bad_row(tmp_path / "many", row))
    assert lines.transcripts == ("A", "B", "C")
    assert len(lines.notes) == 1 and lines.notes[0].startswith(f"1 skipped ({note}")
    few = write(tmp_path / "few", f"a_l1.png\tA\n\n{row}\n{row}\n{row}\n", ["a_l1.png", "x.png"])
    with pytest.raises(ValueError) as caught:
        read_folder(few)
    listed = str(caught.value).split("\n")
    assert (
        listed[0] == f"{few / 'lines.tsv'}: at least half of the lines must be usable, got 1 of 4. "
        "Correct these rows"
    )
    assert (
        len(listed) == 4 and listed[1].startswith(f"{few / 'lines.tsv'}:3: ") and fault in listed[1]
    )


def damage(path, kind):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(path)
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not an image")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        Image.new("1", (12_000, 8_000)).save(path)  # 96 million pixels in 12 kB


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("empty", "UnidentifiedImageError"),
        ("text", "UnidentifiedImageError"),
        ("truncated", "OSError"),
        ("bomb", "DecompressionBombWarning"),
    ],
)
def test_a_damaged_image_is_skipped_and_named(tmp_path, kind, error):
    folder = with_bad_row(tmp_path, "x.png\tX")
    damage(folder / "x.png", kind)
    lines = read_folder(folder)
    assert lines.transcripts == ("A", "B", "C") and lines.notes == (
        "1 skipped (image unreadable): x.png",
    )
    (folder / "lines.tsv").write_text("x.png\tX\n")
    with pytest.raises(
        ValueError, match=f":1: cannot read the image x.png: {error}: .*Save it again"
    ):
        read_folder(folder)


@pytest.mark.parametrize("size", [(40, 1), (40, 7), (7, 40)])
def test_a_tiny_image_is_skipped_and_named(tmp_path, size):
    folder = with_bad_row(tmp_path, "x.png\tX")
    Image.new("L", size).save(folder / "x.png")
    assert read_folder(folder).notes == ("1 skipped (image too small): x.png",)
    Image.new("L", (8, 8)).save(folder / "x.png")
    assert read_folder(folder).notes == ()


def test_a_note_counts_all_and_names_five(tmp_path):
    good = [f"g_{i}.png" for i in range(9)]
    rows = [f"{name}\tA" for name in good] + [f"m{i}.png\tA" for i in range(7)] + ["g_0.png\tB"]
    notes = read_folder(write(tmp_path, "\n".join(rows), good)).notes
    assert notes == (
        "7 skipped (image missing): m0.png, m1.png, m2.png, m3.png, m4.png, ...",
        "1 skipped (image named twice): g_0.png",
    )


def test_half_of_the_lines_is_enough_and_less_is_not(tmp_path):
    folder = write(
        tmp_path, "g_1.png\tA\ng_2.png\tB\nno1.png\tA\nno2.png\tA\n", ["g_1.png", "g_2.png"]
    )
    assert len(read_folder(folder)) == 2
    with (folder / "lines.tsv").open("a") as table:
        table.writelines(f"no{i}.png\tA\n" for i in range(3, 26))
    with pytest.raises(ValueError) as caught:
        read_folder(folder)
    listed = str(caught.value).split("\n")
    assert listed[0].endswith("half of the lines must be usable, got 2 of 27. Correct these rows")
    assert [row.split(": ")[0] for row in listed[1:21]] == [
        f"{folder / 'lines.tsv'}:{n}" for n in range(3, 23)
    ]
    assert listed[21:] == ["and 5 more"]


def test_what_is_no_folder_of_lines_raises(tmp_path):
    with pytest.raises(
        ValueError,
        match="nowhere: must be a folder of line images with lines.tsv, but is not a folder",
    ):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(
        ValueError,
        match=r"lines.tsv: cannot read the table of lines: No such file or directory. "
        "Write one row",
    ):
        read_folder(tmp_path)
    with pytest.raises(
        ValueError, match=r"lines.tsv:3: text must be UTF-8, got byte 0xe9. Save the table as UTF-8"
    ):
        read_folder(write(tmp_path, "a.png\té\n\nb.png\t".encode() + b"\xe9t\xe9\n"))
    for empty in ("", "\n \r\n\t\n", "\ufeff"):
        with pytest.raises(
            ValueError, match="half of the lines must be usable, got 0 of 0. Write one row"
        ):
            read_folder(write(tmp_path, empty))


def with_degraded_image(folder, size=(24, 10), name="a_l1.png"):
    """Three good lines, one of which has a degraded image."""
    folder = with_bad_row(folder, "x.png\tX")
    (folder / "degraded" / name).parent.mkdir(parents=True)
    Image.new("L", size, 90).save(folder / "degraded" / name)
    return folder


def test_an_image_in_the_folder_degraded_belongs_to_its_line(tmp_path):
    lines = read_folder(with_degraded_image(tmp_path)).lines
    assert [line.degraded is None for line in lines] == [False, True, True, True]
    assert (
        (lines[0].degraded == 90).all()
        and lines[0].degraded.shape == (10, 24)
        and (lines[0].clean == GRADIENT).all()
    )
    write(tmp_path / "below", "sub/a.png\tA\n", ["sub/a.png", "degraded/sub/a.png"])
    assert (read_folder(tmp_path / "below").lines[0].degraded == GRADIENT).all()


@pytest.mark.parametrize(
    ("spoil", "note"),
    [
        (
            lambda twin: Image.new("L", (24, 11)).save(twin),
            "degraded image of another size): a_l1.png",
        ),
        (lambda twin: twin.write_bytes(b"no image"), "image unreadable): degraded/a_l1.png"),
        (
            lambda twin: twin.unlink() or twin.symlink_to("nowhere"),
            "image missing): degraded/a_l1.png",
        ),
    ],
)
def test_a_line_with_a_bad_twin_is_skipped_and_named(tmp_path, spoil, note):
    spoil(with_degraded_image(tmp_path) / "degraded" / "a_l1.png")
    lines = read_folder(tmp_path)
    assert lines.transcripts == ("X", "B", "C") and lines.notes[0] == f"1 skipped ({note}"


def raw(name="a", group="g", transcript="A", degraded=False):
    return RawLine(
        name, group, transcript, GRADIENT, GRADIENT[:, ::-1].copy() if degraded else None
    )


def written(folder, lines):
    """Write lines and read them again; return the lines read and the notes of writing."""
    count, notes = write_folder(folder, lines)
    back = read_folder(folder)
    assert len(back) == count
    return back, notes


def test_what_is_written_is_read_again(tmp_path):
    lines = [
        raw("a/1.jpg", "Jan", " é a "),
        raw("a/2", "Jan", "\u2028", degraded=True),
        raw("a/3.tif", "Piet", "x"),
    ]
    with pytest.raises(ValueError, match="out: at least one line must have text, got none"):
        write_folder(tmp_path / "out", iter([raw(transcript="\n")]))
    back, notes = written(tmp_path / "out", iter(lines))
    assert notes == ("1 lines without text were left out",)  # a line separator alone is white space
    assert (back.names, back.groups, back.transcripts) == (
        ("a_1.png", "a_3.png"),
        ("Jan", "Piet"),
        (" é a ", "x"),
    )
    back, notes = written(
        tmp_path / "twin", [raw("a/2", "Jan", "a\u2028", degraded=True), raw("b", "Jan", "x")]
    )
    assert notes == () and back.transcripts == ("a\u2028", "x")
    assert (back.lines[0].clean == GRADIENT).all() and (
        back.lines[0].degraded == GRADIENT[:, ::-1]
    ).all()
    assert back.lines[1].degraded is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "twin"]


def test_tabs_and_line_breaks_become_spaces(tmp_path):
    back, notes = written(
        tmp_path / "out", [raw("1", "g\th", "a\tb\r\nc\nd\re"), raw("2", "g\n", "plain")]
    )
    assert back.transcripts == ("a b c d e", "plain") and back.groups == ("g h", "g")
    assert notes == ("1 transcriptions had tabs or line breaks, which became spaces",)


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (("0077/l_1", "0077/l_2.PNG"), ("0077_l_1.png", "0077_l_2.png")),
        (("../x", "/etc/x"), ("_x.png", "_etc_x.png")),
        (("a", "A.png", "a.jpg", "a-2"), ("a.png", "A-2.png", "a-3.png", "a-2-2.png")),
        (("", "..", ". "), ("line.png", "line-2.png", "line-3.png")),
        (("degraded/a", "a.0"), ("degraded_a.png", "a.0.png")),
        (("a\tb\n", "\ufeffx", "\udc80"), ("a_b_.png", "_x.png", "_.png")),
        (("é" * 200, "é" * 201), ("é" * 100 + ".png", "é" * 100 + "-2.png")),
    ],
)
def test_names_become_distinct_file_names(tmp_path, names, files):
    back, _ = written(tmp_path / "out", [raw(name, f"g{i}") for i, name in enumerate(names)])
    assert back.names == files and len(set(back.groups)) == len(names)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=8), st.text(min_size=1, max_size=8), st.text(max_size=8)),
        min_size=1,
        max_size=4,
    )
)
def test_any_line_comes_back_or_is_left_out(rows):
    with tempfile.TemporaryDirectory() as folder:
        lines = [raw(name, group, f"{text}.") for name, group, text in rows]
        back, _ = written(Path(folder) / "out", lines)
        texts = [
            unicodedata.normalize("NFC", f"{text}.".replace("\r\n", " ")) for _, _, text in rows
        ]
        assert back.transcripts == tuple(
            text.translate(dict.fromkeys(map(ord, "\t\r\n"), " ")) for text in texts
        )


def test_an_interrupted_writing_leaves_nothing_behind(tmp_path):
    def broken():
        yield raw("1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "out", broken())
    assert list(tmp_path.iterdir()) == []
    write_folder(tmp_path / "out", [raw("1")])
    with pytest.raises(OSError):
        write_folder(tmp_path / "out", [raw("2")])
    assert read_folder(tmp_path / "out").names == ("1.png",)


def saved(tmp_path, image, suffix=".png", **options):
    path = tmp_path / f"image{suffix}"
    image.save(path, **options)
    return read_grey(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bits_are_scaled_not_clipped(tmp_path, suffix):
    deep = GRADIENT.astype(np.uint16) * 257
    assert (saved(tmp_path, Image.fromarray(deep), suffix) == GRADIENT).all()
    deep[0, :3] = 257 * 100 + np.array([-128, 128, 129])
    assert saved(tmp_path, Image.fromarray(deep), suffix)[0, :3].tolist() == [100, 100, 101]


def test_wide_integers_and_floats(tmp_path):
    assert (
        saved(tmp_path, Image.fromarray(GRADIENT.astype(np.int32) * 257), ".tif") == GRADIENT
    ).all()
    assert (
        saved(tmp_path, Image.fromarray(GRADIENT.astype(np.float32) / 255), ".tif") == GRADIENT
    ).all()
    assert (saved(tmp_path, Image.fromarray(GRADIENT.astype(np.float32)), ".tif") == GRADIENT).all()
    for bad in (70_000, -1, np.nan):
        wrong = np.full((8, 8), bad, dtype=np.float32 if bad != 70_000 else np.int32)
        with pytest.raises(ValueError, match="values must lie between 0 and"):
            saved(tmp_path, Image.fromarray(wrong), ".tif")


@pytest.mark.parametrize(
    ("mode", "color", "grey"),
    [
        ("1", 1, 255),
        ("1", 0, 0),
        ("LA", (40, 255), 40),
        ("LA", (40, 0), 255),
        ("LA", (0, 51), 204),
        ("RGBA", (0, 0, 0, 0), 255),
        ("RGBA", (40, 40, 40, 255), 40),
        ("RGBA", (0, 0, 0, 51), 204),
        ("RGB", (255, 0, 0), 76),
        ("RGB", (0, 255, 0), 150),
        ("RGB", (0, 0, 255), 29),
        ("CMYK", (0, 0, 0, 0), 255),
        ("CMYK", (0, 0, 0, 155), 100),
        ("CMYK", (255, 255, 255, 0), 0),
    ],
)
def test_every_mode_becomes_grey_on_white(tmp_path, mode, color, grey):
    image = saved(tmp_path, Image.new(mode, (12, 9), color), ".tif" if mode == "CMYK" else ".png")
    assert image.shape == (9, 12) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - grey).max() <= 1


def test_palettes_are_looked_up_and_their_holes_are_paper(tmp_path):
    image = Image.new("P", (9, 9), 1)
    image.putpalette([200, 200, 200, 30, 30, 30, 0, 0, 0])
    image.putpixel((0, 0), 0)
    image.putpixel((1, 0), 2)
    grey = saved(tmp_path, image)
    assert grey[0, :3].tolist() == [200, 0, 30]
    assert saved(tmp_path, image, transparency=2)[0, :3].tolist() == [200, 255, 30]


def test_exif_turns_the_image_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # held with its right side up: to be turned a quarter clockwise
    assert (saved(tmp_path, Image.fromarray(GRADIENT), exif=exif) == np.rot90(GRADIENT, -1)).all()


@pytest.mark.skipif(
    not REAL.is_dir(), reason=f"no real lines at {REAL}; set GANHTR_TEST_DATA to the data folder"
)
def test_the_real_lines():
    lines = read_folder(REAL)
    assert (len(lines), len(set(lines.groups)), lines.notes) == (641, 59, ())
    rows = (REAL / "lines.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert [
        f"{name}\t{text}" for name, text in zip(lines.names, lines.transcripts, strict=True)
    ] == rows
    assert {line.clean.shape[0] for line in lines.lines} == {128}
