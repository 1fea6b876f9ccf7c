"""Files that are there whole or not at all."""

import os
import resource

import numpy as np
import pytest
from PIL import Image

from ganhtr.atomic import encode_png, write_atomically, write_png


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    for data in (b"first", b"second, longer", b""):
        write_atomically(path, data)
        assert path.read_bytes() == data and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", [None, b"the old one"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else_and_names_it(tmp_path, before):
    path = tmp_path / "a.json"
    if before is not None:
        path.write_bytes(before)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY)
    )  # the system itself takes no more
    try:
        with pytest.raises(OSError, match=r"a\.json"):
            write_atomically(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert [each.read_bytes() for each in tmp_path.iterdir()] == (
        [] if before is None else [before]
    )


def test_bytes_are_on_the_disk_before_the_name_is_theirs(tmp_path, monkeypatch):
    path, seen = tmp_path / "a", []
    force = os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda number: (seen.append((os.fstat(number).st_size, path.exists())), force(number)),
    )
    write_atomically(path, b"four")
    assert seen == [(4, False)]


def test_what_breaks_the_writing_is_not_hidden_by_the_tidying_up(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    monkeypatch.setattr(
        type(tmp_path),
        "unlink",
        lambda *_, **__: (_ for _ in ()).throw(OSError(30, "Read-only file system")),
    )
    with pytest.raises(OSError, match=r"Input/output error: .*a'"):
        write_atomically(tmp_path / "a", b"four")


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 3)])
def test_a_png_holds_the_pixels_of_an_array_or_an_image(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    for image in (pixels, Image.fromarray(pixels), np.asfortranarray(pixels)):
        write_png(path, image)
        with Image.open(path, formats=["PNG"]) as written:
            assert (np.asarray(written) == pixels).all()
        assert path.read_bytes() == encode_png(image) and list(tmp_path.iterdir()) == [path]
