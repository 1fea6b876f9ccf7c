"""Sources of recognizers: files, package, cache, training; strict loading; shipped weights."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from ganhtr.atomic import write_atomically
from ganhtr.charset import Charset
from ganhtr.config import ConfigError, build_config
from ganhtr.config_sections import DataConfig, RecognizerConfig, RecognizerTrainingConfig
from ganhtr.data import source
from ganhtr.data.batches import LineBatches
from ganhtr.data.drawn.register import CHARACTERS
from ganhtr.metrics.text import greedy_decode, text_errors
from ganhtr.models.recognizer import build_recognizer
from ganhtr.recognizers import obtain as recognizer_module
from ganhtr.recognizers.obtain import charset_difference, obtain_recognizer
from ganhtr.recognizers.readings import recognizer_cer
from ganhtr.recognizers.training import Recipe
from ganhtr.recognizers.weights import RecognizerWeights
from ganhtr.train.inputs import prepare_inputs

CPU = torch.device("cpu")
TRAINING = RecognizerTrainingConfig(epochs=4, batch_size=4, lr=0.02)
SHIPPED = [recognizer_module.SHIPPED / f"{role}.safetensors" for role in ("guide", "judge")]
OTHER = {
    RecognizerConfig: {
        "kind": "transformer",
        "base": 5,
        "dim": 16,
        "layers": 2,
        "heads": 4,
        "height": 40,
        "dropout": 0.2,
        "seed": 9,
        "weights": "x",
    },
    RecognizerTrainingConfig: {"epochs": 5, "batch_size": 5, "lr": 0.01},
}


@pytest.fixture(autouse=True)
def empty_shelves(tmp_path, monkeypatch):
    """No recognizer is shipped and none is in the cache."""
    monkeypatch.setattr(recognizer_module, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("GANHTR_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def config(small):
    return small().guide


@pytest.fixture
def weights(inputs):
    return inputs.guide


def equal(a, b):
    """Whether the arrays of two recognizers are equal, bit by bit."""
    return a.keys() == b.keys() and all(
        np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a
    )


def test_a_saved_recognizer_is_loaded_whole(weights, tmp_path, pairs):
    path = tmp_path / "folder" / "recognizer.safetensors"
    weights.save(path)
    loaded = RecognizerWeights.load(path)
    for field in dataclasses.fields(RecognizerWeights):
        if field.name != "arrays":
            assert getattr(loaded, field.name) == getattr(weights, field.name)
    assert equal(loaded.arrays, weights.arrays) and [
        file.name for file in path.parent.iterdir()
    ] == [path.name]
    images = LineBatches(pairs.train, pairs.charset, CPU).take(np.arange(4)).clean
    original = build_recognizer(weights.config, pairs.charset.classes, 32, 64).eval()
    original.load_state_dict(
        {name: torch.from_numpy(array) for name, array in weights.arrays.items()}
    )
    for a, b in zip(loaded.build(CPU)(images), original(images), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            lambda a: {k: v for k, v in a.items() if k != "classify.bias"},
            "Missing key.*classify.bias",
        ),
        (
            lambda a: {k: v for k, v in a.items() if k != "convolutions.1.running_var"},
            "Missing key.*running_var",
        ),
        (lambda a: {**a, "extra.weight": np.zeros(3, np.float32)}, "Unexpected key.*extra.weight"),
        (
            lambda a: {**a, "classify.bias": a["classify.bias"][:-1]},
            "size mismatch for classify.bias",
        ),
        (
            lambda a: {**a, "shortcut.weight": a["shortcut.weight"][:, :, :2]},
            "size mismatch for shortcut.weight",
        ),
    ],
    ids=["missing", "missing buffer", "extra", "short", "narrow"],
)
def test_arrays_that_do_not_fit_are_refused(change, fault, weights):
    with pytest.raises(RuntimeError, match=f"(?s){fault}"):
        dataclasses.replace(weights, arrays=change(weights.arrays)).build(CPU)


def test_a_recognizer_of_another_charset_is_refused(weights):
    with pytest.raises(RuntimeError, match="size mismatch for classify"):
        dataclasses.replace(weights, charset=weights.charset + "z").build(CPU)


def test_building_does_not_hand_out_the_arrays(weights):
    before = copy.deepcopy(weights.arrays)
    with torch.no_grad():
        for parameter in weights.build(CPU).parameters():
            parameter.zero_()
    assert equal(before, weights.arrays)


@pytest.mark.parametrize(
    "damage",
    [
        "missing",
        "text",
        "half",
        "bare",
        "another's",
        "no json",
        "lacking",
        "other key",
        "list",
        "other size",
        "huge",
        "odd heads",
        "no charset",
        "twice",
        "no height",
        "wordy",
    ],
)
def test_a_damaged_recognizer_is_named(damage, weights, tmp_path):
    path = tmp_path / "recognizer.safetensors"
    weights.save(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        meta = json.loads(file.metadata()["recognizer"])

    def changed(**values):
        return {
            "recognizer": json.dumps(
                {
                    **meta,
                    **{key: value for key, value in values.items() if key != "config"},
                    "config": {**meta["config"], **values.get("config", {})},
                }
            )
        }

    metadata = {
        "bare": None,
        "another's": {"generator": "{}"},
        "no json": {"recognizer": "{"},
        "list": {"recognizer": "[]"},
        "lacking": {"recognizer": json.dumps({k: v for k, v in meta.items() if k != "cer"})},
        "other key": changed(config={"depth": 3}),
        "other size": changed(config={"base": 5}),
        "huge": changed(config={"base": 10**9}),
        "odd heads": changed(config={"kind": "transformer", "heads": 7}),
        "no charset": changed(charset=""),
        "twice": changed(charset="abcdeff"),
        "no height": changed(height=0),
        "wordy": changed(cer="low"),
    }
    if damage == "missing":
        path.unlink()
    elif damage in ("text", "half"):
        path.write_bytes({"text": b"no recognizer", "half": path.read_bytes()[:2000]}[damage])
    else:
        safetensors.numpy.save_file(weights.arrays, path, metadata=metadata[damage])
    with pytest.raises(
        ValueError,
        match="(?s)recognizer.safetensors: cannot load .* as a trained recognizer .* Use a file",
    ):
        RecognizerWeights.load(path)


def test_a_second_call_reads_the_cache(config, pairs):
    printed = []
    first = obtain_recognizer("guide", pairs, config, TRAINING, CPU, printed.append)
    assert len(printed) == 4 and "epoch 1/4" in printed[0]
    kept = (
        source.cache_folder()
        / "recognizers"
        / f"guide-{Recipe(pairs, config, TRAINING).digest}.safetensors"
    )
    assert list(kept.parent.iterdir()) == [kept]  # no checkpoint stays
    printed.clear()
    second = obtain_recognizer("guide", pairs, config, TRAINING, CPU, printed.append)
    assert printed == [
        f"guide recognizer: from the cache, CER {first.cer:.1%} on clean search-validation lines"
    ]
    assert equal(first.arrays, second.arrays) and first.digest == second.digest
    printed.clear()
    obtain_recognizer("judge", pairs, config, TRAINING, CPU, printed.append)
    assert len(printed) == 4


def test_a_shipped_recognizer_serves_where_it_fits_and_starts_another_where_not(
    config, pairs, fresh_recognizer
):
    printed = []
    made = obtain_recognizer("guide", pairs, config, TRAINING, CPU, printed.append)
    made.save(recognizer_module.SHIPPED / "guide.safetensors")
    printed.clear()
    assert equal(
        obtain_recognizer("guide", pairs, config, TRAINING, CPU, printed.append).arrays, made.arrays
    )
    assert printed == [
        f"guide recognizer: shipped weights, CER {made.cer:.1%} on clean search-validation lines"
    ]
    printed.clear()
    other = dataclasses.replace(pairs, clean_digest="other")
    obtain_recognizer("guide", other, config, TRAINING, CPU, printed.append)
    count = len(made.arrays)
    assert (
        printed[0]
        == f"guide recognizer: starts from the shipped weights ({count} of {count} arrays, "
        "7 of 7 characters)"
    )
    assert len(printed) == 5
    printed.clear()
    obtain_recognizer(
        "guide",
        other,
        dataclasses.replace(config, kind="transformer"),
        TRAINING,
        CPU,
        printed.append,
    )
    assert not any("starts from" in line for line in printed)


def test_every_setting_of_a_recognizer_is_in_its_digest_but_the_name_of_weights(config, pairs):
    def digest_of(pairs, config, training):
        return Recipe(pairs, config, training).digest

    digests = [digest_of(pairs, config, TRAINING)]
    for field in dataclasses.fields(RecognizerConfig):
        changed = dataclasses.replace(config, **{field.name: OTHER[RecognizerConfig][field.name]})
        digests += [digest_of(pairs, changed, TRAINING)] if field.name != "weights" else []
    for field in dataclasses.fields(RecognizerTrainingConfig):
        changed = dataclasses.replace(
            TRAINING, **{field.name: OTHER[RecognizerTrainingConfig][field.name]}
        )
        digests.append(digest_of(pairs, config, changed))
    digests.append(
        digest_of(dataclasses.replace(pairs, charset=Charset("fedcba ")), config, TRAINING)
    )
    digests.append(digest_of(dataclasses.replace(pairs, clean_digest="x"), config, TRAINING))
    assert len(set(digests)) == len(digests) == 14
    assert (
        digest_of(dataclasses.replace(pairs, digest="x", name="y", notes=("z",)), config, TRAINING)
        == digests[0]
    )
    assert digest_of(pairs, dataclasses.replace(config, weights="x"), TRAINING) == digests[0]


def test_a_cached_recognizer_does_not_outlive_the_weights_it_was_started_from(
    config, pairs, fresh_recognizer
):
    """Another shipped recognizer starts another training."""
    printed = []
    for digest in ("one", "two", "two"):
        shipped = dataclasses.replace(fresh_recognizer(config, pairs), digest=digest)
        shipped.save(recognizer_module.SHIPPED / "guide.safetensors")
        obtain_recognizer("guide", pairs, config, TRAINING, CPU, printed.append)
    assert sum("starts from the shipped weights" in line for line in printed) == 2
    assert "from the cache" in printed[-1]


def test_digests_are_those_of_the_shipped_recognizers(pairs):
    """The shipped recognizers and every cache are found by them."""
    assert (
        Recipe(pairs, RecognizerConfig(), RecognizerTrainingConfig()).digest == "5cfee21b33c125ef"
    )
    assert (
        Recipe(
            pairs, RecognizerConfig(kind="transformer", dim=64), RecognizerTrainingConfig(epochs=3)
        ).digest
        == "18e233cd1737d399"
    )


def test_a_file_of_the_first_version_loads(weights, tmp_path):
    path = tmp_path / "recognizer.safetensors"
    weights.save(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        meta = json.loads(file.metadata()["recognizer"])
    del meta["config"]["weights"]
    safetensors.numpy.save_file(weights.arrays, path, metadata={"recognizer": json.dumps(meta)})
    assert RecognizerWeights.load(path).config == weights.config


class Killed(BaseException):
    """The end of a process, as far as one can be had in a test."""


def killed_after(epoch, printed):
    def say(line):
        printed.append(line)
        if f"epoch {epoch}/" in line:
            raise Killed

    return say


def test_a_search_that_was_killed_goes_on_with_its_recognizer(config, pairs):
    printed = []
    whole = obtain_recognizer("judge", pairs, config, TRAINING, CPU, printed.append)
    with pytest.raises(Killed):
        obtain_recognizer("guide", pairs, config, TRAINING, CPU, killed_after(3, printed))
    printed.clear()
    resumed = obtain_recognizer("guide", pairs, config, TRAINING, CPU, printed.append)
    assert (
        printed[0] == "guide recognizer: resumed after epoch 3 of 4"
        and len(printed) == 2
        and "epoch 4/4" in printed[1]
    )
    assert equal(whole.arrays, resumed.arrays) and whole.cer == resumed.cer
    assert len(list((source.cache_folder() / "recognizers").iterdir())) == 2


def test_a_damaged_checkpoint_in_the_cache_is_not_in_the_way(config, pairs):
    printed = []
    with pytest.raises(Killed):
        obtain_recognizer("guide", pairs, config, TRAINING, CPU, killed_after(2, printed))
    (part,) = (source.cache_folder() / "recognizers").iterdir()
    part.write_bytes(part.read_bytes()[:-100])
    printed.clear()
    made = obtain_recognizer("guide", pairs, config, TRAINING, CPU, printed.append)
    assert (
        "guide recognizer: training starts from the beginning. " in printed[0]
        and "cannot load this file" in printed[0]
    )
    assert "epoch 1/4" in printed[-4] and "epoch 4/4" in printed[-1] and not part.exists()
    assert RecognizerWeights.load(part.with_suffix("")).cer == made.cer


@pytest.fixture
def named(config, tmp_path):
    """named(weights, **settings): a configuration with these weights; the path has a space."""

    def name(weights, **settings):
        path = tmp_path / "my recognizer.safetensors"
        weights.save(path)
        return dataclasses.replace(config, weights=str(path), **settings)

    return name


def test_a_named_recognizer_is_taken_as_it_is(named, weights, pairs):
    printed = []
    config = named(weights, dim=50, seed=7)  # what the file says holds
    made = obtain_recognizer("judge", pairs, config, TRAINING, CPU, printed.append)
    assert printed == [
        f"judge recognizer: {config.weights}, CER 0.0% on the clean search-validation lines "
        "of its training"
    ]
    assert (
        equal(made.arrays, weights.arrays)
        and made.config == weights.config
        and not (source.cache_folder() / "recognizers").exists()
    )


def test_a_named_recognizer_is_known_by_what_is_in_its_file(named, weights, pairs):
    def digest(recognizer):
        return obtain_recognizer("guide", pairs, named(recognizer), TRAINING, CPU, [].append).digest

    other = dataclasses.replace(
        weights, arrays={**weights.arrays, "classify.bias": weights.arrays["classify.bias"] + 1}
    )
    assert digest(weights) == digest(weights) != digest(other)
    assert Recipe(pairs, weights.config, TRAINING).digest not in (digest(weights), digest(other))


@pytest.mark.parametrize(("role", "key"), [("guide", "guide.weights"), ("judge", "judge.weights")])
def test_named_weights_that_are_missing_are_named(role, key, pairs, config, tmp_path):
    config = dataclasses.replace(config, weights=str(tmp_path / "no.safetensors"))
    fault = rf"^{key}: .*no\.safetensors does not exist\. .*recognizer train$"
    with pytest.raises(ValueError, match=fault):
        obtain_recognizer(role, pairs, config, TRAINING, CPU, [].append)


@pytest.mark.parametrize(
    ("changes", "kind", "fault"),
    [
        (
            {"charset": " abcdeg"},
            "crnn",
            "only the recognizer has 'g'; only the lines have 'f'. Use the same --charset FILE",
        ),
        ({"charset": " abcdfe"}, "crnn", "the same characters in another order"),
        (
            {"height": 48},
            "crnn",
            "guide.weights reads lines of height 48, but data.height is 32. Set data.height to 48",
        ),
        (
            {"width": 128},
            "transformer",
            "guide.weights reads lines of width 128, but data.width is 64. Set data.width to 128",
        ),
    ],
    ids=["charset", "order", "height", "width"],
)
def test_named_weights_for_other_lines_are_refused(
    changes, kind, fault, named, pairs, fresh_recognizer, small, monkeypatch
):
    weights = fresh_recognizer(small(**{"guide.kind": kind}).guide, pairs)
    recognizer = build_recognizer(
        weights.config, len(pairs.charset) + 1, changes.get("height", 32), changes.get("width", 64)
    )
    arrays = {name: tensor.numpy() for name, tensor in recognizer.state_dict().items()}
    with pytest.raises(ValueError, match=f"my recognizer.safetensors: .*{fault}") as caught:
        obtain_recognizer(
            "guide",
            pairs,
            named(dataclasses.replace(weights, arrays=arrays, **changes)),
            TRAINING,
            CPU,
            [].append,
        )
    assert "\n" not in str(caught.value)


def test_a_crnn_of_another_width_is_taken_and_two_faults_are_told_at_once(named, weights, pairs):
    assert (
        obtain_recognizer(
            "guide", pairs, named(dataclasses.replace(weights, width=256)), TRAINING, CPU, [].append
        ).width
        == 256
    )
    with pytest.raises(ValueError, match=r"data\.height(.|\n)*charset"):
        obtain_recognizer(
            "guide",
            pairs,
            named(dataclasses.replace(weights, height=64, charset=" abcdez")),
            TRAINING,
            CPU,
            [].append,
        )


def test_a_study_whose_guide_and_judge_are_one_file_says_so(weights, pairs, small, tmp_path):
    for name, arrays in (
        ("a", weights.arrays),
        ("b", {**weights.arrays, "classify.bias": weights.arrays["classify.bias"] + 1}),
    ):
        dataclasses.replace(weights, arrays=arrays).save(tmp_path / name)
    for judge, notes in (("a", 1), ("b", 0)):
        config = small(
            **{"guide.weights": str(tmp_path / "a"), "judge.weights": str(tmp_path / judge)}
        )
        made = prepare_inputs(config, pairs, CPU, [].append)
        assert (
            sum("guide and judge are the same recognizer" in note for note in made.pairs.notes)
            == notes
        )
        assert equal(made.guide.arrays, weights.arrays) and equal(
            made.judge.arrays, weights.arrays
        ) == (judge == "a")


def test_a_generator_is_no_recognizer(config, pairs, new_state, small, tmp_path):
    path = tmp_path / "generator.safetensors"
    state = new_state(small())
    write_atomically(
        path,
        safetensors.torch.save(
            {name: tensor.contiguous() for name, tensor in state.generator.state_dict().items()}
        ),
    )
    config = dataclasses.replace(config, weights=str(path))
    with pytest.raises(
        ValueError,
        match=r"generator.safetensors: cannot load .*does not describe a recognizer.* Use a file",
    ):
        obtain_recognizer("guide", pairs, config, TRAINING, CPU, [].append)


def test_a_difference_of_charsets_is_told_in_full_and_in_short():
    assert charset_difference("ab", "bc") == "only the recognizer has 'a'; only the lines have 'c'"
    assert charset_difference("".join(map(chr, range(200, 230))), "a").endswith(
        "'Û' and 10 more; only the lines have 'a'"
    )


@pytest.mark.parametrize(("kind", "width", "stride"), [("crnn", 34, 4), ("transformer", 36, 8)])
def test_no_line_has_more_frames_than_its_recognizer(kind, width, stride):
    settings = {"generator.levels": 1, "guide.kind": kind, "judge.kind": kind}
    with pytest.raises(ConfigError, match=f"data.width must be a multiple of {stride}"):
        build_config("tiny", {**settings, "data.width": width})
    fitting = width + stride // 2
    config = build_config(
        "tiny", {**settings, "data.width": fitting, "guide.base": 2, "guide.dim": 16}
    )
    recognizer = build_recognizer(config.guide, 5, 32, fitting)
    assert recognizer(torch.rand(2, 1, 32, fitting))[1].shape[1] == -(-fitting // recognizer.stride)


@pytest.fixture
def built_in(tmp_path, monkeypatch):
    """The 200 search-validation lines of the built-in data; all studies have the same."""
    monkeypatch.setattr(source, "BUILTIN_HELD", {"validation": 200, "test": 1})
    pairs = source.load_pairs(source.BUILTIN, DataConfig(lines=16))
    return LineBatches(pairs.validation, pairs.charset, CPU)


shipped = pytest.mark.skipif(
    not all(path.exists() for path in SHIPPED),
    reason="no shipped recognizers; `make recognizers` trains them",
)


@shipped
def test_the_shipped_recognizers_are_small():
    assert sum(path.stat().st_size for path in SHIPPED) <= 4 * 2**20


@shipped
def test_the_shipped_recognizers_read_clean_lines_and_the_guide_no_degraded_ones(built_in):
    guide, judge = map(RecognizerWeights.load, SHIPPED)
    for weights in (guide, judge):
        assert recognizer_cer(weights.build(CPU), built_in) == pytest.approx(weights.cer, abs=0.002)
        assert weights.cer <= 0.05
    batch, recognizer = built_in.take(np.arange(64)), guide.build(CPU)
    readings = greedy_decode(
        recognizer(batch.degraded)[1], batch.frames(recognizer.stride), built_in.charset
    )
    assert text_errors(built_in.lines.transcripts[:64], readings).cer >= 0.8


@shipped
def test_a_default_study_takes_the_shipped_recognizers_as_they_are(monkeypatch, pairs):
    monkeypatch.setattr(recognizer_module, "SHIPPED", SHIPPED[0].parent)
    config, made = build_config("tiny"), []
    monkeypatch.setattr(source, "_make", lambda *arguments: made.append(arguments[-1]))
    source._prepared(source.BUILTIN, config.data, None, None)
    default = dataclasses.replace(pairs, clean_digest=made[0], charset=Charset(CHARACTERS))
    printed = []
    for role, settings in (("guide", config.guide), ("judge", config.judge)):
        obtain_recognizer(role, default, settings, config.recognizer_training, CPU, printed.append)
    assert [line.split(",")[0] for line in printed] == [
        "guide recognizer: shipped weights",
        "judge recognizer: shipped weights",
    ]
