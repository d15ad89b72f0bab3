"""Write docs/performance.md and its pictures from results.

    python -m benchmarks.report [FILE…]

Results that are given become those that the page quotes, one of each size.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.report.page import QUOTED, ROOT, files, quoted
from benchmarks.throughput.results import Results

_MILLION = 1_000_000


def main(given: list[Path]) -> None:
    for path in given:
        is_full = Results.load(path).events >= _MILLION
        shutil.copyfile(path, QUOTED["full" if is_full else "bench"])
    for name, text in files(quoted()).items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(name)


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
