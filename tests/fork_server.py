"""A process that has imported the product and waits: each order is done in a fork of it.

A fork is a real process, with the environment and the settings of its order, and it can be killed.
What it saves is what every start repeats: the imports. `tests/forks.py` sends the orders, as lines.

The web server of a `serve` is a fork, too: of a process that its supervisor, as long as it has but
one thread, has put by for that. `test_serve` and the tour start both as people do.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from tenancy.processes import die_with_parent, raise_file_limit
from tests.cheap_hashing import hash_cheaply

MANAGE = str(Path(__file__).resolve().parent.parent / "manage.py")
# What a start of the product has imported at its end, or imports for every command's checks.
PRODUCT = (
    "config.handler", "config.problems", "config.shortcut", "config.urls", "granian.server",
    "tenancy.doctor", "tenancy.lifecycle", "tenancy.operations",
)  # fmt: skip
READ_FROM_ENVIRONMENT = ("config.settings", "config.environment")
WEB = "tenancy.management.web_processes"
# In SIMPLE_JWT, which its library reads when it is imported: a fork has what the server has.
READ_ONCE = {"JWT_ISSUER", "JWT_AUDIENCE", "ACCESS_TOKEN_MINUTES"}


def main() -> None:
    """Do what the test asks for, until it is gone; then end whatever still runs."""
    import django

    hash_cheaply()
    django.setup()
    for module in PRODUCT:
        importlib.import_module(module)
    gc.freeze()  # what is here stays: a fork need not look through it
    for line in sys.stdin.buffer:
        act, argument = json.loads(line)
        said = _start(argument) if act == "start" else _look(argument)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    os.killpg(0, signal.SIGKILL)


def _start(order: dict[str, Any]) -> int:
    assert threading.active_count() == 1  # a fork has only the thread that forks
    pid = os.fork()
    if pid == 0:
        os._exit(_run(order))
    return pid


def _look(pid: int) -> int | None:
    """Return the exit code of a fork, None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _run(order: dict[str, Any]) -> int:
    """Be the fork: from here on as a process that has just been started, up to its end."""
    folder = Path(order["folder"])
    _redirect(folder)
    if order.get("arguments") == ["serve"]:
        put_web_server_by()
    _read_settings_anew(order["environment"])
    said: dict[str, Any] = {"answer": None, "error": ""}
    code = _execute(order, said)
    (folder / "said.json").write_text(json.dumps(said, default=str))
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _redirect(folder: Path) -> None:
    for descriptor, path in enumerate((os.devnull, folder / "stdout", folder / "stderr")):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)


def _read_settings_anew(environment: dict[str, str]) -> None:
    """Forget the settings: whatever asks for one next reads them all from the environment."""
    from asgiref.local import Local
    from django.conf import empty, settings
    from django.db import connections

    assert not environment.keys() & READ_ONCE, "start a process of its own for that"
    os.environ.clear()
    os.environ.update(environment)
    for module in READ_FROM_ENVIRONMENT:
        sys.modules.pop(module)
    settings._wrapped = empty
    connections._settings, connections._connections = None, Local(connections.thread_critical)
    vars(connections).pop("settings", None)


def put_web_server_by() -> None:
    """Fork what waits for the command of the web server; it gets what `Popen` would execute."""
    reads, writes = os.pipe()
    waiting = os.fork()
    if waiting == 0:
        os.close(writes)
        os._exit(_serve(reads))
    os.close(reads)

    class Popen(subprocess.Popen):
        def _execute_child(self, args: Any, *rest: Any) -> None:
            if WEB not in args:
                super()._execute_child(args, *rest)
                return
            environment = next(each for each in rest if isinstance(each, dict))
            os.write(writes, json.dumps([args[args.index(WEB) + 1 :], environment]).encode())
            os.close(writes)
            self.pid, self._child_created = waiting, True

    subprocess.Popen = Popen


def _serve(reads: int) -> int:
    """Be the web server, once there is its command; end if its supervisor has ended before."""
    try:
        die_with_parent(signal.SIGKILL, os.getppid())
        with os.fdopen(reads, "rb") as pipe:
            said = pipe.read()
        if said:
            _serve_as_told(*json.loads(said))
    except SystemExit as ended:
        return _exit_code(ended)
    except BaseException:  # noqa: BLE001 -- the supervisor sees that it has ended
        traceback.print_exc()
        return 1
    return 0


def _serve_as_told(arguments: list[str], environment: dict[str, str]) -> None:
    from tenancy.board import BOARD

    os.setsid()
    raise_file_limit()
    _read_settings_anew(environment)
    BOARD.__init__()  # the memory of the one that is here would be that of every server
    importlib.import_module(WEB).main(arguments)


def _execute(order: dict[str, Any], said: dict[str, Any]) -> int:
    try:
        if "code" in order:
            names = {**order["names"], "answer": lambda value: said.update(answer=value)}
            exec(order["code"], {"__name__": "__main__", **names})
        else:
            sys.argv = [MANAGE, *order["arguments"]]
            runpy.run_path(MANAGE, run_name="__main__")
    except SystemExit as ended:
        return _exit_code(ended)
    except BaseException:  # noqa: BLE001 -- whatever it was, the test is told
        said["error"] = traceback.format_exc()
        traceback.print_exc()
        return 1
    return 0


def _exit_code(ended: SystemExit) -> int:
    """Do what Python does with the argument of `sys.exit`."""
    if isinstance(ended.code, str):
        sys.stderr.write(ended.code + "\n")
        return 1
    return ended.code or 0


if __name__ == "__main__":
    main()
