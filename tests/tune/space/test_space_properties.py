"""Any valid space samples only what it allows, has the grid of plain enumeration, and survives a
round trip."""

import itertools
import json
import math
import random
from fractions import Fraction

import jsonschema
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna.distributions import json_to_distribution

from ganhtr.config import RULES, build_config
from tune.searcher.distributions import distributions, distributions_json
from tune.space.load import load_space, space_from_plain
from tune.space.plain import digest_of, plain_of
from tune.space.schema import json_schema
from tune.space.source import SpaceError
from tune.space.tree import space_tree

# Keys that go together in any combination, so that a space made of them is a valid one.
FLOATS = {"loss.pixel": 9, "loss.ctc": 5, "contrastive.weight": 9, "train.clip_norm": 9}
WHOLE = {"head.dim": 40, "head.layers": 6, "train.batch_size": 9}
TEXT = ("head.kind", "augment.strategy", "contrastive.formulation", "train.discriminator_optimizer")
FLAGS = ("contrastive.symmetric", "contrastive.learned_temperature")
KEYS = (*FLOATS, *WHOLE, *TEXT, *FLAGS)
EXPRESSIONS = (
    "min(64, 8 * train.batch_size)",
    "max(8, round(head.dim ** 0.5)) // 2 + head.layers",
    "100 % (head.layers + 90) + 2",
)
SCHEMA = jsonschema.Draft202012Validator(json_schema())


# --- the plain language, read once more ---


def values_of(options):
    """Every value of a parameter in plain values, or None for a continuous one."""
    if "bool" in options:
        return [False, True]
    if "choice" in options:
        return options["choice"]
    kind = "int" if "int" in options else "float"
    low, high = (Fraction(str(end)) for end in options[kind])
    if "step" not in options and kind == "float":
        return None
    step = Fraction(str(options.get("step", 1)))
    return [
        (int if kind == "int" else float)(low + n * step)
        for n in range(int((high - low) / step) + 1)
    ]


def meets(condition, value):
    if isinstance(condition, dict):
        return condition.get("min", -math.inf) <= value <= condition.get("max", math.inf)
    return value in condition if isinstance(condition, list) else value == condition


def is_active(space, key, values):
    return all(
        name in values and is_active(space, name, values) and meets(condition, values[name])
        for name, condition in space[key].get("when", {}).items()
    )


def never_active(space):
    """Whether a parameter is active in no combination of values; None if there are too many.

    A continuous parameter has a value between all ends that conditions name.
    """
    every = {}
    for key, options in space.items():
        values = values_of(options) or next(iter(options.values()))
        named = [other["when"][key] for other in space.values() if key in other.get("when", {})]
        ends = [
            end for condition in named if isinstance(condition, dict) for end in condition.values()
        ]
        marks = sorted({*values, *ends})
        every[key] = (
            values
            if values_of(options)
            else [(low + high) / 2 for low, high in itertools.pairwise(marks)]
        )
    if math.prod(map(len, every.values())) > 2000:
        return None
    points = [dict(zip(every, point, strict=True)) for point in itertools.product(*every.values())]
    return not all(any(is_active(space, key, values) for values in points) for key in space)


def is_forbidden(plain, values):
    return any(
        all(key in values and meets(condition, values[key]) for key, condition in clause.items())
        for clause in plain.get("forbidden", [])
    )


# --- space files ---


@st.composite
def conditions(draw, options):
    """A condition on a parameter: a value, some of its values, or a range."""
    values = values_of(options)
    if values is None or (not isinstance(values[0], (str, bool)) and draw(st.booleans())):
        ends = (
            next(iter(options.values()))
            if values is None
            else sorted(draw(st.lists(st.sampled_from(values), min_size=1, max_size=2)))
        )
        if values is None:  # of a continuous parameter no single value is drawn
            low, high = ends
            ends = draw(
                st.sampled_from([(low, high), (low, (low + high) / 2), ((low + high) / 2, high)])
            )
            return {
                **({"min": ends[0]} if ends[0] > low or draw(st.booleans()) else {}),
                "max": ends[1],
            }
        return draw(
            st.sampled_from(
                [{"min": ends[0]}, {"max": ends[-1]}, {"min": ends[0], "max": ends[-1]}]
            )
        )
    some = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True))
    return some[0] if draw(st.booleans()) else some


@st.composite
def parameters(draw, key):
    """A parameter in plain values."""
    if key in FLAGS:
        options = {"bool": True}
    elif key in TEXT:
        options = {
            "choice": draw(
                st.lists(st.sampled_from(RULES[key].choices), min_size=1, max_size=3, unique=True)
            )
        }
    elif key in WHOLE and draw(st.booleans()):
        options = {
            "choice": draw(
                st.lists(st.integers(2, WHOLE[key]), min_size=1, max_size=3, unique=True)
            )
        }
    elif key in WHOLE:
        low, step, steps = (
            draw(st.integers(2, WHOLE[key] - 3)),
            draw(st.integers(1, 2)),
            draw(st.integers(1, 3)),
        )
        high = min(low + step * steps, WHOLE[key])
        scale = (
            {"step": step}
            if (high - low) % step == 0 and draw(st.booleans())
            else {"log": draw(st.booleans())}
        )
        options = {"int": [low, high], **scale}
    elif draw(st.booleans()):
        low, step, steps = (
            draw(st.integers(10, 30)),
            draw(st.integers(1, 3)),
            draw(st.integers(1, 4)),
        )
        options = {"float": [low / 10, (low + step * steps) / 10], "step": step / 10}
    else:
        ends = st.lists(st.floats(1, FLOATS[key]), min_size=2, max_size=2)
        # conditions name the middle of the range, which lies inside it
        low, high = draw(ends.map(sorted).filter(lambda ends: ends[1] - ends[0] > 1e-6))
        options = {"float": [low, high], "log": draw(st.booleans())}
    if (values := values_of(options)) and draw(st.booleans()):
        options["default"] = draw(st.sampled_from(values))
    return options


@st.composite
def plain_spaces(draw):
    """A space in plain values with every feature of the language; None if it is refused."""
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=6, unique=True))
    space = {}
    for key in keys:
        options = draw(parameters(key))
        if space and draw(st.booleans()):
            ancestors = draw(
                st.lists(st.sampled_from(sorted(space)), min_size=1, max_size=2, unique=True)
            )
            options["when"] = {
                ancestor: draw(conditions(space[ancestor])) for ancestor in ancestors
            }
        space[key] = options
    plain = {"space": {key: space[key] for key in draw(st.permutations(keys))}}
    clauses = st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True).flatmap(
        lambda some: st.fixed_dictionaries({key: conditions(space[key]) for key in some})
    )
    if forbidden := draw(st.lists(clauses, max_size=3)):
        plain["forbidden"] = forbidden
    if draw(st.booleans()):
        plain["derived"] = {
            "contrastive.windows": "head.width // 2",
            "head.width": draw(st.sampled_from(EXPRESSIONS)),
        }
    plain |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "objective": st.sampled_from(["cer", ["psnr", "cer"]]),
                "constraints": st.just({"psnr": {"below_off": 0.5, "min": 3}}),
                "search": st.just({"sampler": "gp", "pruner": "none", "duplicates": "repeat"}),
                "verdict": st.just({"seeds": 5, "margins": {"psnr": 1}}),
                "budget": st.just(
                    {"trials": 7, "epochs": 9, "no_improvement": 3, "wall_hours": 1.5}
                ),
            },
        )
    )
    try:
        point = space_from_plain(plain).random_values(draw(st.integers(0, 99)))
    except SpaceError as error:
        if "is never active" in str(error):
            assert never_active(space) is not False, error
        else:
            assert len(error.faults) == 1 and "excludes every configuration" in error.faults[0], (
                error
            )
        return None
    assert not never_active(space)
    if draw(st.booleans()):
        plain["first"] = {"a point": point}
    return plain


@settings(max_examples=25, deadline=None)
@given(plain_spaces(), st.integers(0, 2**31))
def test_random_trials_are_allowed(plain, seed):
    assume(plain)
    space, rng = space_from_plain(plain), random.Random(seed)
    optuna_distributions = distributions(space)
    for _ in range(10):
        values = space.random_values(rng)
        assert set(values) == {
            key for key in plain["space"] if is_active(plain["space"], key, values)
        }
        assert not is_forbidden(plain, values) and not space.forbids(values)
        for key, value in values.items():
            options, countable = plain["space"][key], values_of(plain["space"][key])
            if countable is None:
                assert options["float"][0] <= value <= options["float"][1] and isinstance(
                    value, float
                )
            else:
                assert value in countable
                assert type(value) is RULES[key].type or "int" in options
            distribution = optuna_distributions[key]
            assert distribution._contains(distribution.to_internal_repr(value))
        whole = space.completed(values)
        assert (
            set(whole) - set(values) == set(plain.get("derived", ()))
            and values.items() <= whole.items()
        )
        flat = build_config("tiny", space.overrides(values)).flat()
        assert all(flat[key] == value for key, value in whole.items())


@settings(max_examples=25, deadline=None)
@given(plain_spaces())
def test_the_grid_is_what_plain_enumeration_finds(plain):
    assume(plain)
    given_space, space = plain["space"], space_from_plain(plain)
    every = {key: values_of(options) for key, options in given_space.items()}
    assert space.finite == (None not in every.values())
    assume(space.finite and math.prod(map(len, every.values())) <= 2000)
    allowed = set()
    for point in itertools.product(*every.values()):
        values = dict(zip(every, point, strict=True))
        values = {
            key: value for key, value in values.items() if is_active(given_space, key, values)
        }
        if not is_forbidden(plain, values):
            allowed.add(frozenset(values.items()))
    grid = [frozenset(values.items()) for values in space.grid()]
    assert len(grid) == len(set(grid)) and set(grid) == allowed
    assert all(frozenset(space.random_values(seed).items()) in allowed for seed in range(20))


@settings(max_examples=25, deadline=None)
@given(plain_spaces())
def test_a_space_comes_back_as_it_was_written(plain):
    assume(plain)
    space = space_from_plain(plain)
    again = space_from_plain(
        yaml.safe_load(yaml.safe_dump(plain_of(space), sort_keys=False)), "other"
    )
    assert (
        again == space
        and plain_of(again) == plain_of(space)
        and digest_of(again) == digest_of(space)
    )
    assert space.first == plain.get("first", {}) and len(space.forbidden) == len(
        plain.get("forbidden", [])
    )
    for written in (plain, plain_of(space)):
        assert not list(SCHEMA.iter_errors(written))
    read = {
        key: json_to_distribution(json.dumps(distribution))
        for key, distribution in json.loads(distributions_json(space)).items()
    }
    assert read == distributions(space) and list(read) == [
        parameter.key for parameter in space.parameters
    ]
    tree = "\n".join(space_tree(space))
    assert all(tree.count(f" {key}: ") == 1 for key in plain["space"])


@settings(max_examples=20, deadline=None)
@given(plain_spaces(), st.randoms(use_true_random=False))
def test_a_space_cut_in_two_files_is_the_space(tmp_path_factory, plain, chance):
    assume(plain)
    base, child = {}, {"extends": "base"}
    for name, section in plain.items():
        if not isinstance(section, dict):
            (base if chance.random() < 0.5 else child)[name] = section
            continue
        for key, value in section.items():  # the child has the last word
            (base if chance.random() < 0.5 else child).setdefault(name, {})[key] = value
            if chance.random() < 0.2 and key in child.get(name, {}):
                base.setdefault(name, {})[key] = {"choice": [3]} if name == "space" else value
    folder = tmp_path_factory.mktemp("extends")
    for name, content in (("base", base), ("child", child)):
        (folder / f"{name}.yaml").write_text(
            yaml.safe_dump(content, sort_keys=False) if content else "{}"
        )
    space, whole = load_space(folder / "child.yaml"), space_from_plain(plain)
    assert digest_of(space) == digest_of(whole)
    assert (space.budget, space.verdict, space.first) == (whole.budget, whole.verdict, whole.first)
