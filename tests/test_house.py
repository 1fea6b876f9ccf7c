"""Tests of the layout: imports point one way, names shadow nothing, every file has a docstring."""

import ast
import graphlib
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOORWAYS = ("search", "confirm", "control", "report")
# The folders and modules of tune/, lowest first.
# A module imports from lower levels and from its folder.
LEVELS = (
    ("report_markup", "faults", "arm"),
    ("metric",),
    ("space",),
    ("study", "verdict"),
    ("searcher", "landscape"),
    ("warm_start", "runner", "reporting"),
    ("driver",),
    ("commands",),
    DOORWAYS,
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
CONFIG = ("ganhtr.config", "ganhtr.config_faults", "ganhtr.config_sections")
# What the modules under a name may import from the two packages.
# If several names match, every rule applies.
MAY = {
    "ganhtr": ("ganhtr",),
    "ganhtr.config": (*CONFIG, "ganhtr.older_version"),
    "ganhtr.config_faults": ("ganhtr.config_sections",),
    "ganhtr.config_sections": (),
    "ganhtr.charset": (),
    "ganhtr.seeds": (),
    "ganhtr.precision": (),
    "ganhtr.atomic": (),
    "ganhtr.older_version": (),
    "ganhtr.data": ("ganhtr.data", "ganhtr.atomic", "ganhtr.charset", "ganhtr.seeds", *CONFIG),
    "ganhtr.models": ("ganhtr.models", "ganhtr.charset", "ganhtr.seeds", *CONFIG),
    "ganhtr.losses": ("ganhtr.losses", "ganhtr.charset", *CONFIG),
    "ganhtr.metrics": ("ganhtr.metrics", "ganhtr.charset", *CONFIG),
    "tune": (
        "tune",
        "ganhtr.train",
        "ganhtr.recognizers",
        "ganhtr.data",
        "ganhtr.atomic",
        "ganhtr.older_version",
        "ganhtr.charset",
        "ganhtr.seeds",
        *CONFIG,
    ),
}
COMMAND_LINE = ("typer", "rich")
# What importing a module under the key must not bring in, not even by way of other modules.
NEVER = {
    "ganhtr": ("ray", "optuna", "yaml", "pydantic", *COMMAND_LINE),
    "tune.space": ("ray", "optuna", "torch"),
    "tune.verdict": ("ray", "optuna"),
    "tune.landscape": ("ray",),
    "tune.reporting": ("ray", "tune.runner", "tune.driver"),
    "tune.report": ("ray", "tune.runner", "tune.driver"),
}
GANHTR_COMMANDS = ("ganhtr.__main__", "ganhtr.commands")  # only they may use COMMAND_LINE


def modules_of(root, packages=("ganhtr", "tune")):
    """Dotted name -> file of every module under root."""
    files = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in files]
    return {name.removesuffix(".__init__"): path for name, path in zip(names, files, strict=True)}


def nodes(node, types):
    """All nodes below one; without `types`, those under `if TYPE_CHECKING` are left out."""
    yield node
    test = ast.unparse(node.test) if isinstance(node, ast.If) else ""
    for_types_only = test in ("TYPE_CHECKING", "typing.TYPE_CHECKING") and not types
    for child in node.orelse if for_types_only else ast.iter_child_nodes(node):
        yield from nodes(child, types)


def imports_of(name, modules, types):
    """Return the names that a module imports, anywhere in it.

    A submodule counts as itself, not as its package.
    """
    path, names = modules[name], set()
    for node in nodes(ast.parse(path.read_text(encoding="utf-8")), types):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            full = [f"{base}.{alias.name}" for alias in node.names]
            names |= {each if each in modules else base for each in full}
    return names


def graph_of(root, types=True):
    """Module -> what it imports; with `types`, also what only a type checker sees."""
    modules = modules_of(root)
    return {name: imports_of(name, modules, types) for name in modules}


def under(name, prefixes):
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def parents(name):
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def reached(name, graph):
    """Return every module that importing a module can load, with the packages around them."""
    seen, todo = set(), [name]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += [*graph.get(one, ()), *(each for each in parents(one) if each in graph)]
    return seen - {name}


def forbidden_imports(graph):
    """Imports against MAY."""
    wrong = set()
    for name, targets in graph.items():
        inner = {target for target in targets if under(target, ["ganhtr", "tune"])}
        for package in (package for package in MAY if under(name, [package])):
            wrong |= {
                f"{name} imports {target}" for target in inner if not under(target, MAY[package])
            }
    return wrong


def upward_imports(graph):
    """Imports within tune/ against LEVELS."""
    wrong = set()
    for name, targets in graph.items():
        room = name.removeprefix("tune.").split(".")[0]
        for target in targets if under(name, ["tune"]) and name != "tune" else ():
            other = target.removeprefix("tune.").split(".")[0]
            if target.startswith("tune.") and other != room and LEVEL[other] >= LEVEL[room]:
                wrong.add(f"{name} imports {target}, which is not below it")
    return wrong


def heavy_imports(graph):
    """What importing a module brings in against NEVER."""
    wrong = set()
    for name in graph:
        for prefix in (prefix for prefix in NEVER if under(name, [prefix])):
            allowed = COMMAND_LINE if under(name, GANHTR_COMMANDS) else ()
            never = [each for each in NEVER[prefix] if each not in allowed]
            wrong |= {
                f"{name} brings in {target}"
                for target in reached(name, graph)
                if under(target, never)
            }
    return wrong


def violations(root):
    graph = graph_of(root)
    return sorted(
        forbidden_imports(graph)
        | upward_imports(graph)
        | heavy_imports(graph_of(root, types=False))
    )


def circle(graph):
    """A circle of modules, or None."""
    try:
        graphlib.TopologicalSorter(
            {name: targets & graph.keys() for name, targets in graph.items()}
        ).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def shadowing(names):
    return sorted(set(names) & (set(sys.stdlib_module_names) | set(packages_distributions())))


@pytest.fixture(scope="module")
def graph():
    return graph_of(ROOT)


def test_the_walker_sees_the_modules(graph):
    assert {
        "ganhtr",
        "ganhtr.losses.contrastive.clip",
        "tune.space.space",
        "tune.search",
    } <= graph.keys()
    assert "ganhtr.losses.contrastive.infonce" in graph["ganhtr.losses.contrastive.clip"]
    step = graph["ganhtr.train.step"]
    assert {"ganhtr.losses.pixel", "ganhtr.losses.adversarial"} <= step  # from their package
    assert "jiwer" in graph["ganhtr.metrics.text"]  # inside a function
    assert "torch" in graph["ganhtr.metrics.text"]  # for the type checker only
    running = graph_of(ROOT, types=False)
    assert "torch" not in running["ganhtr.metrics.text"]
    assert {"torch", "ray"} <= reached("tune.driver", running)


def test_imports_point_one_way():
    assert violations(ROOT) == []


def test_every_folder_of_the_search_has_its_level(graph):
    rooms = {name.split(".")[1] for name in graph if name.startswith("tune.")}
    assert rooms == set(LEVEL)


def test_there_is_no_circle(graph):
    assert circle(graph) is None


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("tune.commands.report", ("ray", "tune.driver", "tune.runner")),
        ("tune.reporting.study_report", ("ray", "tune.driver", "tune.runner")),
        ("tune.space.load", ("ray", "optuna", "torch")),
        ("tune.verdict.line_values", ("ray", "optuna", "torch")),
    ],
)
def test_a_light_module_loads_no_heavy_one(module, absent):
    code = f"import sys, {module}; print([name for name in {absent} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_no_file_of_the_search_shadows_another_module():
    assert shadowing(path.stem for path in (ROOT / "tune").iterdir()) == []
    assert shadowing(["ray", "queue", "a_name_of_ours"]) == ["queue", "ray"]


def test_every_file_says_what_it_is():
    files = [
        path for folder in ("ganhtr", "tune", "tests") for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 50
    silent = [
        str(path)
        for path in files
        if not (ast.get_docstring(ast.parse(path.read_text())) or "").strip()
    ]
    assert silent == []


def test_no_module_is_long():
    files = [path for folder in ("ganhtr", "tune") for path in (ROOT / folder).rglob("*.py")]
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files
    }
    assert {name: lines for name, lines in lengths.items() if lines > 350} == {}


@pytest.mark.parametrize("name", DOORWAYS)
def test_the_doorways_are_thin_and_of_one_shape(name):
    def shape(doorway):
        tree = ast.parse((ROOT / "tune" / f"{doorway}.py").read_text())
        return [ast.unparse(node).replace(f".{doorway} ", ".NAME ") for node in tree.body[1:]]

    assert shape(name) == shape("search")
    assert len((ROOT / "tune" / f"{name}.py").read_text().splitlines()) <= 20


FILES = (
    "ganhtr/__init__",
    "ganhtr/config",
    "ganhtr/losses/__init__",
    "ganhtr/models/__init__",
    "ganhtr/models/net",
    "ganhtr/train/__init__",
    "ganhtr/train/fit",
    "ganhtr/data/__init__",
    "tune/__init__",
    "tune/space/__init__",
    "tune/space/load",
    "tune/runner/__init__",
    "tune/runner/workers",
    "tune/reporting/__init__",
    "tune/search",
)


@pytest.fixture
def house(tmp_path):
    """house({file: source}): the root of a made-up tree."""

    def build(files):
        assert files.keys() <= set(FILES)
        for name in FILES:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"{name}.py").write_text(files.get(name, ""))
        return tmp_path

    return build


FIT, LOAD, WORKERS = "ganhtr/train/fit", "tune/space/load", "tune/runner/workers"


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        (FIT, "import tune.space", "ganhtr.train.fit imports tune.space"),
        (FIT, "def f():\n    from tune import space", "ganhtr.train.fit imports tune.space"),
        ("ganhtr/config", "from ray import tune as ray_tune", "ganhtr.config brings in ray"),
        (
            "ganhtr/config",
            "try:\n    import optuna.study\nfinally:\n    0",
            "ganhtr.config brings in optuna.study",
        ),
        (
            "ganhtr/losses/__init__",
            "from ganhtr.models import net",
            "ganhtr.losses imports ganhtr.models.net",
        ),
        ("ganhtr/losses/__init__", "from .. import models", "ganhtr.losses imports ganhtr.models"),
        ("ganhtr/models/net", "from ..losses import x", "ganhtr.models.net imports ganhtr.losses"),
        (
            "ganhtr/models/net",
            "from ganhtr import losses",
            "ganhtr.models.net imports ganhtr.losses",
        ),
        (
            "ganhtr/data/__init__",
            "import ganhtr.train.fit as fit",
            "ganhtr.data imports ganhtr.train.fit",
        ),
        (
            "tune/search",
            "from ganhtr.models.net import Net",
            "tune.search imports ganhtr.models.net",
        ),
        ("tune/search", "import ganhtr", "tune.search imports ganhtr"),
        (
            "tune/search",
            "if TYPE_CHECKING:\n    0\nelse:\n    import ganhtr.losses",
            "tune.search imports ganhtr.losses",
        ),
        (
            "tune/search",
            "if TYPE_CHECKING:\n    import ganhtr.losses",
            "tune.search imports ganhtr.losses",
        ),
        (LOAD, "import torch.nn as nn", "tune.space.load brings in torch.nn"),
        (
            LOAD,
            "import tune.runner.workers",
            "tune.space.load imports tune.runner.workers, which is not below it",
        ),
        (
            WORKERS,
            "from tune import search",
            "tune.runner.workers imports tune.search, which is not below it",
        ),
        (
            WORKERS,
            "if TYPE_CHECKING:\n    import tune.reporting",
            "tune.runner.workers imports tune.reporting, which is not below it",
        ),
    ],
)
def test_the_walker_finds_a_violation(house, file, source, expected):
    assert expected in violations(house({file: source}))


def test_the_walker_follows_imports_by_way_of_others(house):
    root = house({"tune/space/load": "import ganhtr.train.fit", "ganhtr/train/fit": "import torch"})
    assert violations(root) == ["tune.space.load brings in torch"]
    assert "tune.space.load brings in ray" in violations(house({"tune/__init__": "import ray"}))


@pytest.mark.parametrize(
    "source",
    [
        "from ganhtr.train import fit\nimport ray",
        "import ganhtr.config, torch",
        "from tune.runner import workers\nfrom tune.space.load import x",
        "# import ganhtr.models\n'import ganhtr.models'",
        "import tunes, rays",
    ],
)
def test_the_walker_lets_the_permitted_pass(house, source):
    assert violations(house({"tune/search": source})) == []


def test_the_walker_finds_a_circle(house):
    names = {
        "tune/space/load": "def f():\n    from tune import search",
        "tune/search": "from .space.load import f",
    }
    assert set(circle(graph_of(house(names)))) == {"tune.space.load", "tune.search"}
    assert circle(graph_of(house({**names, "tune/space/load": ""}))) is None
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tune import search"
    assert circle(graph_of(house({**names, "tune/space/load": typed}))) is not None
