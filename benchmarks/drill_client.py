"""One keep-alive HTTP connection that times every answer and counts every surprise."""

import heapq
import http.client
import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

API = "/api/v1"
DOCUMENTS = f"{API}/collections/main/documents"
ANSWER_SECONDS = 30.0
BUSY_ATTEMPTS = 20
BUSY_CODES = frozenset({"tenant_busy", "overloaded"})  # nothing was done: again, later
BUSY_PAUSE_SECONDS = 0.05
SIGN_IN_ATTEMPTS = 2
NO_ANSWER = 0
SLOWEST_KEPT = 50


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs in."""

    email: str
    password: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Status 0 means that no answer came: a write may have happened."""

    status: int
    body: Any = None
    etag: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        """The stable error code of a problem, or an empty string."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    @property
    def happened_perhaps(self) -> bool:
        """Whether a write answered like this may have been done all the same."""
        return self.status == NO_ANSWER or self.status >= 500


@dataclass(slots=True)
class Tally:
    """What one connection saw: seconds by label, retriable answers, all other failures.

    `slowest` are the longest answers: seconds, when each came (seconds since 1970), label.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    slowest: list[tuple[float, float, str]] = field(default_factory=list)
    busy: int = 0
    unknown: int = 0
    sign_ins: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        for label, seconds in other.seconds.items():
            self.seconds[label].extend(seconds)
        self.slowest += other.slowest
        self.busy += other.busy
        self.unknown += other.unknown
        self.sign_ins += other.sign_ins
        self.errors.update(other.errors)

    def time(self, label: str, seconds: float) -> None:
        """Remember what an answer that came just now took."""
        self.seconds[label].append(seconds)
        add = heapq.heappush if len(self.slowest) < SLOWEST_KEPT else heapq.heappushpop
        add(self.slowest, (seconds, time.time(), label))

    def longest_between(self, begins: float, ends: float) -> float:
        """Return what the longest answer took of those that were under way in a time."""
        under_way = [
            seconds
            for seconds, came_at, _ in self.slowest
            if came_at >= begins and came_at - seconds <= ends
        ]
        return max(under_way, default=0.0)

    def longest_beside(self, windows: list[tuple[float, float]]) -> float:
        """Return what the longest answer took of those that none of these times has touched."""
        beside = [
            seconds
            for seconds, came_at, _ in self.slowest
            if all(came_at < begins or came_at - seconds > ends for begins, ends in windows)
        ]
        return max(beside, default=0.0)


class DrillClient:
    """Speaks JSON with one server process as one account."""

    def __init__(self, port: int, account: Account, token: str = "") -> None:
        self.tally = Tally()
        self._account = account
        self._token = token
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)

    def call(
        self,
        label: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        if_match: str = "",
        refusal: str = "",
    ) -> Answer:
        """Send until the answer is final: again while the tenant is busy or the token is old.

        Each answer on the way is timed under `label`; a final failure is counted, unless it is the
        `refusal` that is asked for, a code.
        """
        sign_ins = 0
        answer = Answer(NO_ANSWER)
        for _ in range(BUSY_ATTEMPTS):
            answer = self._timed(label, method, path, body, if_match)
            if answer.code in BUSY_CODES:
                self.tally.busy += 1
                time.sleep(BUSY_PAUSE_SECONDS)
            elif answer.code == "token_expired" and sign_ins < SIGN_IN_ATTEMPTS:
                sign_ins += 1
                self.sign_in()
            else:
                break
        if not answer.ok and answer.code != refusal:
            self._count_failure(label, answer)
        return answer

    def sign_in(self) -> None:
        """Take a fresh access token; tokens live ten minutes, a long drill outlives them."""
        self.tally.sign_ins += 1
        body = {"email": self._account.email, "password": self._account.password}
        answer = self._exchange("POST", f"{API}/auth/login", body, "")
        if answer.ok:
            self._token = answer.body["access_token"]
        else:
            self._count_failure("login", answer)

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._connection.close()

    def _timed(self, label: str, method: str, path: str, body: Any, if_match: str) -> Answer:
        started = time.perf_counter()
        try:
            return self._exchange(method, path, body, if_match)
        finally:
            self.tally.time(label, time.perf_counter() - started)

    def _exchange(self, method: str, path: str, body: Any, if_match: str) -> Answer:
        headers = {"Content-Type": "application/json"}
        if if_match:
            headers["If-Match"] = if_match
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        payload = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, payload, headers)
            response = self._connection.getresponse()
            etag = response.headers.get("ETag", "")
            return Answer(response.status, _parse(response.read()), etag)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Answer(NO_ANSWER, {"code": type(error).__name__})

    def _count_failure(self, label: str, answer: Answer) -> None:
        if answer.code == "outcome_unknown":
            self.tally.unknown += 1
        else:
            self.tally.errors[f"{label}: {answer.status} {answer.code}".rstrip()] += 1


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None
