"""A study's folder: what was asked for, on what machine, every trial's row, the best trial, and the lock that keeps a second search out.

study.yaml         the space, the configuration, the data and every option, resolved
environment.json   versions, commit, machine, data
study.journal      Optuna's journal, an Optuna study for each arm
references.json    degraded, Sauvola and clean lines, measured as the trials are
recognizers/           guide and judge, as every trial had them
trials.csv         a row a trial
trials/<id>/       see trial_folder.py
confirm/           the runs behind the verdict, see confirmation.py
control/           what a person asks of a running search, see control_files.py
region.png         the good region, where the report finds one
best/              the best trial to restore with: weights, guide, configuration, charset
report.md          the result
sessions.json      when searches ran
logs/ray.log       what Ray and its workers said
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from ganhtr.atomic import to_json, write_atomically
from ganhtr.older_version import is_older, refusal
from tune import ROOT
from tune.study.disk import disk_faults_told
from tune.study.request import Request

CONFIRM = "confirm"  # the folder of what stands behind the verdict
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
METRICS = ("psnr", "ssim", "cer", "wer", "judge_cer", "judge_wer", "ctc", "infeasible")


def git(*words: str) -> str:
    """What git says of the project's checkout; nothing where there is no git or no checkout."""
    try:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
        ).stdout.strip()
    except OSError:
        return ""


class StudyError(ValueError):
    """A study folder that cannot be made, or is not what was asked for."""


class OlderStudyError(StudyError):
    """A study that an older version wrote."""


@dataclass
class StudyFolder:
    """Paths and files of a study."""

    path: Path
    _lock: Any = field(default=None, repr=False)

    @property
    def journal(self) -> Path:
        return self.path / "study.journal"

    @property
    def log(self) -> Path:
        return self.path / "logs" / "ray.log"

    def recognizer(self, role: str) -> Path:
        """Where the guide or the judge is kept."""
        return self.path / "recognizers" / f"{role}.safetensors"

    @classmethod
    def planned(cls, results: Path, name: str | None, request: Request) -> StudyFolder:
        """The folder that a new study will have. Raises: StudyError for a name that will not do, or that exists."""
        if name is not None and (Path(name).name != name or name.startswith(".")):
            raise StudyError(
                f"--name must be the plain name of a folder, got {name!r}. Use --results for where it lies"
            )
        folder = cls(
            results.resolve() / (name or f"{request.space.name}-{datetime.now():%Y%m%d-%H%M%S}")
        )
        if folder.path.exists() and any(
            not path.name.startswith(".") for path in folder.path.iterdir()
        ):  # else it never began
            raise StudyError(
                f"{folder.path}: --name must be new, got a study that exists. Add --resume to go on with it, or choose "
                f"another name, with --warm-start {folder.path} to learn from it"
            )
        return folder

    def create(self, request: Request) -> StudyFolder:
        """Makes the folder and writes study.yaml. Raises: StudyError when it cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_request(request)
        except OSError as error:
            raise StudyError(
                f"{self.path}: the results folder must be writable, got: {error.strerror}. Choose another with "
                "--results"
            ) from error
        return self

    def write_request(self, request: Request) -> None:
        """Writes study.yaml."""
        write_atomically(
            self.path / "study.yaml",
            yaml.safe_dump(request.plain(), sort_keys=False, allow_unicode=True).encode(),
        )

    def extend(self, request: Request) -> None:
        """Takes an extended request for the study's own. Its verdict, of fewer trials, is to be given anew."""
        self.write_request(request)
        self.withdraw_verdict()

    def withdraw_verdict(self) -> None:
        """Leaves an empty verdict in the place of one that no longer stands: what is deleted would stay in a mirror."""
        path = self.path / CONFIRM / "verdict.json"
        if path.exists():
            write_atomically(path, to_json({}))

    @classmethod
    def existing(cls, results: Path, name: str | None) -> StudyFolder:
        """The study of that name, or the newest one without. Raises: StudyError."""
        found = sorted(
            results.resolve().glob("*/study.yaml"), key=lambda path: path.stat().st_mtime
        )
        path = (
            results.resolve() / name / "study.yaml"
            if name
            else (found[-1] if found else results / "study.yaml")
        )
        if not path.exists():
            names = ", ".join(p.parent.name for p in found[-8:]) or "none"
            raise StudyError(
                f"{path.parent}: --resume must name a study that exists. There are: {names}"
            )
        return cls(path.parent)

    def request(self) -> Request:
        """What was asked for. Raises: StudyError when study.yaml is damaged."""
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
                f"{path}: must be the settings that a search wrote, got a file that does not load ({error})"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the study for this process.

        Raises: StudyError while another search has it; ValueError where its disk takes no more, then or at any time inside.
        """
        with (
            disk_faults_told(f"go on with: {self.command('search')} --resume"),
            open(self.path / ".lock", "w", encoding="utf-8") as file,
        ):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StudyError(
                    f"{self.path}: another search is running in this folder. Wait for it or stop it first"
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
        """Writes versions, commit and machine, and `extra` (data and recognizers)."""
        versions = {name: metadata.version(name) for name in PACKAGES}
        write_atomically(
            self.path / "environment.json",
            to_json(
                {
                    "python": platform.python_version(),
                    "packages": versions,
                    "commit": git("rev-parse", "HEAD") or None,
                    "uncommitted_changes": bool(git("status", "--porcelain")),
                    "machine": {
                        "system": platform.platform(),
                        "processor": platform.machine(),
                        "cpus": os.cpu_count(),
                        "memory_gb": round(
                            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1
                        ),
                    },
                    **extra,
                }
            ),
        )

    def command(self, doorway: str) -> str:
        """How a person calls a doorway for this study."""
        return (
            f"python tune/search.py --name {self.path.name} --results {self.path.parent}"
            if doorway == "search"
            else f"python tune/{doorway}.py {self.path}"
        )

    def read_json(self, name: str) -> dict[str, Any]:
        """One of the folder's JSON files; empty when it is not there yet."""
        path = self.path / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
