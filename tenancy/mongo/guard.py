"""A cluster that is down or frozen costs its own tenants an error, and everybody else nothing.

Request threads are what clusters share. So each cluster has a guard in each process, which every
call on documents passes:

* A *breaker*. Once the cluster was not reached, calls are refused at once; every `DOWN_SECONDS`
  one of them asks whether it answers again.
* A *bulkhead*. Half of the threads may be in calls to one cluster without any question. More may be
  while calls are seen to end, or after a ping that was answered, up to three quarters where there
  are several clusters. Whoever cannot begin waits in line for a moment, then is refused.

On a healthy cluster that costs about a microsecond, and no command.
"""

from collections import deque
from collections.abc import Callable
from threading import Lock

from pymongo.errors import ConfigurationError, ConnectionFailure, ServerSelectionTimeoutError

from tenancy.clock import seconds
from tenancy.exceptions import ClusterUnavailable, TenancyError

# How long a cluster that did not answer is not asked again.
DOWN_SECONDS = 1.0
# What a ping may take; a new connection over TLS to another continent is about six round trips.
PING_SECONDS = 1.0
# How long a sign of life counts: a call that ended, or a ping.
ALIVE_SECONDS = 0.1
# How long calls wait in line before anybody pings.
CROWDED_SECONDS = 0.1
# How long calls wait for what another one's ping says.
VERDICT_SECONDS = 0.25
# How long calls wait in line when the cluster answers and has all the threads that it may have.
FULL_SECONDS = 0.5

# What the driver has tried for its whole time; or the DNS does not know the cluster.
_NOT_REACHED = (ServerSelectionTimeoutError, ConfigurationError)
BUSY = "The database has more to do than it can. Nothing was written. Try again in a moment."


class Guard:
    """What one process knows of one cluster. `ping` raises TenancyError if it does not answer.

    `threads` may call; `is_alone` says whether there is no other cluster they could be kept for.
    """

    def __init__(
        self, ping: Callable[[], None], *, threads: int, is_alone: Callable[[], bool]
    ) -> None:
        self._ping = ping
        self._is_alone = is_alone
        self._unasked_max = max(1, threads // 2)
        self._max = max(1, threads - max(1, threads // 4))
        self._inside = 0
        self._line: deque[Lock] = deque()
        self._counting = Lock()
        self._asking = Lock()
        self._doubted = False
        self._down_until = 0.0
        self._alive_at = 0.0

    def admit(self) -> None:
        """Let a call begin; `leave` must follow. Raises ClusterUnavailable."""
        if self._doubted:
            self.settle()
        with self._counting:
            if self._inside < self._unasked_max:
                self._inside += 1
                return
        self._admit_to_crowd()

    def leave(self, error: BaseException | None) -> None:
        """Say that a call ended, and how."""
        if error is None:
            self._alive_at = seconds()
        else:
            self.learn(error)
        with self._counting:
            if self._line:
                self._line.popleft().release()  # the place is handed over
            else:
                self._inside -= 1

    def learn(self, error: BaseException) -> None:
        """Doubt the cluster if that is what an error means."""
        cause = error.__cause__
        if isinstance(cause, _NOT_REACHED):
            self._take_down()
        elif isinstance(cause, ConnectionFailure):  # no answer, or the end of a connection
            self._doubted = True  # whoever comes next asks

    def settle(self) -> None:
        """Raise ClusterUnavailable if the cluster is in doubt and does not answer."""
        if not self._doubted:
            return
        if seconds() < self._down_until:
            raise ClusterUnavailable
        # While it is known to be down nobody waits for the one who asks.
        patience = 0.0 if self._down_until else VERDICT_SECONDS
        self._ask(lambda: not self._doubted, patience)

    def _is_alive(self) -> bool:
        return seconds() - self._alive_at < ALIVE_SECONDS

    def _admit_to_crowd(self) -> None:
        if self._is_alive() and self._enter():
            return
        if self._wait_in_line(CROWDED_SECONDS):
            return
        self._ask(self._is_alive, VERDICT_SECONDS)
        if not self._enter() and not self._wait_in_line(FULL_SECONDS):
            raise ClusterUnavailable(BUSY)

    def _enter(self) -> bool:
        """Take a place if the cluster, which answers, may have one more thread."""
        with self._counting:
            if self._line or (self._inside >= self._max and not self._is_alone()):
                return False
            self._inside += 1
            return True

    def _wait_in_line(self, timeout_seconds: float) -> bool:
        """Return whether a call that ended has handed its place over."""
        turn = Lock()
        turn.acquire()
        with self._counting:
            if self._inside < self._unasked_max:
                self._inside += 1
                return True
            self._line.append(turn)
        if turn.acquire(timeout=timeout_seconds):
            return True
        with self._counting:
            if turn not in self._line:
                return True  # at the last moment
            self._line.remove(turn)
            return False

    def _ask(self, is_settled: Callable[[], bool], patience_seconds: float) -> None:
        """Ping unless it is settled, or becomes so while another one pings."""
        if is_settled():
            return
        if not self._asking.acquire(timeout=patience_seconds):
            raise ClusterUnavailable
        try:
            if is_settled():
                return
            if seconds() < self._down_until:
                raise ClusterUnavailable
            self._ping_now()
        finally:
            self._asking.release()

    def _ping_now(self) -> None:
        try:
            self._ping()
        except TenancyError as error:
            self._take_down()
            raise ClusterUnavailable from error
        self._alive_at = seconds()
        self._down_until = 0.0
        self._doubted = False

    def _take_down(self) -> None:
        self._down_until = seconds() + DOWN_SECONDS
        self._doubted = True
