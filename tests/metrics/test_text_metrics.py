"""Decoding, error rates and feasibility against naive second implementations."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ganhtr.charset import Charset
from ganhtr.metrics.text import TextErrors, greedy_decode, infeasible, text_errors

ROOT = Path(__file__).parents[2]
CHARSET = Charset("abN suw")


def naive_distance(reference, reading):
    """Levenshtein distance by the full table."""
    table = [[i + j for j in range(len(reading) + 1)] for i in range(len(reference) + 1)]
    for i, expected_token in enumerate(reference, start=1):
        for j, read in enumerate(reading, start=1):
            table[i][j] = min(
                table[i - 1][j] + 1,
                table[i][j - 1] + 1,
                table[i - 1][j - 1] + (expected_token != read),
            )
    return table[-1][-1]


def naive_decode(path, charset):
    text, last = "", 0
    for index in path:
        if index != last and index != 0:
            text += charset.characters[index - 1]
        last = index
    return text


def logits_of(paths, classes):
    """Logits whose best class at each frame is the path's."""
    best = torch.tensor(paths)
    return torch.randn(*best.shape, classes, generator=torch.Generator().manual_seed(0)).clamp(
        -3, 3
    ) + 10 * torch.nn.functional.one_hot(best, classes)


def random_text(rng, longest):
    return "".join(rng.choice("ab  é.N\u00a0") for _ in range(rng.randint(0, longest)))


def test_edits_and_lengths_equal_the_naive_distance():
    rng = random.Random(0)
    references = [random_text(rng, 14) for _ in range(300)]
    readings = [random_text(rng, 14) if rng.random() < 0.5 else r[1:] + "a" for r in references]
    assert "" in references and "" in readings
    errors = text_errors(references, readings)
    pairs = list(zip(references, readings, strict=True))
    assert errors.char_edits.tolist() == [naive_distance(r, h) for r, h in pairs]
    assert errors.char_lengths.tolist() == [len(r) for r in references]
    assert errors.word_edits.tolist() == [naive_distance(r.split(), h.split()) for r, h in pairs]
    assert errors.word_lengths.tolist() == [len(r.split()) for r in references]
    assert errors.cer == pytest.approx(
        sum(naive_distance(r, h) for r, h in pairs) / sum(map(len, references))
    )


@pytest.mark.parametrize(
    ("reference", "reading", "chars", "words"),
    [
        ("Nassauw", "Nasauw", 1, 1),  # doubled letters count
        ("Nassauw", "nassauw", 1, 1),  # so does case
        (" Nassauw ", "Nassauw", 2, 0),  # and spaces at the ends, which are no words
        ("den  Heer", "den Heer", 1, 0),
        ("dud. .....", "dud", 7, 2),  # and punctuation
        ("e\u0301", "\u00e9", 2, 1),  # nothing is normalised here
    ],
)
def test_references_are_untouched(reference, reading, chars, words):
    errors = text_errors([reference], [reading])
    assert (errors.char_edits[0], errors.word_edits[0]) == (chars, words)
    assert errors.char_lengths[0] == len(reference)


def test_rates_are_of_the_corpus_and_of_the_line():
    errors = text_errors(["abcd", "a b"], ["abcx", "a b"])
    assert errors.cer == pytest.approx(1 / 7)
    assert errors.wer == pytest.approx(1 / 3)
    assert errors.line_cer.tolist() == [0.25, 0]
    assert errors.word_edits.tolist() == [1, 0]


def test_an_empty_reference_counts_what_was_read():
    errors = text_errors(["", "", "ab"], ["a bc", "", ""])
    assert errors.char_edits.tolist() == [4, 0, 2]
    assert errors.word_edits.tolist() == [2, 0, 1]
    assert errors.line_cer.tolist() == [4, 0, 1]
    only_empty = text_errors(["", ""], ["a bc", ""])
    assert (only_empty.cer, only_empty.wer) == (4, 2)
    nothing = text_errors([], [])
    assert (nothing.cer, nothing.wer) == (0, 0) and nothing.char_edits.shape == (0,)
    assert isinstance(nothing, TextErrors)


def test_a_reading_is_missing():
    with pytest.raises(ValueError, match="there must be one reading per reference, got 1 for 2"):
        text_errors(["a", "b"], ["a"])


def test_greedy_decode_equals_the_naive_collapse():
    rng = random.Random(1)
    paths = [[rng.choice([0, 0, 1, 1, 2, 5, 7]) for _ in range(24)] for _ in range(60)]
    frames = [rng.randint(0, 24) for _ in paths]
    read = greedy_decode(logits_of(paths, CHARSET.classes), torch.tensor(frames), CHARSET)
    assert read == [naive_decode(p[:n], CHARSET) for p, n in zip(paths, frames, strict=True)]


def test_greedy_decode_keeps_doubled_letters_and_stops_at_the_own_frames():
    n, a, s, u, w = (CHARSET.characters.index(c) + 1 for c in "Nasuw")
    nassauw = [n, n, a, s, 0, s, s, a, u, w, w, a]
    logits = logits_of([nassauw, [0] * 12], CHARSET.classes).requires_grad_()
    assert greedy_decode(logits, torch.tensor([11, 12]), CHARSET) == ["Nassauw", ""]
    assert greedy_decode(logits, torch.tensor([12, 0]), CHARSET) == ["Nassauwa", ""]


def test_infeasible_equals_the_shortest_path():
    rng = random.Random(2)
    labels = [
        np.array([rng.randint(1, 2) for _ in range(rng.randint(0, 8))], dtype=np.int64)
        for _ in range(200)
    ]
    frames = np.array([rng.randint(0, 12) for _ in labels])
    shortest = []
    for label in labels:
        path = []
        for character in label.tolist():
            path += [0, character] if path and path[-1] == character else [character]
        shortest.append(len(path))
    result = infeasible(labels, frames)
    assert result.dtype == bool and 0 < result.sum() < 200
    assert result.tolist() == [needed > n for needed, n in zip(shortest, frames, strict=True)]


def test_the_module_imports_without_jiwer_and_torch():
    code = (
        "import sys; sys.modules['jiwer'] = sys.modules['torch'] = None; "
        "import ganhtr.metrics.text as t; print(t)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
