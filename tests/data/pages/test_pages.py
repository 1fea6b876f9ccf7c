"""Tests of reading ALTO and PAGE files: dialects, skipped lines, errors, damaged files."""

import os
import re
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pytest
from PIL import Image

from ganhtr.data.pages.outline import covered
from ganhtr.data.pages.page_file import LARGEST
from ganhtr.data.pages.pages import is_page, read_page, read_pages

ROOT = Path(__file__).parents[3]
REAL = Path(os.environ.get("GANHTR_TEST_DATA", ROOT / ".." / "shared" / "data")) / "pages"
WIDTH, HEIGHT = 120, 90
ALTOS = {f"alto{n}": f"http://www.loc.gov/standards/alto/ns-v{n}#" for n in (2, 3, 4)}
PAGES = {
    f"page{year}": f"http://schema.primaresearch.org/PAGE/gts/pagecontent/{year}-07-15"
    for year in (2013, 2019)
}
LINES = (
    ("r1", "den 3 Maart", [(10, 10), (80, 12), (78, 30), (9, 28)]),
    ("r2", "", [(10, 35), (90, 35), (90, 52), (10, 52)]),
    ("r3", "Nassauw & C\u00ba", [(20, 60), (100, 58), (110, 75), (60, 80), (15, 77)]),
)


def listed(points, dialect):
    """Return points as a dialect writes them, quoted; text is quoted as it is.

    ALTO 4 of eScriptorium has no commas.
    """
    pairs = (
        points
        if isinstance(points, str)
        else " ".join(f"{x} {y}" if dialect == "alto4" else f"{x},{y}" for x, y in points)
    )
    return quoteattr(pairs)


def alto_line(key, text, points, dialect="alto4", box="", inside=""):
    shape = "" if points is None else f"<Shape><Polygon POINTS={listed(points, dialect)}/></Shape>"
    content = inside or f"<String CONTENT={quoteattr(text)}/>"
    return f"<TextLine ID={quoteattr(key)} {box}>{shape}{content}</TextLine>"


def page_line(key, text, points, dialect="page2019", inside=""):
    coords = "" if points is None else f"<Coords points={listed(points, dialect)}/>"
    return (
        f"<TextLine id={quoteattr(key)}>{coords}"
        f"{inside or f'<TextEquiv><Unicode>{escape(text)}</Unicode></TextEquiv>'}</TextLine>"
    )


def xml_of(
    dialect,
    lines,
    image="p.png",
    size=(WIDTH, HEIGHT),
    unit="<MeasurementUnit>pixel</MeasurementUnit>",
):
    """A page file's text; lines are (id, text, points) or XML as it is."""
    make = alto_line if dialect in ALTOS else page_line
    body = "\n".join(entry if isinstance(entry, str) else make(*entry, dialect) for entry in lines)
    width, height = size
    if dialect in ALTOS:
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<alto xmlns="{ALTOS[dialect]}">'
            f"<Description>{unit}<sourceImageInformation><fileName>{escape(image)}</fileName>"
            "</sourceImageInformation></Description>"
            f'<Layout><Page WIDTH="{width}" HEIGHT="{height}"><PrintSpace>'
            f'<TextBlock ID="b">{body}</TextBlock></PrintSpace></Page></Layout></alto>'
        )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<PcGts xmlns="{PAGES[dialect]}"><Metadata/>'
        f'<Page imageFilename={quoteattr(image)} imageWidth="{width}" imageHeight="{height}">'
        f'<TextRegion id="a"><TextRegion id="b">{body}</TextRegion></TextRegion>'
        "</Page></PcGts>"
    )


def scan(seed=0, size=(WIDTH, HEIGHT)):
    return np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)


def write(folder, name, text, image="p.png"):
    """A page file, with a scan under the image's name unless there is one or none is wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    if image and not (folder / image).exists():
        Image.fromarray(scan()).save(folder / image)
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


@pytest.fixture(params=[*ALTOS, *PAGES])
def dialect(request):
    return request.param


def same(a, b):
    return (
        a.id == b.id
        and a.transcript == b.transcript
        and (a.polygon == b.polygon).all()
        and a.box == b.box
    )


def test_every_dialect_gives_the_same_lines(tmp_path, dialect):
    xml = write(tmp_path, "p.xml", xml_of(dialect, LINES))
    page = read_page(xml)
    assert (page.xml, page.image, page.width, page.height, page.faults) == (
        xml,
        tmp_path / "p.png",
        WIDTH,
        HEIGHT,
        (),
    )
    assert [(line.id, line.transcript) for line in page.lines] == [line[:2] for line in LINES]
    for line, (_, _, points) in zip(page.lines, LINES, strict=True):
        assert line.polygon.dtype == np.float64 and (line.polygon == points).all()
    assert [line.box for line in page.lines] == [
        (9, 10, 80, 30),
        (10, 35, 90, 52),
        (15, 58, 110, 80),
    ]
    assert all(type(side) is int for line in page.lines for side in line.box)


def test_the_box_holds_every_pixel_that_the_polygon_touches(tmp_path, dialect):
    line = ("l", "A", [(10.6, 20.7), (40.2, 21), (30, 35.1)])
    assert read_page(write(tmp_path, "p.xml", xml_of(dialect, [line]))).lines[0].box == (
        10,
        20,
        41,
        36,
    )


def test_transcribed_lines_are_cut_named_and_grouped(tmp_path, dialect):
    lines = read_pages(write(tmp_path, "p.xml", xml_of(dialect, LINES)))
    assert (
        lines.names == ("p/r1", "p/r3") and lines.groups == ("p", "p") and not lines.in_file_order
    )
    assert lines.transcripts == ("den 3 Maart", "Nassauw & C\u00ba")
    assert lines.notes == ("1 lines without transcription left out",)
    for line, points, (left, top, right, bottom) in zip(
        lines.lines, (LINES[0][2], LINES[2][2]), [(9, 10, 80, 30), (15, 58, 110, 80)], strict=True
    ):
        mask = covered(np.array(points, dtype=float), (left, top, right, bottom))
        assert line.clean.dtype == np.uint8 and line.degraded is None and 0.5 < mask.mean() < 1
        assert (line.clean[mask] == scan()[top:bottom, left:right][mask]).all() and len(
            set(line.clean[~mask].tolist())
        ) == 1


def test_a_word_is_a_string_and_a_hyphen_follows_it(tmp_path):
    words = (
        '<Shape/><String CONTENT="ge"/><SP WIDTH="3"/><String CONTENT="schre"/>'
        '<String CONTENT=""/><HYP CONTENT="\u00ac"/>',
        '<String CONTENT=" a  b\u00ad "/>',
        '<String CONTENT="x"/><SP/><SP/><String CONTENT="y"/>',
        "<SP/>",
        '<String CONTENT="  "/>',
    )
    lines = [
        alto_line(f"l{i}", "", [(5, 5), (50, 5), (50, 30)], inside=inside)
        for i, inside in enumerate(words)
    ]
    page = read_page(write(tmp_path, "p.xml", xml_of("alto4", lines)))
    assert [line.transcript for line in page.lines] == [
        "ge schre\u00ac",
        " a  b\u00ad ",
        "x y",
        "",
        "",
    ]


def equiv(text, index=""):
    return f"<TextEquiv {index}><PlainText>plain</PlainText><Unicode>{text}</Unicode></TextEquiv>"


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        (
            equiv("second", 'index="1"')
            + equiv("first", 'index="0"')
            + equiv("third", 'index="10"'),
            "first",
        ),
        (equiv("second", 'index="1"') + equiv("first"), "first"),
        (equiv("second", 'index="x"') + equiv("first", 'index="7"'), "first"),
        (f"<Word>{equiv('wrong')}<Glyph>{equiv('w')}</Glyph></Word>" + equiv("own"), "own"),
        (
            f"<Word>{equiv('two')}<Glyph>{equiv('t')}</Glyph></Word><Word/>"
            f"<Word>{equiv('words', 'index=' + repr('1'))}{equiv('Words')}</Word>",
            "two Words",
        ),
        (f"<Word>{equiv('word')}</Word>{equiv('  ')}", "word"),
        ("<TextEquiv><Unicode/></TextEquiv>", ""),
        ("<TextEquiv/>", ""),
        ("<Baseline points='1,1 2,2'/>", ""),
    ],
)
def test_a_line_of_page_prefers_its_text_to_that_of_its_words(tmp_path, inside, text):
    xml = write(
        tmp_path,
        "p.xml",
        xml_of("page2019", [page_line("l", "", [(5, 5), (50, 5), (50, 30)], inside=inside)]),
    )
    assert [line.transcript for line in read_page(xml).lines] == [text]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("e\u0301te\u0301", "\u00e9t\u00e9"),
        ("ver\u00adder  \u017fo ", "ver\u00adder  \u017fo "),
        ("\u00a0x\u2028y", "\u00a0x\u2028y"),
        ("one\ntwo", "one two"),
        ("one&#13;&#10;two", "one two"),
        ("\n    one  b\n    two\n  ", "one  b two"),
        (" \n ", ""),
        ("&#9;a", "\ta"),
    ],
)
def test_transcripts_are_untouched_but_for_nfc_and_line_breaks(tmp_path, written, read):
    inside = f"<TextEquiv><Unicode>{written}</Unicode></TextEquiv>"
    xml = write(
        tmp_path,
        "p.xml",
        xml_of("page2013", [page_line("l", "", [(5, 5), (50, 5), (50, 30)], inside=inside)]),
    )
    assert [line.transcript for line in read_page(xml).lines] == [read]


BOX = 'HPOS="10.5" VPOS="20" WIDTH="30" HEIGHT="{height}"'


@pytest.mark.parametrize("points", [None, "", "10 20 30 40"])
def test_a_box_stands_for_a_missing_polygon(tmp_path, points):
    xml = write(
        tmp_path,
        "p.xml",
        xml_of("alto3", [alto_line("l", "A", points, box=BOX.format(height=14.2))]),
    )
    (line,) = read_page(xml).lines
    assert line.polygon is None and line.box == (10, 20, 41, 35)
    assert (read_pages(xml).lines[0].clean == scan()[20:35, 10:41]).all()
    xml = write(
        tmp_path,
        "p.xml",
        xml_of("alto3", [alto_line("l", "A", [(1, 1), (9, 1), (9, 9)], box=BOX.format(height=14))]),
    )
    assert read_page(xml).lines[0].box == (1, 1, 9, 9)


def test_what_reaches_over_the_edge_is_cut(tmp_path, dialect):
    points = [(-20, -10), (60, -10), (60, 30), (-20, 30)]
    lines = [("l", "A", points), ("m", "B", [(110, 40), (200, 40), (110, 130)])]
    first, second = read_page(write(tmp_path, "p.xml", xml_of(dialect, lines))).lines
    assert first.box == (0, 0, 60, 30) and {tuple(point) for point in first.polygon} == {
        (0, 0),
        (60, 0),
        (60, 30),
        (0, 30),
    }
    assert second.box == (110, 40, 120, 90)
    mask = covered(second.polygon, second.box)
    assert (mask == covered(np.array(lines[1][2], dtype=float), second.box)).all() and mask.all()
    assert (read_pages(tmp_path).lines[0].clean == scan()[:30, :60]).all()


FAULTS = [  # points, box, why, fault
    (None, "", "no place on the page", "the line has neither a polygon nor a box"),
    ("", "", "no place on the page", "the line has neither a polygon nor a box"),
    (
        "1,2 3,4",
        "",
        "polygon with fewer than 3 points",
        "the polygon must have at least 3 points, got 2",
    ),
    ("1,2 3,4 x,9", "", "invalid coordinates", "could not convert string to float"),
    ("1,2 3,4 5,6 7", "", "invalid coordinates", "got '1,2 3,4 5,6 7'"),
    ("1,2 3,4 nan,9", "", "invalid coordinates", "nan is out of range"),
    ("1,2 3,4 inf,9", "", "invalid coordinates", "inf is out of range"),
    ("1,2 3,4 5,1e300", "", "invalid coordinates", "1e+300 is out of range"),
    (
        "5,5 9,9 20,20",
        "",
        "no area",
        "line must enclose an area, got x from 5 to 20 and y from 5 to 20",
    ),
    ("5,5 40,5 5,5", "", "no area", "line must enclose an area"),
    ("7,7 7,7 7,7", "", "no area", "line must enclose an area"),
    (
        "130,5 140,5 140,20",
        "",
        "outside the page",
        "line must lie on the page of 120 x 90 px, got x from 130 to 140",
    ),
    ("-30,5 -1,5 -1,20", "", "outside the page", "line must lie on the page"),
    (
        "-10,80 -10,100 10,100",
        "",
        "outside the page",
        "line must lie on the page",
    ),  # passes the corner by
    (None, 'HPOS="5" VPOS="5" WIDTH="0" HEIGHT="9"', "no area", "line must enclose an area"),
    (None, 'HPOS="50" VPOS="50" WIDTH="-20" HEIGHT="-20"', "no area", "line must enclose an area"),
    (
        None,
        'HPOS="500" VPOS="5" WIDTH="9" HEIGHT="9"',
        "outside the page",
        "line must lie on the page",
    ),
    (None, 'HPOS="5" VPOS="5" WIDTH="many" HEIGHT="9"', "invalid coordinates", "many"),
    (
        None,
        'HPOS="5" VPOS="5" WIDTH="" HEIGHT="9"',
        "invalid coordinates",
        "one number too many or too few",
    ),
    (
        None,
        'HPOS="5" VPOS="5" WIDTH="9"',
        "no place on the page",
        "the line has neither a polygon nor a box",
    ),
]


@pytest.mark.parametrize(
    ("kind", "points", "box", "why", "fault"),
    [*(("alto4", *row) for row in FAULTS), *(("page2019", *row) for row in FAULTS if not row[1])],
)  # PAGE has no boxes
def test_a_line_without_a_place_is_skipped_and_named(tmp_path, kind, points, box, why, fault):
    bad = (
        alto_line("bad", "B", points, box=box) if kind == "alto4" else page_line("bad", "B", points)
    )
    xml = write(tmp_path, "p.alto.xml", xml_of(kind, [LINES[0], bad, LINES[2]]))
    page = read_page(xml)
    assert [line.id for line in page.lines] == ["r1", "r3"]
    assert [(one.why, one.name, one.place) for one in page.faults] == [
        (why, "p.alto.xml: line bad", f"{xml}: line bad")
    ]
    assert fault in str(page.faults[0])
    assert read_pages(xml).notes == (f"1 skipped ({why}): p.alto.xml: line bad",)
    write(tmp_path, "p.alto.xml", xml_of(kind, [LINES[0], bad, bad, LINES[1]]))
    with pytest.raises(ValueError) as caught:
        read_pages(xml)
    assert str(caught.value).startswith(
        f"{xml}: at least half of the lines must be usable, got 1 of 3. Correct the page files\n"
        f"{xml}: line bad: "
    )


def test_a_line_that_is_too_small_is_skipped_and_named(tmp_path, dialect):
    lines = [
        LINES[0],
        ("low", "B", [(5, 40), (90, 40), (90, 47), (5, 47)]),
        ("silent", "", [(5, 40), (90, 40), (90, 41)]),
    ]
    xml = write(tmp_path, "p.xml", xml_of(dialect, lines))
    assert len(read_page(xml).lines) == 3 and read_page(xml).faults == ()
    read = read_pages(xml)
    assert read.names == ("p/r1",)
    assert read.notes == (
        "1 skipped (line too small): p.xml: line low",
        "1 lines without transcription left out",
    )
    lines[1] = ("low", "B", [(5, 40), (90, 40), (90, 48), (5, 48)])
    assert len(read_pages(write(tmp_path, "p.xml", xml_of(dialect, lines)))) == 2


def test_a_page_without_transcription_says_so(tmp_path, dialect):
    xml = write(tmp_path, "p.xml", xml_of(dialect, [LINES[1]]))
    assert len(read_page(xml).lines) == 1
    with pytest.raises(
        ValueError,
        match=r"half of the lines must be usable, got 0 of 0. Transcribe the lines of the pages",
    ):
        read_pages(xml)


def test_ids_name_one_line_each_and_no_path(tmp_path, dialect):
    points = LINES[0][2]
    keys = ["a", "a", "", "a", "../../etc/x", "..", "a_2", "b c<script>", "x" * 500]
    names = read_pages(
        write(tmp_path, "p.xml", xml_of(dialect, [(key, "A", points) for key in keys]))
    ).names
    assert names[:7] == ("p/a", "p/a_2", "p/line_3", "p/a_4", "p/_.._etc_x", "p/line_6", "p/a_2_7")
    assert names[7] == "p/b_c_script_" and names[8] == "p/" + "x" * 80 and len(set(names)) == 9


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("0077.xml", "0077"),
        ("0077.alto.xml", "0077"),
        ("0077.page.XML", "0077"),
        ("a.b.ALTO.xml", "a.b"),
        ("palto.xml", "palto"),
    ],
)
def test_the_page_is_the_group(tmp_path, name, page):
    lines = read_pages(write(tmp_path, name, xml_of("page2013", LINES)))
    assert lines.groups == (page, page) and lines.names[0] == f"{page}/r1"


@pytest.mark.parametrize(
    "filename",
    [
        "p.png",
        "scans/1/p.png",
        "../p.png",
        "/etc/p.png",
        "C:\\scans\\p.png",
        "https://example.org/a/p.png",
    ],
)
def test_only_the_last_part_of_the_images_name_counts(tmp_path, dialect, filename):
    for elsewhere in (tmp_path / "p.png", tmp_path / "x" / "scans" / "1" / "p.png"):
        elsewhere.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scan(7)).save(elsewhere)
    xml = write(tmp_path / "x", "other.xml", xml_of(dialect, LINES, filename))
    assert read_page(xml).image == tmp_path / "x" / "p.png"
    (tmp_path / "x" / "p.png").unlink()
    with pytest.raises(
        ValueError,
        match="other.xml: no image found next to the page file: "
        "neither 'p.png' nor other with .jpg",
    ):
        read_page(xml)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("0077.xml", "0077.jpg"),
        ("0077.alto.xml", "0077.JPG"),
        ("0077.page.xml", "0077.tif"),
        ("0077.alto.xml", "0077.alto.png"),
        ("page/0077.xml", "0077.jpeg"),
        ("alto/0077.xml", "0077.png"),
    ],
)
@pytest.mark.parametrize("filename", ["gone.png", "", "..", "/", "n" * 5000])
def test_an_image_with_the_name_of_the_page_file_is_used(tmp_path, name, image, filename):
    xml = write(
        tmp_path / Path(name).parent,
        Path(name).name,
        xml_of("page2019", LINES, filename),
        image=None,
    )
    Image.fromarray(scan()).save(tmp_path / image)
    assert read_page(xml).image.resolve() == (tmp_path / image).resolve()


def test_an_image_above_the_folder_page_is_used_by_its_name(tmp_path):
    xml = write(tmp_path / "PAGE", "0077.xml", xml_of("page2013", LINES, "scan/p.png"), image=None)
    Image.fromarray(scan()).save(tmp_path / "p.png")
    assert read_page(xml).image.resolve() == (tmp_path / "p.png").resolve()


def test_no_other_folder_is_looked_into(tmp_path):
    xml = write(tmp_path / "pages", "0077.xml", xml_of("page2019", LINES), image=None)
    Image.fromarray(scan()).save(tmp_path / "p.png")
    with pytest.raises(ValueError, match="no image found next to the page file"):
        read_page(xml)


def test_the_folder_above_is_used_from_within(tmp_path, monkeypatch):
    write(tmp_path / "page", "0077.xml", xml_of("page2019", LINES), image=None)
    Image.fromarray(scan()).save(tmp_path / "p.png")
    monkeypatch.chdir(tmp_path / "page")
    assert len(read_page(Path("0077.xml")).lines) == 3 and len(read_pages(Path("."))) == 2


def test_an_image_of_another_size_raises(tmp_path, dialect):
    xml = write(tmp_path, "p.xml", xml_of(dialect, LINES, size=(WIDTH * 2, HEIGHT)))
    for read in (read_page, read_pages):
        with pytest.raises(
            ValueError,
            match=r"p.xml: p.png must be 240 x 90 px as in the page file, got 120 x 90 px\. "
            "Use the transcribed image",
        ):
            read(xml)


def test_an_image_is_turned_upright(tmp_path):
    image, exif = Image.fromarray(scan()), Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise by a quarter
    image.save(tmp_path / "p.png", exif=exif)
    points = [(0, 0), (HEIGHT, 0), (HEIGHT, 20), (0, 20)]
    xml = write(tmp_path, "p.xml", xml_of("page2019", [("l", "A", points)], size=(HEIGHT, WIDTH)))
    assert (read_pages(xml).lines[0].clean == np.rot90(scan(), -1)[:20]).all()
    write(tmp_path, "p.xml", xml_of("page2019", LINES))
    with pytest.raises(
        ValueError, match="must be 120 x 90 px as in the page file, got 90 x 120 px"
    ):
        read_page(xml)


def test_alto_may_leave_out_unit_and_size(tmp_path):
    text = xml_of("alto2", LINES, unit="").replace(f'WIDTH="{WIDTH}" HEIGHT="{HEIGHT}"', "", 1)
    assert (
        (page := read_page(write(tmp_path, "p.xml", text))).width == WIDTH
        and page.height == HEIGHT
        and len(page.lines) == 3
    )


def changed(dialect, old, new):
    text = xml_of(dialect, LINES)
    assert old in text
    return text.replace(old, new)


BOMB = (
    '<!DOCTYPE alto [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]>"
)
OUTSIDE = '<!DOCTYPE alto [<!ENTITY i SYSTEM "file:///etc/passwd">]>'
BAD_PAGES = [
    (
        changed("alto4", ">pixel<", ">mm10<"),
        "MeasurementUnit must be pixel, got 'mm10'. Export the page with its coordinates in pixels",
    ),
    (changed("alto4", ">pixel<", "> inch1200 <"), "MeasurementUnit must be pixel, got 'inch1200'."),
    (
        changed("alto4", "</Layout>", "<Page/></Layout>"),
        "Layout must have exactly one Page, got 2.",
    ),
    (changed("alto4", "Layout>", "Lay>"), "Layout must have exactly one Page, got 0."),
    (
        changed("alto4", 'WIDTH="120"', 'WIDTH="wide"'),
        "the page's width must be a positive integer in pixels, got 'wide'.",
    ),
    (
        changed("page2019", 'imageWidth="120"', 'imageWidth="120.5"'),
        "width must be a positive integer in pixels, got '120.5'.",
    ),
    (
        changed("page2019", 'imageHeight="90"', 'imageHeight="-90"'),
        "height must be a positive integer in pixels, got '-90'.",
    ),
    (
        changed("page2019", 'imageHeight="90"', 'imageHeight="1e99"'),
        "height must be a positive integer in pixels, got '1e99'.",
    ),
    (
        changed("page2019", 'imageHeight="90"', 'imageHeight=""'),
        "height must be a positive integer in pixels, got ''.",
    ),
    (changed("page2019", 'imageHeight="90"', ""), "Page has no imageHeight."),
    (changed("page2019", "Page", "Seite"), "PcGts must have exactly one Page, got 0."),
    (
        "<html><body/></html>",
        "the root of a page file must be alto or PcGts, got 'html'. "
        "Export the page as ALTO or PAGE",
    ),
    ("", "the page file is not valid XML: no element found"),
    ("den 3 Maart", "the page file is not valid XML: syntax error"),
    (xml_of("alto4", LINES)[:600], "the page file is not valid XML: "),
    (b"\xff\xd8\xff\xe0", "the page file is not valid XML: "),
    ('<?xml version="1.0" encoding="klingon"?><alto/>', "the page file is not valid XML: "),
    ('<?xml version="1.0" encoding="utf-7"?><alto/>', "the page file is not valid XML: "),
    (
        changed("alto4", "<alto ", BOMB + "<alto ").replace("den 3", "&i;"),
        "a page file must not declare a document type or entities, got <!DOCTYPE alto>. "
        "Remove the declaration",
    ),
    (
        changed("alto4", "<alto ", OUTSIDE + "<alto ").replace("den 3", "&i;"),
        "a page file must not declare a document type or entities",
    ),
    (
        changed("alto4", "<alto ", BOMB.replace("alto", "lolz") + "<alto ").replace("den 3", "&i;"),
        "got <!DOCTYPE lolz>. Remove the",
    ),
    (
        changed("page2019", "<PcGts ", '<!DOCTYPE PcGts SYSTEM "http://example.org/x.dtd"><PcGts '),
        "must not declare a document type",
    ),
    (
        changed("page2019", "den 3", "&undefined;"),
        "the page file is not valid XML: undefined entity",
    ),
]


@pytest.mark.parametrize(("text", "fault"), BAD_PAGES)
def test_a_bad_page_file_raises_and_in_a_folder_is_skipped(tmp_path, text, fault):
    xml = write(tmp_path, "bad.xml", text)
    for read in (read_page, read_pages):
        with pytest.raises(ValueError) as caught:
            read(xml)
        assert str(caught.value).startswith(f"{xml}: ") and fault in str(caught.value)
    write(tmp_path, "good.xml", xml_of("page2019", LINES))
    why = "neither ALTO nor PAGE" if "html" in str(text) else "page file unreadable"
    assert read_pages(tmp_path).names == ("good/r1", "good/r3")
    assert read_pages(tmp_path).notes[0] == f"1 skipped ({why}): bad.xml"


def test_a_page_file_that_is_too_large_is_not_parsed(tmp_path):
    xml = write(tmp_path, "p.xml", xml_of("alto4", LINES))
    with xml.open("ab") as file:
        file.truncate(LARGEST + 1)  # zeros: a parser would call them no XML
    with pytest.raises(
        ValueError,
        match=r"p.xml: the page file is larger than 50 MB\. Write one file for each page",
    ):
        read_page(xml)


def test_depth_and_missing_files_do_no_harm(tmp_path):
    deep = xml_of("page2019", ["<r>" * 200_000 + "</r>" * 200_000, LINES[0]])
    assert len(read_page(write(tmp_path, "p.xml", deep)).lines) == 1
    for path in (tmp_path / "gone.xml", tmp_path):
        with pytest.raises(ValueError, match="cannot read the page file: "):
            read_page(path)
    with pytest.raises(
        ValueError, match="gone.xml: must be an ALTO or PAGE file or a folder of them, got neither"
    ):
        read_pages(tmp_path / "gone.xml")


def test_a_folder_goes_on_without_its_bad_pages(tmp_path):
    for name in ("a", "b", "c", "d"):
        write(tmp_path, f"{name}.xml", xml_of("alto4", LINES, f"{name}.png"), f"{name}.png")
    Image.fromarray(scan(size=(50, 50))).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(
        (tmp_path / "a.png").read_bytes()[:3000]
    )  # its header is whole
    (tmp_path / "d.png").unlink()
    write(tmp_path, "METS.xml", "<mets/>")
    write(tmp_path / "below", "e.xml", xml_of("alto4", LINES))
    with pytest.raises(ValueError) as caught:
        read_pages(tmp_path)
    assert str(caught.value).startswith(
        f"{tmp_path}: at least half of the lines must be usable, got 2 of 5. "
        "Correct the page files\n"
    )
    write(tmp_path, "e.xml", xml_of("page2013", LINES, "e.png"), "e.png")
    lines = read_pages(tmp_path)
    assert lines.names == ("a/r1", "a/r3", "e/r1", "e/r3")
    assert lines.notes == (
        "1 skipped (image size differs from the page file): b.xml",
        "1 skipped (image unreadable): c.xml",
        "1 skipped (image missing): d.xml",
        "1 skipped (neither ALTO nor PAGE): METS.xml",
        "2 lines without transcription left out",
    )


def test_a_damaged_image_raises(tmp_path):
    xml = write(tmp_path, "p.xml", xml_of("alto4", LINES))
    whole = (tmp_path / "p.png").read_bytes()
    for content in (b"", b"not an image", whole[:3000]):
        (tmp_path / "p.png").write_bytes(content)
        with pytest.raises(ValueError, match="p.xml: cannot read the image p.png: .*Save it again"):
            read_pages(xml)
    Image.new("1", (12_000, 8_000)).save(tmp_path / "p.png")  # 96 million pixels in 12 kB
    with pytest.raises(ValueError, match="cannot read the image p.png: DecompressionBombWarning"):
        read_page(xml)


def test_a_folder_without_pages_raises(tmp_path):
    write(tmp_path, "METS.xml", "<mets/>")
    write(tmp_path, "alto.txt", xml_of("alto4", LINES))
    with pytest.raises(
        ValueError, match=r"no ALTO or PAGE files \(\.xml\) found\. Export the pages"
    ):
        read_pages(tmp_path)


def test_a_page_in_two_dialects_is_read_once(tmp_path):
    write(tmp_path, "p.alto.xml", xml_of("alto4", [LINES[0]]))
    write(tmp_path, "p.page.xml", xml_of("page2019", [LINES[2]]))
    write(
        tmp_path, "s.xml", xml_of("page2019", LINES, "scan/p.png")
    )  # another name, the same image
    lines = read_pages(tmp_path)
    assert lines.names == ("p/r1",)
    assert lines.notes == (
        "2 skipped (another file of the page was read): "
        "p.page.xml (see p.alto.xml), s.xml (see p.alto.xml)",
    )


@pytest.mark.parametrize(
    "first", [changed("alto4", ">pixel<", ">mm10<"), xml_of("alto4", [LINES[1]])]
)
def test_a_page_is_read_from_the_file_that_gives_its_lines(tmp_path, first):
    write(tmp_path, "p.alto.xml", first)
    write(tmp_path, "p.page.xml", xml_of("page2019", LINES))
    assert read_pages(tmp_path).names == ("p/r1", "p/r3")


def test_files_of_one_name_are_one_page(tmp_path):
    write(tmp_path, "p.alto.xml", xml_of("alto4", LINES))
    write(tmp_path, "p.xml", xml_of("page2019", LINES, "q.png"), "q.png")
    lines = read_pages(tmp_path)
    assert len(set(lines.names)) == len(lines) == 2 and "p.xml (see p.alto.xml)" in lines.notes[0]


def test_each_image_is_read_once(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        "ganhtr.data.pages.page_image.read_grey", lambda path: read.append(path.name) or scan()
    )
    for name in ("a", "b"):
        write(tmp_path, f"{name}.xml", xml_of("alto4", LINES * 5, f"{name}.png"), f"{name}.png")
    assert len(read_pages(tmp_path)) == 20 and read == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("name", "text", "page"),
    [
        ("a.xml", xml_of("alto2", LINES), True),
        ("a.XML", xml_of("page2013", LINES), True),
        ("a.xml", "<alto>", True),
        ("a.xml", "<mets/>", False),
        ("a.xml", b"\0" * 99, False),
        ("a.txt", xml_of("alto2", LINES), False),
        ("a.xml", "", False),
        ("a.xml", "alto", False),
        ("a.xml", "<x><alto/></x>", False),
        ("a.xml", f"<!-- {'x' * 30_000} --><pc:PcGts xmlns:pc='u'/>", True),
        ("a.xml", BOMB + "<alto>&i;</alto>", True),
        ("a.xml", BOMB.replace("alto", "x") + "<x>&i;</x>", False),
        ("a.xml", b"\xff\xfe<\0a\0l\0t\0o\0>\0", True),
    ],
)
def test_is_page(tmp_path, name, text, page):
    assert is_page(write(tmp_path, name, text, image=None)) is page


def test_a_folder_is_no_page_file(tmp_path):
    (tmp_path / "x.xml").mkdir()
    assert not is_page(tmp_path / "x.xml") and not is_page(tmp_path / "gone.xml")


BYTES = [
    b"",
    b"\0",
    b"&#0;",
    b"&x;",
    b"<",
    b"/>",
    b'"',
    b"<!--",
    b"]]>",
    b"<![CDATA[",
    b"<?x",
    b"\xff",
    b"<Page/>",
    b"<TextLine/>",
]
VALUES = [
    b"",
    b"-1",
    b"0",
    b"1e400",
    b"nan",
    b"99999999999999999999",
    b"1e-400",
    b"1_0",
    b"60",
    b" ",
    b",",
    b"/",
    b"..",
    b"x" * 300,
    b"&#10;",
    b"&#xFFFD;",
    "\u0663\u00df\u0301".encode(),
    b"10,10 80,12",
    b"5 5 5 5 5 5 5 5",
    b"0,0 120,0 120,90 0,90",
    b"pixel",
]


def with_other_bytes(text, rng):
    """Bytes changed, put in, lost, doubled; seldom XML any more."""
    at = int(rng.integers(0, len(text)))
    to = at + int(rng.integers(0, 60))
    new = [
        text[to:],
        text[at:to] + text[at:],
        BYTES[rng.integers(len(BYTES))] + text[at:],
        bytes([rng.integers(256)]) + text[at + 1 :],
    ]
    return text[:at] + new[rng.integers(len(new))]


def with_other_values(text, rng):
    """Change a number, an attribute or the text of an element, or remove an element.

    The result is still XML, and often a page.
    """
    kinds = (
        rb"\d+",
        rb'(?<==")[^"]*(?=")',
        rb"(?<=>)[^<>]+(?=<)",
        rb"<(\w+)[^>]*/>|<(\w+)[^>]*>[^<]*</\2>",
    )
    spots = list(re.finditer(kinds[rng.integers(len(kinds))], text))
    start, end = spots[rng.integers(len(spots))].span() if spots else (0, 0)
    return (
        text[:start]
        + (b"" if text[start : start + 1] == b"<" else VALUES[rng.integers(len(VALUES))])
        + text[end:]
    )


@pytest.mark.parametrize("change", [with_other_bytes, with_other_values])
@pytest.mark.parametrize("kind", ["alto4", "page2019"])
def test_any_file_gives_lines_or_a_value_error(tmp_path, kind, change):
    boxed = [alto_line("b", "B", None, box=BOX.format(height=9))] if kind == "alto4" else []
    xml = write(tmp_path, "p.xml", xml_of(kind, [*LINES, *boxed]))
    whole, ends = xml.read_bytes(), Counter()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        text = whole
        for _ in range(rng.integers(1, 5)):
            text = change(text, rng)
        xml.write_bytes(text)
        is_page(xml)
        try:
            page = read_page(xml)
        except ValueError as error:
            assert str(error).startswith(str(xml))
            ends["refused"] += 1
            continue
        ends["with faults"] += len(page.faults) > 0
        for line in page.lines:
            left, top, right, bottom = line.box
            assert 0 <= left < right <= WIDTH and 0 <= top < bottom <= HEIGHT and line.id
        try:
            ends["read"] += len(read_pages(tmp_path).lines) > 0
        except ValueError:
            ends["unusable"] += 1
    least = (
        {"refused": 50}
        if change is with_other_bytes
        else {"refused": 20, "read": 50, "with faults": 50}
    )
    assert all(ends[end] > number for end, number in least.items()), ends


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is absent: real pages with ground truth")
    return REAL


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("TestamentsDePoilus_will_AN_0155-0", 17, "Paris le 7 août 1914.", None),
        ("TestamentsDePoilus_will_AN_0200-0", 18, None, None),
        ("11_659c2_default", 22, "4.", None),
        ("01R_P1S3SS2P118_002", 14, "Tessier nous a été un secours provi-", None),
        ("0077.page", 30, "Mars 1744", None),
        ("0077.alto", 30, "Mars 1744", None),
    ],
)
def test_real_pages_give_all_their_lines(real, name, count, first, last):
    page, lines = read_page(real / f"{name}.xml"), read_pages(real / f"{name}.xml")
    assert len(page.lines) == len(lines) == count and page.faults == lines.notes == ()
    assert first in (None, lines.transcripts[0])
    assert all(30 < line.clean.shape[0] < 400 and np.ptp(line.clean) > 60 for line in lines.lines)


def test_a_real_page_is_the_same_in_both_dialects(real):
    alto, page = read_page(real / "0077.alto.xml"), read_page(real / "0077.page.xml")
    assert all(same(a, b) for a, b in zip(alto.lines, page.lines, strict=True))
    alto, page = read_pages(real / "0077.alto.xml"), read_pages(real / "0077.page.xml")
    assert (alto.names, alto.groups, alto.transcripts) == (
        page.names,
        page.groups,
        page.transcripts,
    )
    assert all((a.clean == b.clean).all() for a, b in zip(alto.lines, page.lines, strict=True))


def test_a_real_folder_gives_each_line_once(real):
    lines = read_pages(real)
    assert len(lines) == len(set(lines.names)) == 101 and len(set(lines.groups)) == 5
    assert lines.notes == (
        "1 skipped (another file of the page was read): 0077.page.xml (see 0077.alto.xml)",
    )
