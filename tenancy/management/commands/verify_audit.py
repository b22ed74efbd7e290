"""Verify the audit: every chain recomputed, and compared with heads that were kept elsewhere."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from tenancy.audit_chain import Verdict, chain_keys, verify_chain
from tenancy.exceptions import NotFound, OrganizationNotFound, ValidationFailed
from tenancy.management.reporting import Report, ReportingCommand, counted, find_organization
from tenancy.models import AuditChain, Organization

SERVICE = AuditChain.SERVICE
# The chains of one query for the slugs of their organizations.
SLUGS_BATCH = 500
Kept = dict[str, set[str]]


class Command(ReportingCommand):
    """Verify all chains, one organization's, or that of the service."""

    help = (
        "Verify the audit. Print the head of every chain: keep this output elsewhere, and give it "
        "back with --expect; so even a chain that was rewritten from its beginning is found."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whose chain, and heads that were kept."""
        parser.add_argument("organization", nargs="?", metavar="SLUG", help="Slug or id; else all.")
        parser.add_argument(
            "--service", action="store_true", help="The chain of what concerns no organization."
        )
        parser.add_argument(
            "--expect", action="append", default=[], metavar="SLUG=HASH",
            help=(
                "A head that the chain had earlier; “service=HASH” for the service's; or the name "
                "of a file with what an earlier run with --json has printed. May be repeated."
            ),
        )  # fmt: skip

    def act(
        self, *, organization: str | None, service: bool, expect: list[str], **options: Any
    ) -> Report:
        """Verify and say which chains are whole, which are broken, and where."""
        kept = _read_kept(expect)
        wanted = [] if organization is None else [_key(organization)]
        wanted += [SERVICE] * service
        verdicts = [verify_chain(key, kept=kept.get(key, ())) for key in wanted or _all(kept)]
        slugs = _slugs(verdict.key for verdict in verdicts)
        broken = [verdict for verdict in verdicts if not verdict.is_whole]
        text = "\n".join(_line(verdict, slugs) for verdict in [*broken, *_whole(verdicts)])
        return Report(
            {"broken": len(broken), "chains": [_represent(each, slugs) for each in verdicts]},
            text or "There are no events yet.",
            f"{counted(len(broken), 'chain')} of the audit broken." if broken else "",
        )


def _whole(verdicts: list[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.is_whole]


def _all(kept: Kept) -> list[str]:
    """Return every chain, and those of which a head was kept: they may be gone."""
    return sorted({*chain_keys(), *kept})


def _key(text: str) -> str:
    """Return the chain of an organization; one that was purged is found by its id."""
    try:
        return str(find_organization(text).pk)
    except OrganizationNotFound:
        key = _as_id(text)
        if key is not None and AuditChain.objects.filter(key=key).exists():
            return key
        raise


def _read_kept(given: Iterable[str]) -> Kept:
    kept: Kept = {}
    for each in given:
        name, separator, head = each.partition("=")
        pairs = [(_kept_key(name), head)] if separator else _read_file(Path(each))
        for key, value in pairs:
            kept.setdefault(key, set()).add(value.strip().lower())
    return kept


def _kept_key(name: str) -> str:
    return SERVICE if name == SERVICE else _key(name)


def _read_file(path: Path) -> list[tuple[str, str]]:
    try:
        chains = json.loads(path.read_text())["chains"]
        return [(str(chain["chain"]), str(chain["head"])) for chain in chains if chain["head"]]
    except OSError as error:
        raise NotFound(f"“{path}” cannot be read, and is not SLUG=HASH.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValidationFailed(f"“{path}” is not what verify_audit --json has printed.") from error


def _slugs(keys: Iterable[str]) -> dict[str, str]:
    """Return the slug, or what stands for it, of the organizations there are or were."""
    named: dict[str, str] = {}
    pending = [key for key in keys if key != SERVICE]
    while pending:
        batch, pending = pending[:SLUGS_BATCH], pending[SLUGS_BATCH:]
        rows = Organization.objects.filter(pk__in=[key for key in batch if _as_id(key) == key])
        named |= {str(pk): slug or "" for pk, slug in rows.values_list("pk", "slug")}
    return named


def _as_id(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _represent(verdict: Verdict, slugs: dict[str, str]) -> dict[str, Any]:
    broken = verdict.broken
    return {
        "chain": verdict.key,
        "organization": slugs.get(verdict.key) or None,
        "verified": verdict.is_whole,
        "events": verdict.events,
        "head": verdict.head,
        "broken": broken
        and {
            "flaw": str(broken.flaw),
            "sequence": broken.sequence,
            "id": broken.event_id,
            "detail": broken.detail,
        },
    }


def _line(verdict: Verdict, slugs: dict[str, str]) -> str:
    slug = slugs.get(verdict.key)
    name = f"{slug} ({verdict.key})" if slug else verdict.key
    if verdict.broken is None:
        return f"{name}: whole, {counted(verdict.events, 'event')}, head {verdict.head or '-'}"
    broken = verdict.broken
    row = f", id {broken.event_id}" if broken.event_id is not None else ""
    return f"{name}: {broken.flaw.upper()} at sequence {broken.sequence}{row}. {broken.detail}"
