"""The folder of a study, and the lock that keeps a second search out.

study.yaml         the space, the configuration, the data and every option, resolved
environment.json   versions, commit, machine, data
study.journal      Optuna's journal, with an Optuna study for each arm
references.json    metrics of degraded, Sauvola and clean lines
recognizers/       guide and judge, as every trial used them
trials.csv         a row for each trial
trials/<id>/       see trial_folder.py
confirm/           the runs behind the verdict, see tune/runner/confirmation.py
control/           requests to a running search, see control_files.py
region.png         the good region, if the report finds one
best/              the best trial's weights, guide, configuration and charset
report.md          the result
sessions.json      when searches ran
logs/ray.log       output of Ray and its workers
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from ganhtr.atomic import to_json, write_atomically
from ganhtr.older_version import is_older, refusal
from tune import ROOT
from tune.study.disk import disk_faults_explained
from tune.study.request import Request

CONFIRM = "confirm"  # the folder of the runs behind the verdict
PACKAGES = (
    "ray",
    "torch",
    "optuna",
    "numpy",
    "scikit-image",
    "jiwer",
    "safetensors",
    "pillow",
    "Hershey-Fonts",
)


def git(*words: str) -> str:
    """Run git in the project's checkout; empty if there is no git or no checkout."""
    command = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


class StudyError(ValueError):
    """A study folder that cannot be created, or does not hold what was requested."""


class OlderStudyError(StudyError):
    """A study that an older version wrote."""


@dataclass(frozen=True)
class StudyFolder:
    """Paths and files of a study."""

    path: Path

    @property
    def journal(self) -> Path:
        return self.path / "study.journal"

    @property
    def log(self) -> Path:
        return self.path / "logs" / "ray.log"

    def recognizer(self, role: str) -> Path:
        """The file of the guide or the judge."""
        return self.path / "recognizers" / f"{role}.safetensors"

    @classmethod
    def planned(cls, results: Path, name: str | None, request: Request) -> StudyFolder:
        """The folder of a new study. Raises: StudyError for an invalid or existing name."""
        if name is not None and (Path(name).name != name or name.startswith(".")):
            raise StudyError(
                f"--name {name!r} is not a plain folder name. Use --results to choose the place"
            )
        path = results.resolve() / (name or f"{request.space.name}-{datetime.now():%Y%m%d-%H%M%S}")
        # A folder with hidden files alone belongs to a study that never began.
        if path.exists() and any(not file.name.startswith(".") for file in path.iterdir()):
            raise StudyError(
                f"{path}: a study of this name exists. Add --resume to continue it, or choose "
                f"another --name, with --warm-start {path} to learn from it"
            )
        return cls(path)

    def create(self, request: Request) -> StudyFolder:
        """Make the folder and write study.yaml. Raises: StudyError if it cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_request(request)
        except OSError as error:
            raise StudyError(
                f"{self.path}: cannot write the results folder ({error.strerror}). Choose another "
                "with --results"
            ) from error
        return self

    def write_request(self, request: Request) -> None:
        """Write study.yaml."""
        text = yaml.safe_dump(request.plain(), sort_keys=False, allow_unicode=True)
        write_atomically(self.path / "study.yaml", text.encode())

    def extend(self, request: Request) -> None:
        """Replace the request by an extended one, and withdraw the verdict on fewer trials."""
        self.write_request(request)
        self.withdraw_verdict()

    def withdraw_verdict(self) -> None:
        """Empty the verdict. It is not deleted, as a deleted file would remain in a mirror."""
        path = self.path / CONFIRM / "verdict.json"
        if path.exists():
            write_atomically(path, to_json({}))

    @classmethod
    def existing(cls, results: Path, name: str | None) -> StudyFolder:
        """The study of that name, or the most recent one. Raises: StudyError."""
        results = results.resolve()
        studies = [file.parent for file in sorted(results.glob("*/study.yaml"), key=_modified)]
        path = results / name if name else (studies or [results])[-1]
        if not (path / "study.yaml").exists():
            names = ", ".join(study.name for study in studies[-8:]) or "none"
            raise StudyError(f"{path}: no study is here. Studies in {results}: {names}")
        return cls(path)

    def request(self) -> Request:
        """Read study.yaml. Raises: StudyError if it is damaged, or of an older version."""
        path = self.path / "study.yaml"
        try:
            plain = yaml.safe_load(path.read_text(encoding="utf-8"))
            if is_older(plain["config"]):
                raise OlderStudyError(refusal(path))
            return Request.of(plain)
        except OlderStudyError:
            raise
        except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError) as error:
            raise StudyError(
                f"{path}: not the settings that a search wrote ({error}). Restore the file from a "
                "copy"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the study for this process.

        Raises: StudyError if another search has it; ValueError for a disk fault inside.
        """
        with (
            disk_faults_explained(f"continue with: {self.command('search')} --resume"),
            open(self.path / ".lock", "w", encoding="utf-8") as file,
        ):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StudyError(
                    f"{self.path}: another search is running in this folder. Wait or stop it"
                ) from error
            yield

    def is_locked(self) -> bool:
        """Whether a search is running in this folder."""
        try:
            with self.locked():
                return False
        except StudyError:
            return True

    def write_environment(self, extra: dict[str, Any]) -> None:
        """Write versions, commit and machine, and `extra` (data and recognizers)."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        machine = {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cpus": os.cpu_count(),
            "memory_gb": round(memory / 2**30, 1),
        }
        environment = {
            "python": platform.python_version(),
            "packages": {name: metadata.version(name) for name in PACKAGES},
            "commit": git("rev-parse", "HEAD") or None,
            "uncommitted_changes": bool(git("status", "--porcelain")),
            "machine": machine,
            **extra,
        }
        write_atomically(self.path / "environment.json", to_json(environment))

    def command(self, doorway: str) -> str:
        """The command line that calls a doorway for this study."""
        if doorway == "search":
            return f"python tune/search.py --name {self.path.name} --results {self.path.parent}"
        return f"python tune/{doorway}.py {self.path}"

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the folder's JSON files; empty if it does not exist yet."""
        path = self.path / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _modified(path: Path) -> float:
    return path.stat().st_mtime
