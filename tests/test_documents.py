"""The documents: every link, path and command in a README exists, and the `console` blocks run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "*/README.md", "*/*/README.md", "*/*/*/README.md")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).parts[0].startswith(".")
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMES = re.compile(r"`([^`\n]+)`")
# Paths that a user's run creates, or that stand for the user's own files.
EXAMPLES = ("results/first", "results/second", "results/<", "results/name", "lines", "restored")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
SECONDS = 10 * 6  # ten on a machine of its own; tests share it


def text_of(document):
    return (ROOT / document).read_text(encoding="utf-8")


def heading_anchors(text):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document, text):
    """Links to files or headings that do not exist."""
    broken = []
    for link in LINK.findall(FENCE.sub("", text)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        missing = not target.exists()
        if missing or (anchor and anchor not in heading_anchors(target.read_text("utf-8"))):
            broken.append(link)
    return broken


def missing_paths(document, text):
    """Paths in `code` with a slash that exist neither from the root nor beside the document."""
    missing = []
    for name in NAMES.findall(FENCE.sub("", text)):
        is_path = re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", name) and not name.startswith("~")
        of_the_project = is_path and name.split("/")[0] in {path.name for path in ROOT.iterdir()}
        if of_the_project and not name.startswith(EXAMPLES):
            places = (ROOT / name, (ROOT / document).parent / name)
            missing += [] if any(place.exists() for place in places) else [name]
    return missing


def command_lines(text):
    """The commands of all fenced shell blocks, comments removed and continued lines joined."""
    for language, block in FENCE.findall(text):
        if language in ("", "console", "bash", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                yield line.removeprefix("$ ").split("  #")[0].split(" # ")[0].strip()


def program_of(command):
    """The script and the subcommands of a Python command of the project, or None."""
    words = shlex.split(command)
    words = [word for word in words if "=" not in word or not word[0].isupper()]
    if not words or not re.search(r"(^|/)python3?$", words[0]):
        return None
    if words[1:3] == ["-m", "ganhtr"]:
        return ("-m", "ganhtr", *words[3:5][: 1 if words[3] in ("restore", "export") else 2])
    return (words[1],) if words[1].startswith(("tune/", "tests/")) else None


@pytest.fixture(scope="session")
def help_of():
    """help_of(program): its help text; each program runs once."""
    texts = {}

    def read(program):
        if program not in texts:
            ended = subprocess.run(
                [sys.executable, *program, "--help"], cwd=ROOT, capture_output=True, text=True
            )
            assert ended.returncode == 0, (program, ended.stderr)
            texts[program] = ended.stdout
        return texts[program]

    return read


def test_there_are_documents():
    names = {str(document) for document in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "search_spaces/README.md"} <= names
    assert len(text_of("README.md").splitlines()) <= 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_and_paths_exist(document):
    text = text_of(document)
    assert broken_links(document, text) == []
    if document.parts[:2] != ("results", "reference"):  # they tell of the commit that wrote them
        assert missing_paths(document, text) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_exist_with_their_options(document, help_of):
    if document.parts[:2] == ("results", "reference"):
        return
    makefile = (ROOT / "Makefile").read_text()
    for command in command_lines(text_of(document)):
        if command.startswith("make "):
            target = command.split()[1]
            assert re.search(rf"^{re.escape(target)}( [\w.-]+)*:", makefile, re.MULTILINE), command
        elif (program := program_of(command)) is not None:
            if program[0] != "-m":
                assert (ROOT / program[0]).exists(), command
            if program[0].startswith("tests/"):
                continue  # benchmarks are not run here
            options = OPTION.findall(command)
            assert [option for option in options if option not in help_of(program)] == [], command


CONSOLE = [
    (str(document), line.removeprefix("$ "))
    for document in DOCUMENTS
    for language, block in FENCE.findall(text_of(document))
    if language == "console"
    for line in block.splitlines()
    if line.startswith("$ ")
]


@pytest.mark.parametrize(("document", "command"), CONSOLE)
def test_console_blocks_run(document, command):
    words = shlex.split(command)
    assert words[0] == "python", f"{document}: a console block calls python"
    ended = subprocess.run(
        [sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
    )
    assert ended.returncode == 0, (document, command, ended.stderr)


def test_the_checks_find_what_is_wrong(tmp_path):
    text = (
        "[a](nowhere.md) [b](README.md#not-there) [c](LICENSE) `tune/nowhere.py` `results/first/x`"
    )
    assert broken_links(Path("README.md"), text) == ["nowhere.md", "README.md#not-there"]
    assert missing_paths(Path("README.md"), text) == ["tune/nowhere.py"]
    block = "```\npython tune/search.py \\\n  --space x   # a comment\nmake test\n```\n"
    assert list(command_lines(block)) == ["python tune/search.py    --space x", "make test"]
    assert program_of("python -m ganhtr data inspect x") == ("-m", "ganhtr", "data", "inspect")
    assert program_of("python -m ganhtr restore --model m") == ("-m", "ganhtr", "restore")
    assert program_of("pip install x") is None
