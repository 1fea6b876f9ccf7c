"""Metrics of restored lines against explicit values, and the three reference rows."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity
from torch import nn

from ganhtr.data.batches import chunks
from ganhtr.train.evaluate import (
    EVALUATION_BATCH,
    REFERENCES,
    by_sauvola,
    evaluate,
    reference_metrics,
)

OPTIONS = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
READINGS = (
    "cab",
    "bd",
    "deaf!",
    "",
    "dabdab",
    "ebb",
    "e fee",
    "eg",
    "abee",
)  # the other lines are read as nothing


class Script(nn.Module):
    """A recognizer that returns given texts in turn, and noise beyond the width of a line."""

    stride = 4

    def __init__(self, texts, charset, widths):
        super().__init__()
        self.texts, self.charset, self.widths, self.turn = texts, charset, widths, 0

    def forward(self, images):
        noise = np.random.default_rng(self.turn).integers(
            0, self.charset.classes, (len(images), 16)
        )
        for row in noise:
            frames = -(-self.widths[self.turn] // 4)
            row[:frames] = 0
            spoken = self.charset.target(
                self.texts[self.turn] if self.turn < len(self.texts) else ""
            )
            row[: 2 * len(spoken) : 2] = spoken
            self.turn += 1
        return None, 5 * F.one_hot(torch.from_numpy(noise), self.charset.classes).float()


@pytest.fixture
def scripted(bench, pairs):
    """Evaluate degraded lines with a guide that reads READINGS and a judge that reads nothing."""
    guide, judge = (
        Script(texts, pairs.charset, pairs.validation.widths) for texts in (READINGS, ())
    )
    return evaluate(REFERENCES["degraded"], bench.validation, guide, judge)


def edits(a, b):
    """Edit distance by the textbook's table."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def test_chunks_leave_nothing_out():
    assert [chunk.tolist() for chunk in chunks(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [len(chunk) for chunk in chunks(6, 3)] == [3, 3] and list(chunks(0, 3)) == []


def test_errors_are_summed_over_all_lines_before_they_are_divided(scripted, pairs):
    references = pairs.validation.transcripts
    assert len(references) > EVALUATION_BATCH
    read = ["".join(c for c in text if c in " abcdef") for text in READINGS] + [""] * 9
    wrong = [edits(reference, reading) for reference, reading in zip(references, read, strict=True)]
    assert scripted.guide.char_edits.tolist() == wrong and read[2] == "deaf"
    metrics = scripted.metrics()
    assert metrics["cer"] == pytest.approx(sum(wrong) / sum(map(len, references)))
    assert metrics["cer"] != pytest.approx(scripted.guide.line_cer.mean())
    words = [
        edits(reference.split(), reading.split())
        for reference, reading in zip(references, read, strict=True)
    ]
    assert metrics["wer"] == pytest.approx(
        sum(words) / sum(len(text.split()) for text in references)
    )
    assert metrics["judge_cer"] == metrics["judge_wer"] == 1


def test_ctc_is_the_guides_over_each_lines_own_frames(bench, pairs):
    evaluation = evaluate(REFERENCES["degraded"], bench.validation, bench.guide, bench.judge)
    expected = []
    for i, width in enumerate(pairs.validation.widths):
        logits = bench.guide(bench.validation.take(np.array([i])).degraded)[1][0, : -(-width // 4)]
        target = torch.from_numpy(bench.validation.targets[i])
        expected.append(
            F.ctc_loss(
                logits.log_softmax(1), target, [len(logits)], [len(target)], reduction="sum"
            ).item()
        )
    assert evaluation.ctc == pytest.approx(expected, rel=1e-4)
    assert evaluation.metrics()["ctc"] == pytest.approx(np.mean(expected), rel=1e-4)


def test_the_reference_rows(bench, pairs):
    rows = reference_metrics(bench.validation, bench.guide, bench.judge)
    assert list(rows) == ["degraded", "sauvola", "clean"]
    assert rows["clean"]["psnr"] == 100 and rows["clean"]["ssim"] == pytest.approx(1, abs=1e-6)
    lines, psnr, ssim = pairs.validation, [], []
    for clean, degraded, width in zip(
        lines.clean / 255, lines.degraded / 255, lines.widths, strict=True
    ):
        a, b = degraded[:, :width], clean[:, :width]
        psnr.append(-10 * np.log10(((a - b) ** 2).mean()))
        ssim.append(structural_similarity(a, b, **OPTIONS))
    assert rows["degraded"]["psnr"] == pytest.approx(np.mean(psnr), rel=1e-5)
    assert rows["degraded"]["ssim"] == pytest.approx(np.mean(ssim), rel=1e-4)
    for name, restorer in (
        ("clean", REFERENCES["clean"]),
        ("degraded", REFERENCES["degraded"]),
        ("sauvola", by_sauvola),
    ):
        assert (
            rows[name] == evaluate(restorer, bench.validation, bench.guide, bench.judge).metrics()
        )


def test_sauvola_is_black_and_white_inside_and_paper_outside(bench):
    batch = bench.validation.take(np.arange(18))
    inside = batch.inside.expand_as(batch.degraded)
    batch.degraded[~inside] = torch.rand(int((~inside).sum()))
    image = by_sauvola(batch)
    assert image.shape == batch.degraded.shape and image.dtype == torch.float32
    assert set(image[inside].tolist()) == {0.0, 1.0} and set(image[~inside].tolist()) == {1.0}


def test_sauvola_is_the_published_threshold(bench):
    batch = bench.validation.take(np.array([8]))
    degraded, made = batch.degraded[0, 0].double().numpy(), by_sauvola(batch)[0, 0].numpy()
    for y in range(8, 24):
        for x in range(
            8, int(batch.widths[0]) - 8
        ):  # places where the window of 17 px lies in the line
            window = degraded[y - 8 : y + 9, x - 8 : x + 9]
            threshold = window.mean() * (1 + 0.2 * (window.std() / 0.5 - 1))
            if abs(degraded[y, x] - threshold) > 1e-5:
                assert made[y, x] == (degraded[y, x] > threshold), (y, x)


def test_what_lies_outside_a_line_never_counts(bench, scripted, pairs):
    def noisy(batch):
        batch.clean[~batch.inside.expand_as(batch.clean)] = 0.3
        return torch.where(batch.inside, batch.degraded, torch.rand_like(batch.degraded))

    guide, judge = (
        Script(texts, pairs.charset, pairs.validation.widths) for texts in (READINGS, ())
    )
    assert evaluate(noisy, bench.validation, guide, judge).metrics() == scripted.metrics()


def test_an_evaluation_leaves_no_graph(bench, new_state, small):
    seen = []

    def restorer(batch):
        seen.append(new_state(small()).generator(batch.degraded))
        return seen[-1]

    evaluate(restorer, bench.validation, bench.guide, bench.judge)
    assert len(seen) == 2 and not any(image.requires_grad for image in seen)
