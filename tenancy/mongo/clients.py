"""One MongoClient and one guard for each cluster and process, made on first use after a fork."""

import os
import threading
import warnings
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from types import TracebackType
from typing import Any

import pymongo
from django.conf import settings
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConfigurationError, InvalidURI

from tenancy.exceptions import ClusterUnavailable, Misconfigured
from tenancy.mongo.errors import driver_errors
from tenancy.mongo.extended_types import CODEC_OPTIONS, REPLY_OPTIONS
from tenancy.mongo.guard import PING_SECONDS, Guard
from tenancy.names import PlacementAddress

Document = dict[str, Any]
# A cluster that cannot be reached costs a request this long, not the whole deadline.
SERVER_SELECTION_TIMEOUT_MS = 2_500
CONNECT_TIMEOUT_MS = 2_000
WAIT_QUEUE_TIMEOUT_MS = 1_000
# Connections beyond one for each request in a seat, and each that stepped out: pings, the worker.
SPARE_CONNECTIONS = 8
COLLECTIONS_KEPT = 10_000
SRV_SCHEME = "mongodb+srv://"
SCHEMES = ("mongodb://", SRV_SCHEME)
NO_URI = "The URI of the cluster is no MongoDB URI."
OPTION_REFUSED = "The URI of the cluster has a host or an option that the driver does not accept."

# The driver's warnings name what it takes for an option; it may be a piece of a password.
warnings.filterwarnings("ignore", category=UserWarning, module=r"pymongo\.")

_clients: dict[tuple[int, str], MongoClient[Document]] = {}
_guards: dict[tuple[int, str], Guard] = {}
_lock = threading.Lock()


def pool_size() -> int:
    """Return how many connections one process opens to each server of a cluster at most.

    None is opened before it is needed: a cluster may have few tenants, and each costs it two files.
    """
    return 2 * int(settings.TENANTRY_THREADS) + SPARE_CONNECTIONS


def open_client(uri: str) -> MongoClient[Document]:
    """Open a client. Raises Misconfigured, without the driver's words: they may repeat the URI."""
    if not uri.startswith(SCHEMES):  # the driver would take it for a host
        raise Misconfigured(NO_URI)
    # The concerns are set here and not in the URI: they are what "acknowledged" means.
    try:
        return MongoClient(
            uri,
            w="majority",
            readConcernLevel="majority",
            retryWrites=True,
            retryReads=True,
            timeoutMS=round(settings.TENANCY_OPERATION_TIMEOUT * 1000),
            serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS,
            connectTimeoutMS=CONNECT_TIMEOUT_MS,
            waitQueueTimeoutMS=WAIT_QUEUE_TIMEOUT_MS,
            maxPoolSize=pool_size(),
            appname="tenantry",
        )
    except InvalidURI:
        raise Misconfigured(NO_URI) from None
    except ConfigurationError as error:
        if uri.startswith(SRV_SCHEME):  # its hosts are asked of the DNS here and now
            raise ClusterUnavailable from error
        raise Misconfigured(OPTION_REFUSED) from None
    except (ValueError, TypeError, UserWarning):
        raise Misconfigured(OPTION_REFUSED) from None


def get_client(uri: str) -> MongoClient[Document]:
    """Return this process's client for a cluster. Opens no connection by itself."""
    key = (os.getpid(), uri)
    client = _clients.get(key)
    if client is None:
        opened = open_client(uri)  # may wait for the DNS: nobody else does meanwhile
        with _lock:
            client = _clients.setdefault(key, opened)
        if client is not opened:
            opened.close()
    return client


def call_deadline() -> AbstractContextManager[None]:
    """Bound everything that is called in the block, together, by one operation timeout.

    That is what lets a fence go: a call that began before it stood has ended one timeout later.
    """
    return pymongo.timeout(settings.TENANCY_OPERATION_TIMEOUT)


def get_guard(uri: str) -> Guard:
    """Return this process's guard of a cluster."""
    key = (os.getpid(), uri)
    guard = _guards.get(key)
    if guard is None:
        with _lock:
            guard = _guards.setdefault(
                key,
                Guard(
                    partial(_ping_quickly, uri),
                    threads=settings.TENANTRY_THREADS,
                    is_alone=lambda: len(_guards) == 1,
                ),
            )
    return guard


def _ping_quickly(uri: str) -> None:
    with pymongo.timeout(PING_SECONDS):
        ping(uri)


class ClusterCall:
    """Pass the guard of a cluster and bound what is called in the block by one timeout.

    Raises ClusterUnavailable at once when the cluster is down, or does not answer the calls that
    it has.
    """

    __slots__ = ("_deadline", "_guard")

    def __init__(self, uri: str) -> None:
        self._guard = get_guard(uri)
        self._deadline = call_deadline()

    def __enter__(self) -> None:
        self._guard.admit()
        self._deadline.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._deadline.__exit__(kind, error, traceback)
        finally:
            self._guard.leave(error)


def get_database(address: PlacementAddress) -> Database[Document]:
    """Return the database that an address names, reading with lossless codec options.

    Raises ClusterUnavailable while the cluster is known to be down.
    """
    get_guard(address.uri).settle()
    return get_client(address.uri).get_database(address.database, codec_options=CODEC_OPTIONS)


@lru_cache(maxsize=COLLECTIONS_KEPT)
def _kept_collection(
    pid: int, uri: str, database: str, name: str, *, is_lenient: bool = False
) -> Collection[Document]:
    """Return a collection; it only holds names and options, and making it is not free."""
    options = REPLY_OPTIONS if is_lenient else CODEC_OPTIONS
    return get_client(uri).get_database(database, codec_options=options)[name]


def get_physical(address: PlacementAddress, name: str) -> Collection[Document]:
    """Return a collection of the database that an address names. See `get_database`."""
    get_guard(address.uri).settle()
    return _kept_collection(os.getpid(), address.uri, address.database, name)


def get_lenient(address: PlacementAddress, name: str) -> Collection[Document]:
    """Return the same, for commands whose replies may quote values: see REPLY_OPTIONS."""
    get_guard(address.uri).settle()
    return _kept_collection(os.getpid(), address.uri, address.database, name, is_lenient=True)


def ping(uri: str) -> None:
    """Raise ClusterUnavailable unless the cluster answers."""
    with driver_errors(writing=False):
        get_client(uri).admin.command("ping")


def close_clients() -> None:
    """Close every client of this process."""
    with _lock:
        for key in [key for key in _clients if key[0] == os.getpid()]:
            _clients.pop(key).close()
        _guards.clear()
        _kept_collection.cache_clear()
