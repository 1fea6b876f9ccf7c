"""Write a study's report again: `python tune/report.py results/<name>`."""

from __future__ import annotations

import sys
from pathlib import Path

# A script's own folder comes first on the path. The packages lie one level above it.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from tune.commands.report import app

if __name__ == "__main__":
    app()
