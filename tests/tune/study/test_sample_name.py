"""The names of sample images: written and read by the same module."""

from tune.study.sample_name import comparisons, sample_name


def test_the_names():
    assert sample_name(0, 5) == "epoch_0005_sample_0.png"
    assert sample_name(1, None, comparison=True) == "comparison_best_sample_1.png"


def test_comparisons_are_read_in_order_and_other_files_are_ignored(tmp_path):
    expected = [(0, None), (0, 5), (0, 12345), (1, 10)]
    for sample, epoch in reversed(expected):
        (tmp_path / sample_name(sample, epoch, comparison=True)).touch()
        (tmp_path / sample_name(sample, epoch)).touch()
    (tmp_path / "comparison_best_sample_x.png").touch()
    images = comparisons(tmp_path)
    assert list(images) == expected
    assert all(path.name == sample_name(*key, comparison=True) for key, path in images.items())
