"""The order of the house: imports point one way, without circles; names shadow nothing; every file says what it is."""

import ast
import graphlib
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OUTSIDE = ("ray", "optuna", "yaml", "typer", "rich", "pydantic")
# What the modules under a name may import of the two packages; where several names fit, each one's rule holds.
MAY = {
    "ganhtr": ("ganhtr",),
    "ganhtr.config": ("ganhtr.config_faults", "ganhtr.config_sections"), "ganhtr.config_faults": ("ganhtr.config_sections",),
    "ganhtr.config_sections": (),
    "ganhtr.charset": (),
    "ganhtr.seeds": (),
    "ganhtr.precision": (),
    "ganhtr.data": ("ganhtr.data", "ganhtr.config", "ganhtr.charset", "ganhtr.seeds"),
    "ganhtr.models": ("ganhtr.models", "ganhtr.config", "ganhtr.charset", "ganhtr.seeds"),
    "ganhtr.losses": ("ganhtr.losses", "ganhtr.config", "ganhtr.charset"),
    "ganhtr.metrics": ("ganhtr.metrics", "ganhtr.config", "ganhtr.charset"),
    "tune": ("tune", "ganhtr.train", "ganhtr.data", "ganhtr.config", "ganhtr.seeds", "ganhtr.charset"),
}
# What the modules whose names begin so may not import, even by way of others.
NEVER = {"ganhtr": OUTSIDE, "tune.space": ("ray", "optuna", "torch"), "tune.parameter": ("ray", "optuna", "torch"),
         "tune.yaml_source": ("ray", "optuna", "torch"), "tune.derived": ("ray", "optuna", "torch"),
         "tune.value_range": ("ray", "optuna", "torch")}
DOORWAYS = ("ganhtr.__main__", "ganhtr.commands")  # these alone may bring in what a command line is made of


def modules_of(root, packages=("ganhtr", "tune")):
    """Dotted name -> file of every module under root."""
    files = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def running(node):
    """All nodes but those that only a type checker sees."""
    yield node
    checked = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    for child in node.orelse if checked else ast.iter_child_nodes(node):
        yield from running(child)


def imports_of(name, modules):
    """The names that a module imports, anywhere in it; a submodule counts as itself, not as its package."""
    path, found = modules[name], set()
    for node in running(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {full if (full := f"{base}.{alias.name}") in modules else base for alias in node.names}
    return found


def graph_of(root):
    modules = modules_of(root)
    return {name: imports_of(name, modules) for name in modules}


def under(name, prefixes):
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def reached(name, graph):
    """Everything that importing a module can bring in, with the packages that its modules lie in."""
    seen, todo = set(), [name]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += [*graph.get(one, ()), *([one.rpartition(".")[0]] if one.rpartition(".")[0] in graph else [])]
    return seen - {name}


def violations(graph):
    wrong = set()
    for name in graph:
        for package in (package for package in MAY if under(name, [package])):
            inner = {target for target in graph[name] if under(target, ["ganhtr", "tune"])}
            wrong |= {f"{name} imports {target}" for target in inner if not under(target, MAY[package])}
        for prefix in (prefix for prefix in NEVER if name.startswith(prefix)):
            never = set(NEVER[prefix]) - ({"typer", "rich"} if under(name, DOORWAYS) else set())
            wrong |= {f"{name} brings in {target}" for target in reached(name, graph) if under(target, never)}
    return sorted(wrong)


def circle(graph):
    """A circle of modules, or None."""
    try:
        graphlib.TopologicalSorter({name: targets & graph.keys() for name, targets in graph.items()}).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def shadowing(names):
    return sorted(set(names) & (set(sys.stdlib_module_names) | set(packages_distributions())))


@pytest.fixture(scope="module")
def graph():
    return graph_of(ROOT)


def test_the_walker_sees_the_house(graph):
    assert {"ganhtr", "ganhtr.losses.contrastive.clip", "tune.space", "tune.search"} <= graph.keys()
    assert "ganhtr.losses.contrastive.infonce" in graph["ganhtr.losses.contrastive.clip"]
    assert {"ganhtr.losses.pixel", "ganhtr.losses.adversarial"} <= graph["ganhtr.train.step"]  # from their package
    assert "jiwer" in graph["ganhtr.metrics.text"]  # inside a function
    assert "torch" not in graph["ganhtr.metrics.text"]  # for the type checker only
    assert "torch" in reached("tune.search", graph) and "ray" in reached("tune.driver", graph)


def test_imports_point_one_way(graph):
    assert violations(graph) == []


def test_there_is_no_circle(graph):
    assert circle(graph) is None


def test_no_file_of_the_search_shadows_another_module():
    assert shadowing(path.stem for path in (ROOT / "tune").rglob("*.py") if path.stem != "__init__") == []
    assert shadowing(["ray", "queue", "objective_of_ours"]) == ["queue", "ray"]


def test_every_file_says_what_it_is():
    files = [path for folder in ("ganhtr", "tune", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 50
    assert [str(path) for path in files if not (ast.get_docstring(ast.parse(path.read_text())) or "").strip()] == []


FILES = ("ganhtr/__init__", "ganhtr/config", "ganhtr/losses/__init__", "ganhtr/models/__init__", "ganhtr/models/net",
         "ganhtr/train/__init__", "ganhtr/train/fit", "ganhtr/data/__init__", "tune/__init__", "tune/space",
         "tune/search")


@pytest.fixture
def house(tmp_path):
    """house({file: source}): the import graph of a made-up tree."""
    def build(files):
        for name in FILES:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"{name}.py").write_text(files.get(name, ""))
        return graph_of(tmp_path)
    return build


@pytest.mark.parametrize(("file", "source", "found"), [
    ("ganhtr/train/fit", "import tune.space", "ganhtr.train.fit imports tune.space"),
    ("ganhtr/train/fit", "def f():\n    from tune import space", "ganhtr.train.fit imports tune.space"),
    ("ganhtr/config", "from ray import tune as ray_tune", "ganhtr.config brings in ray"),
    ("ganhtr/config", "try:\n    import optuna.study\nfinally:\n    0", "ganhtr.config brings in optuna.study"),
    ("ganhtr/losses/__init__", "from ganhtr.models import net", "ganhtr.losses imports ganhtr.models.net"),
    ("ganhtr/losses/__init__", "from .. import models", "ganhtr.losses imports ganhtr.models"),
    ("ganhtr/models/net", "from ..losses import x", "ganhtr.models.net imports ganhtr.losses"),
    ("ganhtr/models/net", "from ganhtr import losses", "ganhtr.models.net imports ganhtr.losses"),
    ("ganhtr/data/__init__", "import ganhtr.train.fit as fit", "ganhtr.data imports ganhtr.train.fit"),
    ("tune/search", "from ganhtr.models.net import Net", "tune.search imports ganhtr.models.net"),
    ("tune/search", "import ganhtr", "tune.search imports ganhtr"),
    ("tune/search", "if TYPE_CHECKING:\n    0\nelse:\n    import ganhtr.losses", "tune.search imports ganhtr.losses"),
    ("tune/space", "import torch.nn as nn", "tune.space brings in torch.nn"),
    ("tune/__init__", "import ray", "tune.space brings in ray"),
])
def test_the_walker_finds_a_violation(house, file, source, found):
    assert violations(house({file: source})) == [found]


def test_the_walker_follows_imports_by_way_of_others(house):
    graph = house({"tune/space": "import ganhtr.train.fit", "ganhtr/train/fit": "import torch"})
    assert violations(graph) == ["tune.space brings in torch"]


@pytest.mark.parametrize("source", [
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ganhtr.models.net",
    "import typing\nif typing.TYPE_CHECKING:\n    from ganhtr import losses",
    "from ganhtr.train import fit\nimport ray",
    "import ganhtr.config, torch", "# import ganhtr.models\n'import ganhtr.models'", "import tunes, rays"])
def test_the_walker_lets_the_permitted_pass(house, source):
    assert violations(house({"tune/search": source})) == []


def test_the_walker_finds_a_circle(house):
    names = {"tune/space": "def f():\n    from tune import search", "tune/search": "from .space import f"}
    assert set(circle(house(names))) == {"tune.space", "tune.search"}
    assert circle(house({**names, "tune/space": ""})) is None
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tune import search"
    assert circle(house({**names, "tune/space": typed})) is None
