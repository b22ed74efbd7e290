"""granian's workers behind one listening socket, and how they leave without cutting anybody off.

    python -m ... APPLICATION HOST PORT PROCESSES THREADS PLACES DRAIN STOP

On Linux each worker has a listening socket of its own, which the first process made and holds. New
connections are dealt out among the workers that live (`tenancy.management.listeners`). One that
ends is followed by another (`tenancy.management.restarts`).

Asked to stop, the first process says so on the board: `/readyz` is 503, and answers close their
connections. It goes on for DRAIN seconds, for a load balancer to notice. Then no new connection
comes about, those that wait are taken, whoever is between two requests has a moment to learn it;
and the workers end, each when its last request has its answer, or after STOP seconds.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from granian import _signals as granian_signals
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MPServer
from granian.server import mp as granian_processes

from tenancy.admission import BODY_MAX_BYTES, threads_needed
from tenancy.board import BOARD
from tenancy.lanes import Lanes
from tenancy.management.listeners import deal_among, let_nobody_in, listen
from tenancy.management.restarts import ATTEMPTS_MAX, SOON_SECONDS, Restarts
from tenancy.management.stalled_connections import watch
from tenancy.processes import die_with_parent

logger = logging.getLogger("tenantry.web")

# What the kernel queues, and what one worker accepts; its threads take requests from these.
MAX_CONNECTIONS = 1_024
# For clients that send one request after the other to be told with an answer that it is the last.
LINGER_SECONDS = 0.25
# So long a thread stays that no request comes to; the longest that granian takes.
IDLE_SECONDS = 600
# Between two looks at whether a worker that follows another is there.
LOOK_SECONDS = 0.05
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Of the first process, one for each worker; where workers are forked they have them all.
_listeners: list[socket.socket] = []


class WebProcesses(MPServer):
    """granian with a socket for each worker, and with a way to leave."""

    def __init__(self, *, drain_seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._drain_seconds = drain_seconds
        self._listeners = _listeners
        self._restarts = Restarts(self.workers)
        self._sso = None

    def signal_handler_interrupt(self, *_: Any, **__: Any) -> None:
        """Begin to leave; not in a fork that has only just begun."""
        if os.getpid() == self.pid and not BOARD.is_stopping:
            BOARD.announce_stop()
            threading.Thread(target=self._leave, daemon=True).start()

    def signal_handler_reload(self, *_: Any, **__: Any) -> None:
        """Do nothing: nobody is cut off for the sake of settings that are read at the start."""

    def shutdown(self, exit_code: int = 0) -> None:
        """Have all workers end, also where one was never ready and nobody asked for it."""
        BOARD.announce_stop()
        BOARD.announce_end()
        super().shutdown(exit_code or int(self._restarts.are_in_vain))  # type: ignore[no-untyped-call]

    def _leave(self) -> None:
        time.sleep(self._drain_seconds)
        try:
            let_nobody_in(self._listeners)
            time.sleep(LINGER_SECONDS)
        finally:  # also where a sandbox does not let a socket have a filter
            super().signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def _init_shared_socket(self) -> None:
        if sys.platform != "linux":
            super()._init_shared_socket()
            return
        self._ssp = None
        self._listeners += listen(self.bind_addr, self.bind_port, self.workers, self.backlog)

    def _drop_shared_socket(self) -> None:
        super()._drop_shared_socket()  # type: ignore[no-untyped-call]
        for listener in self._listeners:
            listener.close()

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:  # type: ignore[override] # fmt: skip
        if self._listeners:
            self._sso = self._listeners[idx]
            self._sfd = self._sso.fileno()  # type: ignore[assignment]
            self._shd = SocketHolder(self._sfd, False, self.backlog)  # type: ignore[assignment, call-arg] # fmt: skip
        return super()._spawn_worker(idx, target, callback_loader)

    def _spawn_workers(self, *arguments: Any) -> None:
        super()._spawn_workers(*arguments)  # type: ignore[no-untyped-call]
        self._deal_soon([])

    def _serve_loop(self, *loaders: Any) -> None:
        """Have each worker that ends followed by another, until told to stop or it is in vain.

        granian's own ends all of them when one dies twice within seconds, however the others are.
        """
        while not self._restarts.are_in_vain:
            self.main_loop_interrupt.wait(self._restarts.seconds_left())
            self.main_loop_interrupt.clear()  # first: who ends from here on is seen the next time
            if self.interrupt_signal:
                return
            while self.interrupt_children:
                self._note_end(self.interrupt_children.pop())
            self._respawn_workers(self._restarts.take_due(), *loaders)

    def _note_end(self, index: int) -> None:
        """Send nobody to a worker that has ended, and say when another follows."""
        born = self.wrks[index].birth
        was_ready = BOARD.is_shown(index + 1)
        if not self._listeners:  # its board was its own
            was_ready = time.monotonic() - born >= SOON_SECONDS
        BOARD.clear_row(index + 1)
        shown = self._shown()
        self._deal(shown)
        pause = self._restarts.note_end(index, born=born, was_ready=was_ready, is_alone=not shown)
        if self._restarts.are_in_vain:
            said = "Worker %d ended %d times in a row before it was ready; the web server ends."
            logger.error(said, index + 1, ATTEMPTS_MAX)
        elif pause:
            logger.warning("Worker %d ended; another follows in %d s.", index + 1, pause)

    def _respawn_workers(self, workers: Sequence[int], *rest: Any, **options: Any) -> None:
        if workers:
            living = self._shown()
            super()._respawn_workers(workers, *rest, **options)
            self._deal_soon(living)

    def _shown(self) -> list[int]:
        """Return which workers take requests."""
        return [index for index in range(self.workers) if BOARD.is_shown(index + 1)]

    def _deal_soon(self, among: Sequence[int]) -> None:
        if self._listeners:
            threading.Thread(target=self._deal_among_more, args=(among,), daemon=True).start()

    def _deal_among_more(self, among: Sequence[int]) -> None:
        """Deal connections among those who take requests, one more and one more, until all do.

        So far they are dealt among these.
        """
        while len(among) < self.workers and not BOARD.is_stopping:
            time.sleep(LOOK_SECONDS)
            if (now := self._shown()) != among:
                self._deal(now)
                among = now

    def _deal(self, among: Sequence[int]) -> None:
        if not self._listeners or not among:
            return
        try:
            deal_among(self._listeners, among)
        except OSError as error:  # as in a sandbox; the kernel deals by itself, among all
            logger.warning("New connections go to workers that do not take any, too: %s.", error)


def _work(threads: int, worker_id: int, *arguments: Any) -> None:
    BOARD.take_row(worker_id)
    for index, listener in enumerate(_listeners):
        if index + 1 != worker_id:
            listener.close()  # else it would listen until this worker has ended, too
    if _listeners:  # else workers are not forked, and the board is of this one alone
        vars(granian_signals)["set_main_signals"] = _obey_the_first_process
    lanes, names = Lanes(threads), vars(granian_processes)
    wrap = names["_wsgi_call_wrap"]  # it makes of the application what granian's threads call
    names["_wsgi_call_wrap"] = lambda *given: lanes.wrap(wrap(*given), _is_read)
    lanes.watch()
    MPServer._spawn_wsgi_worker(worker_id, *arguments)  # noqa: SLF001 -- what granian has itself


def _obey_the_first_process(end: Callable[..., None], *_: object) -> None:
    """Have a forked worker end by a signal only when the board says so, too.

    Who stops a service may send the signal to each of its processes at once, as systemd does: a
    worker that ended then would cut off whoever still comes, and be followed by another.
    """

    def end_if_told(*given: object) -> None:
        if BOARD.is_ending:
            end(*given)

    for number in STOP_SIGNALS:
        signal.signal(number, end_if_told)


def _is_read(scope: dict[str, Any]) -> bool:
    """Return whether nothing of a request is left to be read once it has its answer.

    A connection is not used again before granian has let go of what was sent over it.
    """
    length = scope.get("CONTENT_LENGTH") or "0"
    is_read = "HTTP_TRANSFER_ENCODING" not in scope and length.isdecimal()
    return is_read and int(length) <= BODY_MAX_BYTES


def bind_workers(port: int) -> None:
    """Have every process that granian forks die with the one that forked it, and watch its port."""
    parents: list[int] = []

    def begin() -> None:
        die_with_parent(signal.SIGKILL, parents[-1])
        _obey_the_first_process(lambda *_: os._exit(0))  # until it serves, nobody is cut off
        watch(port)

    os.register_at_fork(before=lambda: parents.append(os.getpid()), after_in_child=begin)


def main(arguments: list[str]) -> None:
    """Serve until a signal says to stop."""
    application, host, port, processes, threads, places, drain, stop = arguments
    bind_workers(int(port))
    WebProcesses(
        target=application,
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        workers=int(processes),
        blocking_threads=threads_needed(int(threads), int(places)),
        blocking_threads_idle_timeout=IDLE_SECONDS,
        backlog=MAX_CONNECTIONS,
        backpressure=MAX_CONNECTIONS,
        workers_kill_timeout=float(stop),
        respawn_failed_workers=True,
        http=HTTPModes.http1,  # its HTTP/2 waits for ever for a body whose stream was cancelled
        websockets=False,
        log_level=LogLevels.error,  # its warnings are advice on the numbers above
        drain_seconds=float(drain),
    ).serve(spawn_target=partial(_work, int(threads)))


if __name__ == "__main__":
    main(sys.argv[1:])
