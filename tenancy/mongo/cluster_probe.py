"""Examine a cluster: what it is, what is wrong with it, how much lies on it.

What a user may not read stays unknown (None): it is no reason to refuse a cluster.
"""

import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.uri_parser import parse_uri

from tenancy.exceptions import ClusterUnavailable, Misconfigured
from tenancy.mongo.clients import SRV_SCHEME, Document, get_client, open_client
from tenancy.mongo.errors import driver_errors

EXAMINATION_SECONDS = 5.0
IDENTITY_SECONDS = 2.0
VERSION_MIN = (6, 0)
# https://www.mongodb.com/docs/manual/reference/ulimit/#recommended-ulimit-settings
OPEN_FILES_MIN = 64_000
AUTHENTICATION_FAILED = 18
# What mongod says of `$where` when it runs no JavaScript.
NO_SCRIPT_ENGINE = 6108304
# The other sections of serverStatus take ten times as long.
_SECTIONS_LEFT_OUT = (
    "activeIndexBuilds", "asserts", "batchedDeletes", "defaultRWConcern", "electionMetrics",
    "extra_info", "flowControl", "freeMonitoring", "globalLock", "indexBulkBuilder", "locks",
    "logicalSessionRecordCache", "mem", "metrics", "network", "opLatencies", "opcounters",
    "opcountersRepl", "oplogTruncation", "readConcernCounters", "repl", "scramCache", "security",
    "storageEngine", "tcmalloc", "tenantMigrations", "trafficRecording", "transactions",
    "transportSecurity", "twoPhaseCommitCoordinator", "wiredTiger",
)  # fmt: skip


@dataclass(frozen=True)
class Load:
    """What lies on a cluster: collections and indexes of users, and what holds files open.

    `internal_files` are those of MongoDB's own collections. A mongos knows none of this.
    """

    collections: int | None = None
    indexes: int | None = None
    internal_files: int = 0
    connections: int | None = None
    max_open_files: int | None = None


@dataclass(frozen=True)
class ClusterFacts:
    """What a cluster is. `identity` is the same for two URIs exactly if they lead to one."""

    topology: str
    identity: str
    hosts: tuple[str, ...]
    version: str
    round_trip_ms: float
    write_concern: str | None
    javascript: bool | None
    oplog_hours: float | None
    load: Load


@dataclass(frozen=True)
class Examination:
    """The facts, if it was reached; what is wrong, and what could be better, with the remedy.

    Without `is_uri` there is nothing that could be reached some day.
    """

    facts: ClusterFacts | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_uri: bool = True


def examine_cluster(uri: str) -> Examination:
    """Look at a cluster through a client of its own, for at most about five seconds."""
    try:
        with warnings.catch_warnings(action="error", category=UserWarning):
            client = open_client(uri)
        with client, pymongo.timeout(EXAMINATION_SECONDS):
            return _examine(client)
    except Misconfigured as error:
        return Examination(problems=(error.detail,), is_uri=False)
    except ClusterUnavailable:
        return Examination(problems=("The DNS does not know it. Check the host of the URI.",))
    except OperationFailure as error:
        return Examination(problems=(_refusal(error),))
    except PyMongoError as error:
        return Examination(problems=(_not_reached(error),))


def find_identity(uri: str) -> str | None:
    """Return the identity of a cluster, or None if it does not tell in some seconds."""
    try:
        with open_client(uri) as client, pymongo.timeout(IDENTITY_SECONDS):
            return _identity(client, client.admin.command("hello"))
    except (PyMongoError, Misconfigured, ClusterUnavailable):
        return None


def lead_to_common_host(uri: str, other: str) -> bool:
    """Return whether two URIs name a host and port in common."""
    try:
        return bool(_hosts(uri) & _hosts(other))
    except (PyMongoError, ValueError):
        return False


def _hosts(uri: str) -> set[tuple[str, int | None]]:
    if uri.startswith(SRV_SCHEME):
        return {(uri.removeprefix(SRV_SCHEME).rpartition("@")[2].partition("/")[0], None)}
    return set(parse_uri(uri, warn=False)["nodelist"])


def measure_load(uri: str) -> Load:
    """Return what lies on a cluster, in about a millisecond. Raises ClusterUnavailable."""
    with driver_errors(writing=False):
        return _load_of(get_client(uri))


def _refusal(error: OperationFailure) -> str:
    if error.code == AUTHENTICATION_FAILED:
        return "It refuses the user or the password of the URI. Check both, and authSource."
    return f"It refused to be examined ({(error.details or {}).get('codeName', error.code)})."


def _not_reached(error: PyMongoError) -> str:
    if isinstance(error, ServerSelectionTimeoutError) and "SSL" in str(error):
        return "TLS could not be agreed with it. Check the tls options of the URI."
    return (
        "It was not reached. Check host, port, replica set name and firewall, and that it has "
        "a primary."
    )


def _examine(client: MongoClient[Document]) -> Examination:
    client.admin.command("ping")  # connects, which is not what a round trip takes
    began = time.perf_counter()
    hello = client.admin.command("hello")
    round_trip_ms = (time.perf_counter() - began) * 1_000
    facts = ClusterFacts(
        topology=_topology(hello),
        identity=_identity(client, hello),
        hosts=tuple(sorted(hello.get("hosts", []))) or (str(client.address),),
        version=str(client.server_info()["version"]),
        round_trip_ms=round(round_trip_ms, 2),
        write_concern=_default_write_concern(client),
        javascript=_runs_javascript(client),
        oplog_hours=_oplog_hours(client),
        load=_load_of(client),
    )
    return Examination(facts, tuple(_problems(facts, hello)), tuple(_notes(facts)))


def _topology(hello: Mapping[str, Any]) -> str:
    if hello.get("msg") == "isdbgrid":
        return "sharded cluster"
    return f"replica set {hello['setName']}" if "setName" in hello else "standalone server"


def _identity(client: MongoClient[Document], hello: Mapping[str, Any]) -> str:
    """Return the id that the deployment gave itself; its hosts where the user may not read it."""
    with suppress(OperationFailure, KeyError, TypeError):
        if "setName" in hello:
            config = client.admin.command("replSetGetConfig")["config"]
            return str(config["settings"]["replicaSetId"])
        if hello.get("msg") == "isdbgrid":
            return str((client.config.version.find_one() or {})["clusterId"])
    return ",".join(sorted(hello.get("hosts", []))) or str(client.address)


def _default_write_concern(client: MongoClient[Document]) -> str | None:
    with suppress(OperationFailure):
        concern = client.admin.command("getDefaultRWConcern").get("defaultWriteConcern", {})
        return str(concern.get("w", 1))
    return None


def _runs_javascript(client: MongoClient[Document]) -> bool | None:
    """Ask for a `$where` over a collection that is not there: it parses, and runs on nothing."""
    try:
        client.admin["tenantry.probe"].find_one({"$where": "true"})
    except OperationFailure as error:
        return False if error.code == NO_SCRIPT_ENGINE else None
    return True


def _oplog_hours(client: MongoClient[Document]) -> float | None:
    with suppress(PyMongoError, KeyError, TypeError, AttributeError):
        oplog = client.local["oplog.rs"]
        ends: list[int] = [
            (oplog.find_one({}, {"ts": 1}, sort=[("$natural", order)]) or {})["ts"].time
            for order in (1, -1)
        ]
        return round((ends[1] - ends[0]) / 3_600, 1)
    return None


def _load_of(client: MongoClient[Document]) -> Load:
    command = {"serverStatus": 1, **dict.fromkeys(_SECTIONS_LEFT_OUT, 0)}
    try:
        status = client.admin.command(command)
    except OperationFailure:
        return Load()
    counted = status.get("catalogStats")
    if counted is None:
        return Load()
    return Load(
        collections=int(counted["collections"]),
        indexes=int(status["indexStats"]["count"]) if "indexStats" in status else None,
        internal_files=2 * int(counted.get("internalCollections", 0)),
        connections=int(status["connections"]["current"]),
        max_open_files=_max_open_files(client),
    )


def _max_open_files(client: MongoClient[Document]) -> int | None:
    with suppress(OperationFailure):
        extra = client.admin.command("hostInfo").get("extra", {})
        found = extra.get("extra", extra).get("maxOpenFiles")  # one deeper since 6.0
        return int(found) if found else None
    return None


def _problems(facts: ClusterFacts, hello: Mapping[str, Any]) -> list[str]:
    problems = []
    if facts.topology == "standalone server":
        problems.append(
            "It is a standalone server: transactions and change streams need a replica set. Start "
            "mongod with --replSet and run rs.initiate()."
        )
    elif not hello.get("isWritablePrimary"):
        problems.append(
            "The URI leads to a member that takes no writes. Leave out directConnection and name "
            "the replica set."
        )
    if tuple(int(part) for part in facts.version.split(".")[:2]) < VERSION_MIN:
        problems.append(f"It runs MongoDB {facts.version}; 6.0 or later is needed. Upgrade it.")
    return problems


def _notes(facts: ClusterFacts) -> list[str]:
    notes = []
    if facts.javascript:
        notes.append(
            "It runs JavaScript of queries, which Tenantry never sends. Start mongod with "
            "--noscripting."
        )
    if facts.write_concern not in {None, "majority"}:
        notes.append(
            f"Its default write concern is {facts.write_concern}. Tenantry asks for majority "
            "itself; others who write there may lose writes."
        )
    limit = facts.load.max_open_files
    if limit is not None and limit < OPEN_FILES_MIN:
        notes.append(
            f"It may open {limit} files: one for each collection and index, two for each "
            f"connection. Raise the limit of mongod (ulimit -n) to {OPEN_FILES_MIN}."
        )
    return notes
