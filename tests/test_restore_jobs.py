"""What there is to restore: files and folders, pages with their images, names that must not clash or overwrite."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganhtr.restore_jobs import find_jobs, require_free

PAGE = (
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page imageFilename="{image}" imageWidth="20" '
    'imageHeight="10"><TextRegion><TextLine id="a"><Coords points="0,0 20,0 20,10"/></TextLine></TextRegion></Page></PcGts>'
)


@pytest.fixture
def folder(tmp_path):
    """folder(*names): images and other files of these names; an XML is a page of the image of its name."""

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


def named(found):
    return [(job.source.name, job.image.name, job.target) for job in found.jobs]


def test_a_folder_stands_for_its_images_and_pages(folder):
    held = folder(
        "b.png", "a.jpg", "C.PNG", "p.xml", "p.png", "notes.txt", ".hidden.png", "deeper/d.png"
    )
    found = find_jobs([held])
    assert named(found) == [
        ("C.PNG", "C.PNG", "C.png"),
        ("a.jpg", "a.jpg", "a.png"),
        ("b.png", "b.png", "b.png"),
        ("p.xml", "p.png", "p.png"),
    ]
    assert (
        found.faults == ()
        and found.passed == ()
        and [job.page is None for job in found.jobs] == [True] * 3 + [False]
    )


def test_named_files_keep_their_order_and_count_once(folder, monkeypatch):
    held = folder("b.png", "a.png", "p.xml", "p.png")
    monkeypatch.chdir(held)
    found = find_jobs(
        [
            Path("b.png"),
            held / "p.png",
            Path("p.xml"),
            held / "b.png",
            Path("."),
            Path("../in/a.png"),
        ]
    )
    assert [source for source, _, _ in named(found)] == ["b.png", "p.xml", "a.png"]
    assert str(found.jobs[0].source) == "b.png"  # as it was given


def test_an_image_without_a_known_suffix_counts_when_it_is_named(folder):
    held = folder("scan.dat", "a.png")
    assert named(find_jobs([held / "scan.dat"])) == [("scan.dat", "scan.dat", "scan.png")]
    assert named(find_jobs([held])) == [("a.png", "a.png", "a.png")]


def test_pages_that_cannot_be_read_are_faults_and_their_images_no_lines(folder):
    held = folder("a.png", "p.xml", "q.xml", "q.png")
    (held / "q.xml").write_text("<PcGts><Page></PcGts>")
    found = find_jobs([held])
    assert named(found) == [("a.png", "a.png", "a.png")]
    assert len(found.faults) == 2 and found.faults[0].startswith(
        f"{held / 'p.xml'}: no image found next to the page file"
    )
    assert found.faults[1].startswith(f"{held / 'q.xml'}: ")


def test_xml_that_is_no_page_is_passed_over_in_a_folder_and_a_fault_by_name(folder):
    held = folder("a.png", "mets.xml")
    (held / "mets.xml").write_text("<mets/>")
    found = find_jobs([held])
    assert len(found.jobs) == 1 and found.faults == () and found.passed == (str(held / "mets.xml"),)
    assert "must be alto or PcGts, got 'mets'" in find_jobs([held / "mets.xml"]).faults[0]


def test_an_input_that_is_not_there_or_empty(folder, tmp_path):
    held = folder("notes.txt")
    with pytest.raises(
        ValueError,
        match=r"none, .*/not: must be an image, an ALTO or PAGE file, or a folder of them, got nothing there",
    ):
        find_jobs([tmp_path / "none", held, tmp_path / "not"])
    with pytest.raises(ValueError, match="in: must hold an image .* got none"):
        find_jobs([held])


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
    held = folder(*names)
    with pytest.raises(
        ValueError,
        match=r"the name of a result must be its own, got [aA].png as for .* Restore them into two folders",
    ):
        find_jobs([held / name for name in names])


def test_nothing_is_overwritten_without_force(folder, tmp_path):
    jobs = find_jobs([folder("a.png", "b.png")]).jobs
    out = folder("b.png", "other.png", under="out")
    require_free(tmp_path / "new", jobs, ["t.tsv"], force=False)
    with pytest.raises(
        ValueError, match=r"^[^,]*out/b.png: --out must not hold files of the results' names"
    ):
        require_free(out, jobs, ["t.tsv"], force=False)
    require_free(out, jobs, ["t.tsv"], force=True)
    (out / "b.png").unlink()
    require_free(out, jobs, ["t.tsv"], force=False)
    (out / "t.tsv").symlink_to("nowhere")  # replacing it would lose the link
    with pytest.raises(ValueError, match="t.tsv: --out must not hold"):
        require_free(out, jobs, ["t.tsv"], force=False)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("names", [("a.png",), ("p.xml", "p.png")])
def test_what_is_restored_is_never_overwritten(folder, tmp_path, names, force):
    held = folder(*names)
    (tmp_path / "link").symlink_to(held)
    for out in (held, tmp_path / "link"):
        with pytest.raises(ValueError, match="no result replaces what is restored"):
            require_free(out, find_jobs([held]).jobs, [], force)


def test_a_file_is_no_folder_for_results(folder):
    held = folder("a.png", "notes.txt")
    with pytest.raises(ValueError, match="--out must be a folder, got a file"):
        require_free(held / "notes.txt", find_jobs([held / "a.png"]).jobs, [], force=True)


def test_many_names_are_counted(folder):
    names = [f"{i}.png" for i in range(8)]
    with pytest.raises(ValueError, match=r"4.png and 3 more: --out must not hold"):
        require_free(folder(*names, under="out"), find_jobs([folder(*names)]).jobs, [], force=False)
