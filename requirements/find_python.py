"""Print which Python 3.11 to use: the quickest in PATH that can make a virtual environment.

    python3 requirements/find_python.py

Some are built without the compiler's optimizations, as pyenv builds them unless it is told to, and
take a quarter more time for the same. The first in PATH is the choice unless another one is quicker
by a tenth. Exits with 1 where there is none. Needs the standard library alone.
"""

from __future__ import annotations  # an older Python may be asked, too

import os
import subprocess
import sys
from pathlib import Path

NAMES = ("python3.11", "python3")
# Turn and turn about, as something else may take the machine's time for a while.
TURNS = 8
ENOUGH = 0.9
TIMEOUT_SECONDS = 20.0

MEASURE = """
import sys

if sys.version_info[:2] != (3, 11):
    sys.exit("another version")

import ensurepip, time, venv


def work():
    made = {str(n): {"n": n, "pair": [n, n + 1]} for n in range(2000)}
    return sum(each["n"] + len(each["pair"]) for each in made.values() if isinstance(each, dict))


def took():
    began = time.process_time()
    work()
    return time.process_time() - began


print(min(took() for _ in range(20)), sys._base_executable)
"""


def ask(python: str) -> tuple[str, float] | None:
    """Return the path of a Python and the seconds its work took; None if it is of no use."""
    try:
        answer = subprocess.run(
            [python, "-c", MEASURE],
            capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True,
        )  # fmt: skip
        took, _, path = answer.stdout.strip().partition(" ")
        return path, float(took)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def measure(folders: list[str]) -> dict[str, float]:
    """Return the seconds that each Python 3.11 in these folders takes, in their order."""
    found: dict[str, float] = {}
    known: set[str] = set()
    for folder in folders:
        for name in NAMES:
            answer = ask(str(Path(folder, name)))
            if answer is not None and (real := os.path.realpath(answer[0])) not in known:
                known.add(real)  # the same may be there under several names
                found.setdefault(*answer)
    for _ in range(TURNS - 1 if len(found) > 1 else 0):
        for path, least in found.items():
            answer = ask(path)
            found[path] = min(least, answer[1]) if answer else least
    return found


def main() -> int:
    """Print the choice, and on the second output why it is not the first one."""
    found = measure(os.get_exec_path())
    if not found:
        return 1
    first, best = next(iter(found)), min(found, key=lambda path: found[path])
    if found[best] > ENOUGH * found[first]:
        best = first
    if best != first:
        share = 1 - found[best] / found[first]
        print(
            f"{best} is used: it needs {share:.0%} less time than {first}, which comes first in "
            f"PATH. For another: rm -rf .venv && make install PYTHON={first}",
            file=sys.stderr,
        )
    print(best)
    return 0


if __name__ == "__main__":
    sys.exit(main())
