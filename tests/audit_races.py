"""Many events at once, in a process of the product: for whatever catalog it has."""

import json
import threading

from django.db import connection, transaction

from tenancy import lifecycle
from tenancy.audit import record_event
from tenancy.audit_chain import verify_chain
from tenancy.models import AuditEvent
from tests.patience import wait_long_for_locks

THREADS = 16
SECONDS = 120


def _record(number, organizations, events, barrier, failures):
    barrier.wait(SECONDS)
    try:
        for count in range(events):
            with transaction.atomic():
                # Two chains in one transaction are locked in the order of their keys.
                for organization in sorted(organizations, key=lambda each: str(each.pk)):
                    record_event(organization, "thing.done", by=f"user:{number}", count=count)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the test shows it
        failures.append(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def run(events):
    """Record events from many threads: half of them for one organization, half for two."""
    wait_long_for_locks()
    first = lifecycle.create_organization("First", by="command:test")
    second = lifecycle.create_organization("Second", by="command:test")
    before = AuditEvent.objects.count()
    barrier, failures = threading.Barrier(THREADS), []
    threads = [
        threading.Thread(
            target=_record,
            args=(number, [first, second][: 1 + number % 2], events, barrier, failures),
        )
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    verdicts = [verify_chain(str(each.pk)) for each in (first, second)]
    return json.dumps(
        {
            "failures": failures,
            "recorded": AuditEvent.objects.count() - before,
            "whole": [verdict.is_whole for verdict in verdicts],
            "events": [verdict.events for verdict in verdicts],
        }
    )
