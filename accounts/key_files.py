"""The file of signing keys, and how it changes: always whole, never readable by others.

The first private key signs. A second one is staged: published, and signing nothing yet. A retired
key keeps its public half alone, until no token that it signed can be alive.
"""

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from django.utils import timezone

from accounts.signing import KeyPair, make_key_pair, parse_keys
from tenancy.exceptions import Misconfigured, ValidationFailed

# Longer than any access token lives, and than anybody keeps the published keys.
RETIRED_KEEP = timedelta(days=1)
_BLOCK = re.compile(
    r"(?:# retired (?P<retired>\S+)\n)?"
    r"(?P<pem>-----BEGIN (?P<kind>[A-Z ]+)-----\n.+?-----END (?P=kind)-----)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Entry:
    """A key of the file, and when it was retired."""

    pair: KeyPair
    retired_at: datetime | None = None

    def __str__(self) -> str:
        if self.pair.private is not None:
            pem = self.pair.private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        else:
            pem = self.pair.public.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        note = f"# retired {self.retired_at.isoformat()}\n" if self.retired_at else ""
        return note + pem.decode()


@dataclass(frozen=True)
class Rotation:
    """What a change has led to: which key signs, and which others are published, by `kid`."""

    sentence: str
    signing: str
    others: tuple[str, ...]


def rotate(path: Path) -> Rotation:
    """Sign with a new key from now on; the one before only verifies."""
    return _change(path, lambda entries: _sign_with(Entry(make_key_pair()), entries), "Rotated")


def stage(path: Path) -> Rotation:
    """Publish a new key; it signs once it is activated. Raises ValidationFailed if one waits."""

    def add(entries: list[Entry]) -> list[Entry]:
        if len(_private(entries)) != 1:
            raise ValidationFailed(
                "A key is staged already: activate it."
                if entries
                else f"{path} holds no key yet: there is nothing to go over from."
            )
        return [*entries, Entry(make_key_pair())]

    return _change(path, add, "A new key is published")


def activate(path: Path) -> Rotation:
    """Sign with the staged key. Raises ValidationFailed if there is none."""

    def switch(entries: list[Entry]) -> list[Entry]:
        waiting = _private(entries)[1:]
        if not waiting:
            raise ValidationFailed("No key is staged: do that first.")
        rest = [entry for entry in entries if entry is not waiting[0]]
        return _sign_with(waiting[0], rest)

    return _change(path, switch, "The staged key is activated")


def _private(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.pair.private is not None]


def _sign_with(new: Entry, entries: list[Entry]) -> list[Entry]:
    now = timezone.now()
    kept = [new]
    for number, entry in enumerate(entries):
        if number == 0 and entry.pair.private is not None:
            kept.append(Entry(KeyPair(entry.pair.public), now))
        elif entry.retired_at is None or entry.retired_at + RETIRED_KEEP > now:
            kept.append(entry)
    return kept


def _change(path: Path, change: Callable[[list[Entry]], list[Entry]], done: str) -> Rotation:
    try:
        with _locked(path):
            entries = change(_read(path))
            _write(path, "".join(str(entry) for entry in entries))
    except OSError as error:
        raise Misconfigured(f"{path} cannot be written: {error.strerror}.") from error
    signing, *others = (entry.pair.kid for entry in entries)
    return Rotation(f"{done}: key {signing} signs.", signing, tuple(others))


def _read(path: Path) -> list[Entry]:
    if not path.exists():
        return []
    text = path.read_text()
    parse_keys(text)  # or say what is wrong
    return [_entry(found) for found in _BLOCK.finditer(text)]


def _entry(found: re.Match[str]) -> Entry:
    pem = found["pem"]
    if "PUBLIC" in found["kind"]:
        key = serialization.load_pem_public_key(pem.encode())
        pair = KeyPair(key)  # type: ignore[arg-type]
    else:
        pair = parse_keys(pem)[0]
    retired = found["retired"]
    return Entry(pair, datetime.fromisoformat(retired) if retired else None)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one command at a time change the file."""
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: str) -> None:
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # readable by its owner alone
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():  # the service may run as somebody else than this command
        before = path.stat()
        os.chown(draft, before.st_uid, before.st_gid)
        os.chmod(draft, before.st_mode & 0o777)
    os.replace(draft, path)
