"""Searches for the contrastive loss that helps restoration: `python tune/search.py --space contrastive.yaml`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# a script's own folder comes first on the path; the packages lie one above it
sys.path[0] = str(ROOT)

from tune.command_line import app  # noqa: E402

if __name__ == "__main__":
    app()
