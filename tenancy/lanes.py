"""How many of the server's threads take requests: as few as keep the interpreter busy.

The threads of a process share one interpreter, and its lock. Every call to a socket gives the lock
away, a dozen times for one command of MongoDB: threads that are all at work hand it about, which
costs more than what they gain by it. So while requests are quick, one thread takes one after the
other, and the rest *rest*. That is the pattern of leader and followers, with a watch on the leader:

* Who is in one request for long, or says that it will wait (`stand_aside`), *stands aside*: another
  thread takes what comes next. Slow requests keep nobody out.
* While the threads at work leave the processor idle, as they do where MongoDB is far, there is room
  for one more of them: the process has that many *lanes*. Where they keep it busy, for one less.

How many requests may be worked on at all is not decided here, but by `tenancy.admission`.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

TICK_SECONDS = 0.004
LONG_SECONDS = 0.008
# Nobody rests longer: should a thread ever be lost, another is there.
REST_SECONDS = 60.0
# So long the watch goes on when nobody comes. It costs a wake-up for each tick.
WATCH_SECONDS = 0.2
# Shares of one core: below the first there is room for another lane, above the second for none.
IDLE_SHARE, BUSY_SHARE = 0.75, 0.95
SMOOTHING = 0.1


class _Worker:
    """A thread of the server. `began` is when its request did, and 0 between requests."""

    __slots__ = ("began", "is_aside", "may_rest", "turn")

    def __init__(self) -> None:
        self.began = 0.0
        self.is_aside = False
        self.may_rest = True
        self.turn = threading.Lock()
        self.turn.acquire()


class _Presence:
    """Kept by a thread for as long as it lives: the server ends threads that have nothing to do."""

    def __init__(self, lanes: "Lanes", worker: _Worker) -> None:
        self._lanes, self._worker = lanes, worker

    def __del__(self) -> None:
        self._lanes.leave(self._worker)


class _Here(threading.local):
    worker: _Worker | None = None
    lanes: "Lanes | None" = None
    presence: _Presence | None = None


_here = _Here()
_watched: list["Lanes"] = []


class Lanes:
    """Threads of one process that take turns at its requests.

    `width` is how many may be at work and quick at once, 1 to `most`; `active` how many of them
    there are, whether in a request or waiting for one. Others rest or stand aside.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.width = 1
        self.active = 0
        self._lock = threading.Lock()
        self._out: set[_Worker] = set()  # who does not rest
        self._resting: list[_Worker] = []
        self.is_watched = True
        self._stirred = threading.Event()
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._share = 1.0

    @property
    def resting(self) -> int:
        """How many threads wait to be needed."""
        return len(self._resting)

    def watch(self) -> None:
        """Keep watch over those at work, from a thread of its own, for good."""
        _watched.append(self)
        threading.Thread(target=self._watch, name="lanes", daemon=True).start()

    def wrap(self, serve: Callable[[Any, Any], Any], may_rest: Callable[[Any], bool]) -> Any:
        """Return what the server calls for each request, in one of its threads: `serve`, in lanes.

        A thread rests after the answer is on its way, and before it takes another request. The
        server holds what belongs to the request until then; `may_rest` says whether it may, and so
        does who answers it (`stay_awake`).
        """

        def run(protocol: Any, scope: Any) -> Any:
            worker = _here.worker or self._join()
            worker.began, worker.may_rest = time.perf_counter(), True
            if not self.is_watched:
                self._stirred.set()
            try:
                return serve(protocol, scope)
            finally:
                worker.began = 0.0
                if worker.is_aside or self.active > self.width:
                    self._end(worker, may_rest=may_rest(scope) and worker.may_rest)

        return run

    def stand_aside(self, worker: _Worker) -> None:
        """Let another thread take what comes next."""
        with self._lock:
            self._put_aside(worker)
            self._fill()

    def leave(self, worker: _Worker) -> None:
        """Forget a thread that has ended."""
        with self._lock:
            if not worker.is_aside:
                self.active -= 1
            self._out.discard(worker)
            self._fill()

    def look(self) -> None:
        """See who takes long, and whether there is room for one more, or for one less."""
        wall, cpu = time.perf_counter(), time.process_time()
        now_share = (cpu - self._cpu) / max(wall - self._wall, 1e-9)
        share = self._share = self._share + (now_share - self._share) * SMOOTHING
        self._wall, self._cpu = wall, cpu
        with self._lock:
            # When it began is read once: it is 0 as soon as the request ends.
            began = {each: each.began for each in self._out if not each.is_aside}
            busy = [worker for worker, when in began.items() if when]
            for worker in busy:
                if wall - began[worker] >= LONG_SECONDS:
                    self._put_aside(worker)
            if share < IDLE_SHARE and len(busy) >= self.width:
                self.width = min(self.width + 1, self._most)
            elif share > BUSY_SHARE or len(busy) < self.width:
                self.width = max(self.width - 1, 1)
            self._fill()

    def _join(self) -> _Worker:
        worker = _here.worker = _Worker()
        _here.lanes, _here.presence = self, _Presence(self, worker)
        with self._lock:
            self._out.add(worker)
            self.active += 1
        return worker

    def _put_aside(self, worker: _Worker) -> None:
        if not worker.is_aside:
            worker.is_aside = True
            self.active -= 1

    def _fill(self) -> None:
        while self._resting and self.active < self.width:
            worker = self._resting.pop()  # the last one: its connections are warm
            self._out.add(worker)
            self.active += 1
            worker.turn.release()

    def _end(self, worker: _Worker, *, may_rest: bool) -> None:
        with self._lock:
            if worker.is_aside:
                worker.is_aside = False
                self.active += 1
            if not may_rest or self.active <= self.width:
                return
            self.active -= 1
            self._out.remove(worker)
            self._resting.append(worker)
        if worker.turn.acquire(timeout=REST_SECONDS):
            return
        with self._lock:
            if worker in self._resting:  # else its turn has come at the last moment
                self._resting.remove(worker)
                self._out.add(worker)
                self.active += 1
            else:
                worker.turn.acquire()

    def _watch(self) -> None:
        last = 0.0
        while True:
            time.sleep(TICK_SECONDS)
            self.look()
            now = time.perf_counter()
            if any(each.began for each in tuple(self._out)):
                last = now
            elif now - last > WATCH_SECONDS:
                self._doze()

    def _doze(self) -> None:
        self._stirred.clear()
        self.is_watched = False
        if not any(each.began for each in tuple(self._out)):  # who came before did not stir
            self._stirred.wait()
        self.is_watched = True
        self._wall, self._cpu = time.perf_counter(), time.process_time()


def count() -> int:
    """Return how many lanes this process has now; 0 where no server has any."""
    return sum(each.width for each in _watched)


def stand_aside() -> None:
    """Say that this thread is about to wait: another one takes what comes next.

    Safe to repeat, and in threads that are in no lane.
    """
    if _here.worker is not None and _here.lanes is not None:
        _here.lanes.stand_aside(_here.worker)


def stay_awake() -> None:
    """Say that others wait for what the server holds of this request: no rest after it.

    Safe to repeat, and in threads that are in no lane.
    """
    if _here.worker is not None:
        _here.worker.may_rest = False
