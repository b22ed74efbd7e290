"""The process that moves, seen from the drill: started once, told what to do, ended."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.local_processes import PROJECT, ProcessFailed, own_environment, stop_process

ACT_MAX_SECONDS = 240.0
TAIL_CHARACTERS = 2_000


class Operator:
    """Tells the process what to do, one act after the other."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    def act(self, *words: str) -> dict[str, Any]:
        """Let one act be done; return what came of it. Raises ProcessFailed."""
        orders, answers = self._process.stdin, self._process.stdout
        assert orders is not None
        assert answers is not None
        try:
            orders.write(json.dumps(words).encode() + b"\n")
            orders.flush()
        except BrokenPipeError:
            raise self._failed(words) from None
        ready, _, _ = select.select([answers], [], [], ACT_MAX_SECONDS)
        line = answers.readline() if ready else b""
        if not line:
            raise self._failed(words)
        return dict(json.loads(line))

    def _failed(self, words: tuple[str, ...]) -> ProcessFailed:
        log = self._log.read_text(errors="replace")[-TAIL_CHARACTERS:]
        return ProcessFailed(f"{' '.join(words)} failed\n{log}")


@contextmanager
def run_operator(settings: dict[str, str], log: Path) -> Iterator[Operator]:
    """Start the process; end it on the way out."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.drill_mover"],
            cwd=PROJECT,
            env={**own_environment(), **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        )
    with process:
        try:
            yield Operator(process, log)
        finally:
            stop_process(process)
