"""Readers: trained on clean training lines alone, kept by digest, loaded strictly; and the two that are shipped."""

import copy
import dataclasses
import json
import re

import numpy as np
import pytest
import safetensors.numpy
import torch

from ganhtr.charset import Charset
from ganhtr.config import ConfigError, DataConfig, ReaderConfig, RecognizerConfig, build_config
from ganhtr.data import source
from ganhtr.data.batches import LineBatches
from ganhtr.data.synthetic import CHARACTERS
from ganhtr.metrics.text import greedy_decode, text_errors
from ganhtr.models.recognizer import build_reader
from ganhtr.train import reader as reader_module
from ganhtr.train.reader import ReaderWeights, obtain_reader, reader_cer, train_reader, vary, warm_start

CPU = torch.device("cpu")
TRAINING = ReaderConfig(epochs=4, batch_size=4, lr=0.02)
SHIPPED = [reader_module.SHIPPED / f"{role}.safetensors" for role in ("guide", "judge")]
OTHER = {
    RecognizerConfig: {"kind": "transformer", "base": 5, "dim": 16, "layers": 2, "heads": 4, "dropout": 0.2, "seed": 9},
    ReaderConfig: {"epochs": 5, "batch_size": 5, "lr": 0.01},
}


@pytest.fixture(autouse=True)
def empty_shelves(tmp_path, monkeypatch):
    """No reader is shipped and none is in the cache."""
    monkeypatch.setattr(reader_module, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("GANHTR_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def config(small):
    return small().recognizer


@pytest.fixture
def weights(inputs):
    return inputs.guide


def trained(config, pairs, said=None, **options):
    return train_reader("guide", pairs, config, TRAINING, CPU, [].append if said is None else said.append, **options)


def equal(a, b):
    """Whether the arrays of two readers are equal, bit by bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def poisoned(lines):
    """The same number of lines, all else noise."""
    noise = np.random.default_rng(0).integers(0, 256, lines.clean.shape, dtype=np.uint8)
    return dataclasses.replace(lines, clean=noise, degraded=noise, transcripts=("fff",) * len(lines))


def test_training_lowers_the_loss_and_says_so(config, pairs):
    said = []
    made = trained(config, pairs, said)
    losses = [float(re.search(r"epoch \d/4, CTC ([\d.]+) nats", line)[1]) for line in said]
    assert len(losses) == 4 and losses[-1] < 0.8 * losses[0]
    assert [line.split(",")[0] for line in said] == [f"guide reader: epoch {i}/4" for i in range(1, 5)]
    assert f"CER {made.cer:.1%}" in said[-1]
    held = LineBatches(pairs.validation, pairs.charset, CPU)
    assert reader_cer(made.build(CPU), held) == pytest.approx(made.cer)


@pytest.mark.parametrize("kind", ["crnn", "transformer"])
def test_the_same_seed_trains_the_same_reader(kind, config, pairs):
    config = dataclasses.replace(config, kind=kind, dropout=0.3)
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(made))
        made.append(trained(dataclasses.replace(config, seed=seed), pairs).arrays)
    assert equal(made[0], made[1]) and not equal(made[0], made[2])
    assert all(np.isfinite(array).all() for array in made[0].values())


def test_every_step_of_every_epoch_is_in_training_mode(config, pairs):
    plain, dropped = (trained(dataclasses.replace(config, dropout=dropout), pairs).arrays for dropout in (0.0, 0.5))
    assert plain["convolutions.1.num_batches_tracked"] == 4 * 2
    assert not np.array_equal(plain["classify.weight"], dropped["classify.weight"])


def test_only_clean_training_lines_are_trained_on(config, pairs):
    made = trained(config, pairs)
    degraded = np.zeros_like(pairs.train.degraded)
    other = dataclasses.replace(pairs, validation=poisoned(pairs.validation),
                                train=dataclasses.replace(pairs.train, degraded=degraded))
    again = trained(config, other)
    assert equal(made.arrays, again.arrays)
    assert not equal(made.arrays, trained(config, dataclasses.replace(pairs, train=poisoned(pairs.train))).arrays)


def test_fewer_lines_than_a_batch_train_all_the_same(config, make_pairs):
    said = []
    trained(config, make_pairs(train=("ab", "cd")), said)
    assert len(said) == 4 and all("nan" not in line for line in said)


def test_variation_moves_and_tints_the_ink_alone():
    clean = torch.ones((3, 1, 32, 20))
    clean[:, :, 10:20, 5:9] = 0.1
    shifts = set()
    for seed in range(30):
        made = vary(clean, np.random.default_rng(seed))
        ink = made < 1
        rows = ink[0, 0].any(dim=1).nonzero().flatten()
        assert ink.sum() == 3 * 40 and len(rows) == 10 and 0 <= made.min() <= made.max() <= 1
        assert (ink[:, :, :, 5:9].sum(dim=(1, 2, 3)) == 40).all()
        shifts.add(int(rows[0]) - 10)
        tints = ((1 - made) / 0.9).amax(dim=(1, 2, 3))
        assert tints.min() >= 0.75 - 1e-6 and tints.max() <= 1.1 + 1e-6 and len(set(tints.tolist())) == 3
    assert shifts == {-2, -1, 0, 1, 2}


def test_a_saved_reader_is_loaded_whole(weights, tmp_path, pairs):
    path = tmp_path / "folder" / "reader.safetensors"
    weights.save(path)
    loaded = ReaderWeights.load(path)
    for field in dataclasses.fields(ReaderWeights):
        if field.name != "arrays":
            assert getattr(loaded, field.name) == getattr(weights, field.name)
    assert equal(loaded.arrays, weights.arrays) and [file.name for file in path.parent.iterdir()] == [path.name]
    images = LineBatches(pairs.train, pairs.charset, CPU).take(np.arange(4)).clean
    original = build_reader(weights.config, pairs.charset.classes, 32, 64).eval()
    original.load_state_dict({name: torch.from_numpy(array) for name, array in weights.arrays.items()})
    for a, b in zip(loaded.build(CPU)(images), original(images), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize(("change", "fault"), [
    (lambda a: {k: v for k, v in a.items() if k != "classify.bias"}, "Missing key.*classify.bias"),
    (lambda a: {k: v for k, v in a.items() if k != "convolutions.1.running_var"}, "Missing key.*running_var"),
    (lambda a: {**a, "extra.weight": np.zeros(3, np.float32)}, "Unexpected key.*extra.weight"),
    (lambda a: {**a, "classify.bias": a["classify.bias"][:-1]}, "size mismatch for classify.bias"),
    (lambda a: {**a, "shortcut.weight": a["shortcut.weight"][:, :, :2]}, "size mismatch for shortcut.weight"),
], ids=["missing", "missing buffer", "extra", "short", "narrow"])
def test_arrays_that_do_not_fit_are_refused(change, fault, weights):
    with pytest.raises(RuntimeError, match=f"(?s){fault}"):
        dataclasses.replace(weights, arrays=change(weights.arrays)).build(CPU)


def test_a_reader_of_another_charset_is_refused(weights):
    with pytest.raises(RuntimeError, match="size mismatch for classify"):
        dataclasses.replace(weights, charset=weights.charset + "z").build(CPU)


def test_building_does_not_hand_out_the_arrays(weights):
    before = copy.deepcopy(weights.arrays)
    with torch.no_grad():
        for parameter in weights.build(CPU).parameters():
            parameter.zero_()
    assert equal(before, weights.arrays)


@pytest.mark.parametrize("damage", ["missing", "text", "half", "bare", "no json", "lacking", "other key", "list"])
def test_a_damaged_reader_is_named(damage, weights, tmp_path):
    path = tmp_path / "reader.safetensors"
    weights.save(path)
    with safetensors.safe_open(path, framework="numpy") as held:
        meta = json.loads(held.metadata()["reader"])
    told = {"bare": None, "no json": {"reader": "{"}, "list": {"reader": "[]"},
            "lacking": {"reader": json.dumps({k: v for k, v in meta.items() if k != "cer"})},
            "other key": {"reader": json.dumps({**meta, "config": {**meta["config"], "depth": 3}})}}
    if damage == "missing":
        path.unlink()
    elif damage in ("text", "half"):
        path.write_bytes({"text": b"no reader", "half": path.read_bytes()[:2000]}[damage])
    else:
        safetensors.numpy.save_file(weights.arrays, path, metadata=told[damage])
    with pytest.raises(ValueError, match="(?s)reader.safetensors: must be a reader's safetensors file, .* Delete it"):
        ReaderWeights.load(path)


def test_a_warm_start_copies_class_rows_by_character(config, pairs, fresh_reader):
    start = fresh_reader(config, pairs)  # charset " abcdef"
    charset = Charset("fzb a")
    reader = build_reader(config, charset.classes, 32, 64)
    own = {name: tensor.clone().numpy() for name, tensor in reader.state_dict().items()}
    assert warm_start(reader, start, charset) == f"{len(own)} of {len(own)} arrays, 4 of 5 characters"
    source_of = {0: 0, 1: 7, 3: 3, 4: 1, 5: 2}  # blank, f, b, space, a; z (2) is new
    for name, tensor in reader.state_dict().items():
        if name.split(".")[0] in ("classify", "shortcut"):
            for to, take in source_of.items():
                assert np.array_equal(tensor[to].numpy(), start.arrays[name][take]), (name, to)
            assert np.array_equal(tensor[2].numpy(), own[name][2])
        else:
            assert np.array_equal(tensor.numpy(), start.arrays[name]), name


def test_a_warm_start_permutes_rows_of_a_charset_of_equal_size(config, pairs, fresh_reader):
    start = fresh_reader(config, pairs)
    reader = build_reader(config, 8, 32, 64)
    warm_start(reader, start, Charset("fedcba "))
    assert np.array_equal(reader.classify.weight[1:].detach().numpy(), start.arrays["classify.weight"][:0:-1])


def test_a_warm_start_leaves_what_does_not_fit(config, pairs, fresh_reader):
    start = fresh_reader(config, pairs)
    reader = build_reader(dataclasses.replace(config, dim=10), pairs.charset.classes, 32, 64)
    own = {name: tensor.clone() for name, tensor in reader.state_dict().items()}
    words = warm_start(reader, start, pairs.charset)
    fitting = [name for name, tensor in own.items() if tuple(tensor.shape) == start.arrays[name].shape]
    assert words == f"{len(fitting)} of {len(own)} arrays, 7 of 7 characters" and 0 < len(fitting) < len(own)
    assert torch.equal(reader.classify.weight, own["classify.weight"])
    assert np.array_equal(reader.state_dict()["shortcut.weight"].numpy(), start.arrays["shortcut.weight"])


def test_a_second_call_reads_the_cache(config, pairs):
    said = []
    first = obtain_reader("guide", pairs, config, TRAINING, CPU, said.append)
    assert len(said) == 4 and "epoch 1/4" in said[0]
    said.clear()
    second = obtain_reader("guide", pairs, config, TRAINING, CPU, said.append)
    assert said == [f"guide reader: from the cache, CER {first.cer:.1%} on clean search-validation lines"]
    assert equal(first.arrays, second.arrays) and first.digest == second.digest
    said.clear()
    obtain_reader("judge", pairs, config, TRAINING, CPU, said.append)
    assert len(said) == 4


def test_a_shipped_reader_serves_where_it_fits_and_starts_another_where_not(config, pairs, fresh_reader):
    said = []
    made = obtain_reader("guide", pairs, config, TRAINING, CPU, said.append)
    made.save(reader_module.SHIPPED / "guide.safetensors")
    said.clear()
    assert equal(obtain_reader("guide", pairs, config, TRAINING, CPU, said.append).arrays, made.arrays)
    assert said == [f"guide reader: shipped weights, CER {made.cer:.1%} on clean search-validation lines"]
    said.clear()
    other = dataclasses.replace(pairs, clean_digest="other")
    obtain_reader("guide", other, config, TRAINING, CPU, said.append)
    count = len(made.arrays)
    assert said[0] == f"guide reader: starts from the shipped one ({count} of {count} arrays, 7 of 7 characters)"
    assert len(said) == 5
    said.clear()
    obtain_reader("guide", other, dataclasses.replace(config, kind="transformer"), TRAINING, CPU, said.append)
    assert not any("starts from" in line for line in said)


@pytest.fixture
def digest_of(monkeypatch, weights):
    """digest_of(pairs, config, training): the digest that a new reader is kept under."""
    digests = []

    def train(*arguments):
        digests.append(arguments[-1])
        return dataclasses.replace(weights, digest=arguments[-1])

    monkeypatch.setattr(reader_module, "train_reader", train)

    def digest(pairs, config, training):
        held = obtain_reader("guide", pairs, config, training, CPU, [].append)
        assert (source.cache_folder() / "readers" / f"guide-{held.digest}.safetensors").exists()
        return held.digest
    return digest


def test_every_setting_of_a_reader_is_in_its_digest(digest_of, config, pairs):
    digests = [digest_of(pairs, config, TRAINING)]
    for field in dataclasses.fields(RecognizerConfig):
        changed = dataclasses.replace(config, **{field.name: OTHER[RecognizerConfig][field.name]})
        digests.append(digest_of(pairs, changed, TRAINING))
    for field in dataclasses.fields(ReaderConfig):
        changed = dataclasses.replace(TRAINING, **{field.name: OTHER[ReaderConfig][field.name]})
        digests.append(digest_of(pairs, config, changed))
    digests.append(digest_of(dataclasses.replace(pairs, charset=Charset("fedcba ")), config, TRAINING))
    digests.append(digest_of(dataclasses.replace(pairs, clean_digest="x"), config, TRAINING))
    assert len(set(digests)) == len(digests) == 13
    assert digest_of(dataclasses.replace(pairs, digest="x", name="y", notes=("z",)), config, TRAINING) == digests[0]


@pytest.mark.parametrize(("kind", "width", "stride"), [("crnn", 34, 4), ("transformer", 36, 8)])
def test_no_line_has_more_frames_than_its_reader(kind, width, stride):
    settings = {"generator.levels": 1, "recognizer.kind": kind, "judge.kind": kind, "judge.dim": 64}
    with pytest.raises(ConfigError, match=f"data.width must be a multiple of {stride}"):
        build_config("tiny", {**settings, "data.width": width})
    fitting = width + stride // 2
    config = build_config("tiny", {**settings, "data.width": fitting, "recognizer.base": 2, "recognizer.dim": 16})
    reader = build_reader(config.recognizer, 5, 32, fitting)
    assert reader(torch.rand(2, 1, 32, fitting))[1].shape[1] == -(-fitting // reader.stride)


@pytest.fixture
def built_in(tmp_path, monkeypatch):
    """The 64 search-validation lines that every built-in study has; training lines do not change them."""
    monkeypatch.setattr(source, "BUILTIN_HELD", {"validation": 64, "test": 1})
    pairs = source.load_pairs(source.BUILTIN, DataConfig(lines=16))
    return LineBatches(pairs.validation, pairs.charset, CPU)


shipped = pytest.mark.skipif(not all(path.exists() for path in SHIPPED),
                             reason="no shipped readers; `make readers` trains them")


@shipped
def test_the_shipped_readers_are_small():
    assert sum(path.stat().st_size for path in SHIPPED) <= 4 * 2**20


@shipped
def test_the_shipped_readers_read_clean_lines_and_the_guide_no_degraded_ones(built_in):
    guide, judge = map(ReaderWeights.load, SHIPPED)
    for held in (guide, judge):
        assert reader_cer(held.build(CPU), built_in) == pytest.approx(held.cer, abs=0.002)
        assert held.cer <= 0.05
    batch, reader = built_in.take(np.arange(64)), guide.build(CPU)
    readings = greedy_decode(reader(batch.degraded)[1], batch.frames(reader.stride), built_in.charset)
    assert text_errors(built_in.lines.transcripts, readings).cer >= 0.8


@shipped
def test_a_default_study_takes_the_shipped_readers_as_they_are(monkeypatch, pairs):
    monkeypatch.setattr(reader_module, "SHIPPED", SHIPPED[0].parent)
    config, made = build_config("tiny"), []
    monkeypatch.setattr(source, "_make", lambda *arguments: made.append(arguments[-1]))
    source._prepared(source.BUILTIN, config.data, None, None)
    default = dataclasses.replace(pairs, clean_digest=made[0], charset=Charset(CHARACTERS))
    said = []
    for role, settings in (("guide", config.recognizer), ("judge", config.judge)):
        obtain_reader(role, default, settings, config.reader, CPU, said.append)
    assert [line.split(",")[0] for line in said] == ["guide reader: shipped weights", "judge reader: shipped weights"]
