"""Strips of samples."""

import numpy as np
from PIL import Image

from tune.reporting.sample_strips import GAP, MARGIN, MAX_EPOCHS, thinned, write_strip
from tune.study.sample_name import comparisons, sample_name


def draw(folder, epochs, size=(6, 20), sample=0):
    folder.mkdir(exist_ok=True)
    for epoch in epochs:
        Image.fromarray(np.full(size, epoch, dtype=np.uint8)).save(
            folder / sample_name(sample, epoch, comparison=True)
        )


def sampled_epochs(folder, sample):
    return {
        epoch: path
        for (line, epoch), path in comparisons(folder).items()
        if line == sample and epoch is not None
    }


def test_epochs_are_stacked_in_order_with_their_numbers(tmp_path):
    draw(tmp_path, [10, 5, 100], size=(16, 20))
    draw(tmp_path, [15], sample=1)
    Image.new("L", (4, 4)).save(tmp_path / "comparison_best_sample_0.png")
    images = sampled_epochs(tmp_path, 0)
    assert list(images) == [5, 10, 100]
    assert write_strip(tmp_path / "strips/a.png", images) == []
    strip = np.asarray(Image.open(tmp_path / "strips/a.png"))
    assert strip.shape == (3 * 16 + 2 * GAP, MARGIN + 20)
    for i, epoch in enumerate((5, 10, 100)):
        row = strip[i * (16 + GAP) : i * (16 + GAP) + 16]
        assert (row[:, MARGIN:] == epoch).all()
        assert (row[:, :MARGIN] < 100).sum() > 5, "a number stands at the left"
    numbers = [strip[i * (16 + GAP) : i * (16 + GAP) + 16, :MARGIN] for i in range(3)]
    assert not np.array_equal(numbers[0], numbers[1]) and not np.array_equal(numbers[1], numbers[2])


def test_images_that_do_not_open_are_left_out_and_named(tmp_path):
    draw(tmp_path, [5, 10, 15])
    broken = tmp_path / "comparison_epoch_0010_sample_0.png"
    broken.write_bytes(broken.read_bytes()[:40])
    (tmp_path / "comparison_epoch_0015_sample_0.png").write_bytes(b"GIF89a no png")
    assert write_strip(tmp_path / "strips/a.png", sampled_epochs(tmp_path, 0)) == [10, 15]
    assert Image.open(tmp_path / "strips/a.png").size == (MARGIN + 20, 6)
    assert (
        write_strip(tmp_path / "strips/b.png", {10: broken}) == [10]
        and not (tmp_path / "strips/b.png").exists()
    )


def test_many_epochs_are_thinned_evenly(tmp_path):
    images = {epoch: tmp_path for epoch in range(5, 5 * 1000 + 1, 5)}
    kept = list(thinned(images))
    assert len(kept) == MAX_EPOCHS and kept[0] == 5 and kept[-1] == 5000
    assert max(np.diff(kept)) - min(np.diff(kept)) <= 5
    few = {5: tmp_path, 10: tmp_path}
    assert thinned(few) == few
