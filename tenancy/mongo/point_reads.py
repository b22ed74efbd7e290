"""Find one document by its `_id`: what is asked for most, with the least of the driver.

`find_one` makes a cursor for it, which costs a fifth of the whole call. The same command by itself
finds the same; but the driver does not repeat a command that it was given, so where the connection
is lost, the primary is another one, or a server says what the driver repeats reads for, `find_one`
asks again, and repeats it as every read.
"""

from typing import Any

from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure, OperationFailure

Document = dict[str, Any]

# After these a read may be repeated: the specification of retryable reads, "Retryable Error".
REPEATED_CODES = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        134,  # ReadConcernMajorityNotAvailableYet
        189,  # PrimarySteppedDown
        262,  # ExceededTimeLimit
        9001,  # SocketException
        10058,  # LegacyNotPrimary
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
    }
)


def find_by_id(
    collection: Collection[Document], stored_id: Any, session: ClientSession | None
) -> Document | None:
    """Return the document with an `_id` as it is stored, or None. One command.

    Raises the driver's errors.
    """
    wanted = {"_id": stored_id}
    if session is not None:
        return collection.find_one(wanted, session=session)
    command = {
        "find": collection.name,
        "filter": wanted,
        "limit": 1,
        "singleBatch": True,
        "readConcern": collection.read_concern.document,
    }
    try:
        answer = collection.database.command(command, codec_options=collection.codec_options)
    except (ConnectionFailure, OperationFailure) as error:
        if error.timeout or not _may_repeat(error):  # after a time-out no time is left
            raise
        return collection.find_one(wanted)
    found: list[Document] = answer["cursor"]["firstBatch"]
    return found[0] if found else None


def _may_repeat(error: ConnectionFailure | OperationFailure) -> bool:
    return isinstance(error, ConnectionFailure) or error.code in REPEATED_CODES
