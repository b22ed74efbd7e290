"""A channel of Redis, told and heard by two threads of this process that never keep anybody.

Redis may be gone, frozen or back again at any time: the threads try anew, ever more seldom. Whoever
listens again has missed what was said meanwhile, and is told so; a sender that could not send says
afterwards that everything may have changed.
"""

import logging
import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger("tenantry.caches")

# No request waits for these: they say how soon a server that has frozen is given up.
TIMEOUT_SECONDS = 0.5
SILENCE_SECONDS = 1.0
PAUSE_MIN_SECONDS, PAUSE_MAX_SECONDS = 0.1, 5.0
# More than that waiting are one message that everything has changed.
WAITING_MAX = 1_000
# What the last messages of a process that ends may take.
LAST_WORDS_SECONDS = 0.5


def connect(url: str, seconds: float) -> "Redis":
    """Return a client that gives up soon and tries nothing twice; nothing is sent yet."""
    return Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )


class _Thread:
    """A thread that does its round for ever; one that fails is done anew after a pause."""

    def __init__(self, name: str, go_on: Callable[[], None]) -> None:
        self._go_on = go_on
        self._lock = threading.Lock()
        self._name, self._thread = name, None  # type: str, threading.Thread | None
        self.ends = threading.Event()
        self.has_tried = threading.Event()
        self.works = False

    def start(self) -> None:
        """Start it, unless it has been started."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self.ends.is_set():
                self._thread = threading.Thread(
                    target=self._run, name=f"changes-{self._name}", daemon=True
                )
                self._thread.start()

    def says_it_works(self) -> None:
        """Take note that Redis answers."""
        if self.has_tried.is_set() and not self.works:
            logger.warning("Redis answers again: changes are %s at once.", self._name)
        self.works = True
        self.has_tried.set()

    def _run(self) -> None:
        pause = PAUSE_MIN_SECONDS
        while not self.ends.is_set():
            try:
                self._go_on()
                pause = PAUSE_MIN_SECONDS
            except Exception as error:  # noqa: BLE001 -- whatever was sent, somebody goes on listening
                pause = PAUSE_MIN_SECONDS if self.works else min(2 * pause, PAUSE_MAX_SECONDS)
                self._fails(error)
                self.ends.wait(pause)

    def _fails(self, error: Exception) -> None:
        if self.works or not self.has_tried.is_set():
            logger.warning("Redis fails (%s): changes are not %s at once.", error, self._name)
        self.works = False
        self.has_tried.set()

    def join(self, seconds: float) -> None:
        """Wait until it has ended, and no longer than that."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)


class Channel:
    """The channel of one installation. `hear` gets what others say, and this process itself.

    `missed` is called when something may have been said that was not heard; `all_of` returns what
    is sent in place of messages that could not be.
    """

    def __init__(
        self, url: str, prefix: str, *,
        hear: Callable[[str, bytes], bool],
        missed: Callable[[], None],
        all_of: Callable[[str], bytes],
    ) -> None:  # fmt: skip
        self.url, self.prefix = url, prefix
        self.sender = secrets.token_hex(8)
        self._name = f"{prefix}:changes"
        self._hear, self._missed, self._all = hear, missed, all_of(self.sender)
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._is_sending = False
        self._client = connect(url, TIMEOUT_SECONDS)
        self._speaker = _Thread("told", self._speak)
        self._listener = _Thread("heard", self._listen)
        self._counts: Counter[str] = Counter(sent=0, heard=0, refused=0, missed=0)

    def send(self, message: bytes) -> None:
        """Have a message sent soon. Never waits, never fails."""
        with self._changed:
            if len(self._waiting) >= WAITING_MAX:
                self._waiting.clear()
                message = self._all
            if self._all not in self._waiting:
                self._waiting.append(message)
            self._changed.notify_all()
        self._speaker.start()

    def listen(self) -> None:
        """Hear what is said from now on, until `stop`."""
        self._listener.start()

    def is_open(self, seconds: float) -> bool:
        """Return whether messages are sent and heard; one that was just opened has some time."""
        self._listener.has_tried.wait(seconds)
        is_dumb = self._speaker.has_tried.is_set() and not self._speaker.works
        return self._listener.works and not is_dumb

    def counts(self) -> dict[str, int]:
        """Return how many messages were sent, heard and refused, and how often some were missed."""
        return dict(self._counts)

    def stop(self) -> None:
        """Send what waits, if that can be done soon, and end both threads."""
        with self._changed:
            if self._speaker.works or not self._speaker.has_tried.is_set():
                self._changed.wait_for(self._has_said_all, LAST_WORDS_SECONDS)
            self._speaker.ends.set()
            self._listener.ends.set()
            self._changed.notify_all()
        self._speaker.join(LAST_WORDS_SECONDS)

    def _has_said_all(self) -> bool:
        return not self._waiting and not self._is_sending

    def _speak(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._speaker.ends.is_set())
            messages, self._is_sending = list(self._waiting), True
            self._waiting.clear()
        try:
            if messages:
                self._publish(messages)
        except (RedisError, OSError):
            with self._changed:  # some may have been sent: saying it twice does no harm
                self._waiting = deque([self._all])
            raise
        finally:
            with self._changed:
                self._is_sending = False
                self._changed.notify_all()

    def _publish(self, messages: list[bytes]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for message in messages:
            pipeline.publish(self._name, message)
        pipeline.execute()
        self._counts["sent"] += len(messages)
        self._speaker.says_it_works()

    def _listen(self) -> None:
        with connect(self.url, TIMEOUT_SECONDS) as client, client.pubsub() as ears:
            ears.subscribe(self._name)
            is_asked = True  # the answer to a subscription is due, as that to a ping
            while not self._listener.ends.is_set():
                heard = ears.get_message(timeout=SILENCE_SECONDS)
                if heard is not None:
                    is_asked = False
                    self._take(heard)
                elif is_asked:
                    raise TimeoutError("no answer")
                else:
                    is_asked = True
                    _ask(ears)

    def _take(self, heard: dict[str, Any]) -> None:
        if heard["type"] == "subscribe":  # whatever was said before, nobody heard it here
            self._missed()
            self._counts["missed"] += 1
            self._listener.says_it_works()
        elif heard["type"] == "message":
            is_one = self._hear(self.sender, heard["data"])
            self._counts["heard" if is_one else "refused"] += 1


def _ask(ears: PubSub) -> None:
    """Ask for a sign of life: a server that has frozen is silent like one that has no news."""
    ears.ping()
