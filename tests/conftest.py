"""Shared fixtures: one thread, a temporary cache, a small configuration, lines, recognizers."""

import os

# Read when torch and NumPy are imported: waiting threads take no processor time, and linear algebra
# leaves the other processors to the other tests.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
import torch

from ganhtr.charset import Charset
from ganhtr.config import build_config
from ganhtr.data.batches import LineBatches
from ganhtr.data.degrade import degrade
from ganhtr.data.drawn.fonts import stroke_fonts
from ganhtr.data.drawn.synthetic import render_line
from ganhtr.data.pairs import Lines, Pairs, fit_line
from ganhtr.models.recognizer import build_recognizer
from ganhtr.recognizers.weights import RecognizerWeights
from ganhtr.seeds import torch_stream
from ganhtr.train.fit import Bench
from ganhtr.train.inputs import TrialInputs
from ganhtr.train.state import build_state

torch.set_num_threads(1)
hypothesis.settings.register_profile("shared", deadline=None)  # other tests run at the same time
hypothesis.settings.load_profile("shared")

CPU = torch.device("cpu")
SMALL = {
    "data.height": 32,
    "data.width": 64,
    "generator.base": 2,
    "generator.levels": 2,
    "discriminator.base": 2,
    "discriminator.hidden": 8,
    "discriminator.embedding": 4,
    "discriminator.text_hidden": 4,
    "guide.base": 4,
    "guide.dim": 8,
    "guide.layers": 1,
    "judge.base": 4,
    "judge.dim": 6,
    "judge.layers": 1,
    "text_encoder.embedding": 4,
    "head.dim": 6,
    "head.width": 10,
    "train.batch_size": 4,
    "train.epochs": 2,
    "train.steps_per_epoch": 3,
    "train.ema": 0.0,  # with an average: tests/train/test_fit.py, tests/tune/runner
}
TRAIN = ("abc", "dead", "face", "bad cab", "abc", "ace", "decade", "a", "fade", "bead")
VALIDATION = (
    "cab",
    "bed",
    "deaf",
    "fab",
    "dab",
    "ebb",
    "fee",
    "egg",
    "a bee",
    "add",
    "cafe",
    "dace",
    "fed",
    "bee",
    "ab",
    "ed",
    "be",
    "ad",
)  # more than one evaluation batch; g is no training character


def pytest_collection_modifyitems(items):
    """Run the slow files with Ray first; run last, they would keep only one process busy."""
    with_ray = {item.path for item in items if "cluster" in item.fixturenames}
    items.sort(key=lambda item: item.path not in with_ray)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A temporary cache, unless GANHTR_CACHE names one.

    The processes of pytest-xdist share it.
    """
    base = tmp_path_factory.getbasetemp()
    os.environ.setdefault(
        "GANHTR_CACHE",
        str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"),
    )


@pytest.fixture(scope="session")
def small():
    """small(**{"train.seed": 1}): a minimal configuration with some keys changed."""
    return lambda **overrides: build_config("tiny", {**SMALL, **overrides})


@pytest.fixture(scope="session")
def draw_lines():
    """draw_lines(texts): lines of handwriting, 32 x 64, of different widths, degraded."""

    def draw(texts, split="train"):
        rows = []
        for i, text in enumerate(texts):
            rng = np.random.default_rng([len(split), i])
            clean, width = fit_line(
                render_line(text or " ", 32, rng, stroke_fonts()[i % 3], 64), 32, 64
            )
            degraded = np.full_like(clean, 255)
            degraded[:, :width] = degrade(clean[:, :width], rng, 1.0)
            rows.append((clean, degraded, width))
        clean, degraded, widths = map(np.array, zip(*rows, strict=True))
        names = tuple(f"{split}-{i}" for i in range(len(texts)))
        return Lines(clean, degraded, widths.astype(np.int32), tuple(texts), names, names)

    return draw


@pytest.fixture(scope="session")
def make_pairs(draw_lines):
    """make_pairs(train, validation): pairs with these transcriptions and their charset."""

    def make(train=TRAIN, validation=VALIDATION, **fields):
        return Pairs(
            draw_lines(train),
            draw_lines(validation, "validation"),
            Charset.of(train),
            **{"name": "by hand", "digest": "d", "clean_digest": "c", **fields},
        )

    return make


@pytest.fixture(scope="session")
def pairs(make_pairs):
    return make_pairs()


@pytest.fixture(scope="session")
def fresh_recognizer():
    """fresh_recognizer(config, pairs): an untrained recognizer that distinguishes the lines.

    Its batch norms have the statistics of the lines.
    """

    def make(config, pairs, cer=0.0):
        height, width = pairs.train.clean.shape[1:]
        with torch_stream(config.seed, "fresh"):
            recognizer = build_recognizer(config, pairs.charset.classes, height, width)
            for module in recognizer.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = None  # the plain mean of all that it sees
            with torch.no_grad():
                recognizer(
                    LineBatches(pairs.train, pairs.charset, CPU)
                    .take(np.arange(len(pairs.train)))
                    .clean
                )
        arrays = {name: tensor.numpy() for name, tensor in recognizer.state_dict().items()}
        return RecognizerWeights(
            config, pairs.charset.characters, height, width, cer, f"fresh {config.seed}", arrays
        )

    return make


@pytest.fixture(scope="session")
def make_inputs(fresh_recognizer):
    """make_inputs(config, pairs): trial inputs with untrained recognizers and no taps."""
    return lambda config, pairs: TrialInputs(
        pairs, fresh_recognizer(config.guide, pairs), fresh_recognizer(config.judge, pairs), None
    )


@pytest.fixture(scope="session")
def inputs(small, pairs, make_inputs):
    return make_inputs(small(), pairs)


@pytest.fixture
def bench(inputs):
    return Bench.of(inputs, CPU)


@pytest.fixture
def new_state(bench, pairs):
    """new_state(config): a trial before its first step, for the bench's lines and guide."""
    return lambda config: build_state(config, pairs.charset, bench.guide.widths, CPU)


@pytest.fixture(scope="session")
def same_tensors():
    """same_tensors(a, b): whether two nests of dicts, lists and tensors are equal, bit by bit."""

    def same(a, b):
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
        if isinstance(a, (list, tuple)):
            return len(a) == len(b) and all(map(same, a, b))
        return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b

    return same
