"""Jobs of a restoration: files, folders, pages with images; names that clash or overwrite."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganhtr.restore_jobs import find_jobs, require_free

PAGE = (
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">'
    '<Page imageFilename="{image}" imageWidth="20" imageHeight="10"><TextRegion>'
    '<TextLine id="a"><Coords points="0,0 20,0 20,10"/></TextLine></TextRegion></Page></PcGts>'
)


@pytest.fixture
def folder(tmp_path):
    """folder(*names): images and other files; an XML file is the page of the image of its name."""

    def make(*names, under="in"):
        for name in names:
            path = tmp_path / under / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".xml":
                path.write_text(PAGE.format(image=f"{path.stem}.png"))
            elif path.suffix in (".png", ".PNG", ".jpg", ".tif"):
                Image.fromarray(np.full((10, 20), 200, np.uint8)).save(path)
            else:
                path.write_text("x")
        return tmp_path / under

    return make


def named(work):
    return [(job.source.name, job.image.name, job.target) for job in work.jobs]


def test_a_folder_stands_for_its_images_and_pages(folder):
    inputs = folder(
        "b.png", "a.jpg", "C.PNG", "p.xml", "p.png", "notes.txt", ".hidden.png", "deeper/d.png"
    )
    work = find_jobs([inputs])
    assert named(work) == [
        ("C.PNG", "C.PNG", "C.png"),
        ("a.jpg", "a.jpg", "a.png"),
        ("b.png", "b.png", "b.png"),
        ("p.xml", "p.png", "p.png"),
    ]
    assert (
        work.faults == ()
        and work.ignored == ()
        and [job.page is None for job in work.jobs] == [True] * 3 + [False]
    )


def test_named_files_keep_their_order_and_count_once(folder, monkeypatch):
    inputs = folder("b.png", "a.png", "p.xml", "p.png")
    monkeypatch.chdir(inputs)
    work = find_jobs(
        [
            Path("b.png"),
            inputs / "p.png",
            Path("p.xml"),
            inputs / "b.png",
            Path("."),
            Path("../in/a.png"),
        ]
    )
    assert [source for source, _, _ in named(work)] == ["b.png", "p.xml", "a.png"]
    assert str(work.jobs[0].source) == "b.png"  # as it was given


def test_an_image_without_a_known_suffix_counts_when_it_is_named(folder):
    inputs = folder("scan.dat", "a.png")
    assert named(find_jobs([inputs / "scan.dat"])) == [("scan.dat", "scan.dat", "scan.png")]
    assert named(find_jobs([inputs])) == [("a.png", "a.png", "a.png")]


def test_pages_that_cannot_be_read_are_faults_and_their_images_no_lines(folder):
    inputs = folder("a.png", "p.xml", "q.xml", "q.png")
    (inputs / "q.xml").write_text("<PcGts><Page></PcGts>")
    work = find_jobs([inputs])
    assert named(work) == [("a.png", "a.png", "a.png")]
    assert len(work.faults) == 2 and work.faults[0].startswith(
        f"{inputs / 'p.xml'}: no image found next to the page file"
    )
    assert work.faults[1].startswith(f"{inputs / 'q.xml'}: ")


def test_xml_that_is_no_page_is_passed_over_in_a_folder_and_a_fault_by_name(folder):
    inputs = folder("a.png", "mets.xml")
    (inputs / "mets.xml").write_text("<mets/>")
    work = find_jobs([inputs])
    assert len(work.jobs) == 1 and work.faults == () and work.ignored == (str(inputs / "mets.xml"),)
    assert "must be alto or PcGts, got 'mets'" in find_jobs([inputs / "mets.xml"]).faults[0]


def test_an_input_that_is_not_there_or_empty(folder, tmp_path):
    inputs = folder("notes.txt")
    with pytest.raises(
        ValueError,
        match=r"none, .*/not: no such file or folder. Give images, ALTO or PAGE files",
    ):
        find_jobs([tmp_path / "none", inputs, tmp_path / "not"])
    with pytest.raises(ValueError, match="in: no image .* and no ALTO or PAGE file there"):
        find_jobs([inputs])


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "a.jpg"),
        ("a.png", "A.tif"),
        ("x/a.png", "y/a.png"),
        ("a.png", "sub/a.xml", "sub/a.png"),
    ],
)
def test_two_results_of_one_name_are_refused(folder, names):
    inputs = folder(*names)
    with pytest.raises(
        ValueError,
        match=r"the result would be named [aA].png, like that of .* Restore them into two folders",
    ):
        find_jobs([inputs / name for name in names])


def test_nothing_is_overwritten_without_force(folder, tmp_path):
    jobs = find_jobs([folder("a.png", "b.png")]).jobs
    out = folder("b.png", "other.png", under="out")
    require_free(tmp_path / "new", jobs, ["t.tsv"], force=False)
    with pytest.raises(ValueError, match=r"^--out: [^,]*out/b.png would be overwritten"):
        require_free(out, jobs, ["t.tsv"], force=False)
    require_free(out, jobs, ["t.tsv"], force=True)
    (out / "b.png").unlink()
    require_free(out, jobs, ["t.tsv"], force=False)
    (out / "t.tsv").symlink_to("nowhere")  # replacing it would lose the link
    with pytest.raises(ValueError, match="--out: .*t.tsv would be overwritten"):
        require_free(out, jobs, ["t.tsv"], force=False)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("names", [("a.png",), ("p.xml", "p.png")])
def test_what_is_restored_is_never_overwritten(folder, tmp_path, names, force):
    inputs = folder(*names)
    (tmp_path / "link").symlink_to(inputs)
    for out in (inputs, tmp_path / "link"):
        with pytest.raises(ValueError, match="the results would overwrite files to restore"):
            require_free(out, find_jobs([inputs]).jobs, [], force)


def test_a_file_is_no_folder_for_results(folder):
    inputs = folder("a.png", "notes.txt")
    with pytest.raises(ValueError, match="--out: .* is a file. Name a folder"):
        require_free(inputs / "notes.txt", find_jobs([inputs / "a.png"]).jobs, [], force=True)


def test_many_names_are_counted(folder):
    names = [f"{i}.png" for i in range(8)]
    with pytest.raises(ValueError, match=r"4.png and 3 more would be overwritten"):
        require_free(folder(*names, under="out"), find_jobs([folder(*names)]).jobs, [], force=False)
