"""Time `check_tenants` over thousands of tenants with nothing wrong, on a mongod of its own.

    python -m benchmarks.doctor_scale --shared 7000 --collection 2500 --database 500

The population is written in bulk, past the product, as the product would have left it: `main`
with a document, and an index for every tenth tenant with collections of its own.
"""

import argparse
import os
import resource
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

DOCUMENTS = 3
INDEXED_EVERY = 10
CREATORS = 4
BATCH = 2_000


@contextmanager
def stage(folder: Path) -> Iterator[str]:
    """Start a mongod and set Django up with an empty catalog; yield the URI."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the mongod inherits it
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings", "TENANTRY_HOME": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/catalog.sqlite3", "TENANCY_DATABASE": "tenants",
        "TENANCY_NAMING": "id",
    }  # fmt: skip
    from benchmarks.local_processes import start_mongod

    server = start_mongod(folder / "mongod")
    os.environ["MONGODB_URI"] = server.uri
    try:
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield server.uri
    finally:
        server.stop(Event())


def populate(uri: str, counts: dict[str, int]) -> None:
    """Write catalog rows and documents."""
    from pymongo import MongoClient

    with MongoClient[dict[str, Any]](uri, w=1) as client, ThreadPoolExecutor(CREATORS) as pool:
        for kind, count in counts.items():
            began = time.perf_counter()
            ids = [uuid.uuid4() for _ in range(count)]
            write_rows(kind, ids)
            if kind == "shared":
                write_shared(client, ids)
            else:
                list(pool.map(partial(write_own, client, kind), range(count), ids))
            print(f"{count} tenants of kind {kind} made in {time.perf_counter() - began:.1f} s")


def write_rows(kind: str, ids: list[uuid.UUID]) -> None:
    """Write the catalog rows of tenants."""
    from tenancy.models import (
        Cluster,
        Collection,
        Index,
        Organization,
        Placement,
        Plan,
        SlugReservation,
    )

    cluster, _ = Cluster.objects.get_or_create(alias=Cluster.DEFAULT)
    plan, _ = Plan.objects.get_or_create(code=Plan.DEFAULT)
    rows = [
        Organization(pk=each, name=each.hex, slug=f"t-{each.hex}", plan=plan, status="active")
        for each in ids
    ]
    insert(rows)
    insert([SlugReservation(slug=row.slug, organization=row) for row in rows])
    insert(
        [
            Placement(organization=row, kind=kind, cluster=cluster, namespace=f"org_{row.pk.hex}")
            for row in rows
        ]
    )
    mains = insert([Collection(organization=row, name="main") for row in rows])
    insert([Index(collection=each, name="n_1", keys=[["n", 1]]) for each in mains[::INDEXED_EVERY]])


def insert(rows: list[Any]) -> list[Any]:
    """Write rows of one model in bulk: what a benchmark may, and the product never does."""
    return list(type(rows[0]).objects.bulk_create(rows, BATCH))


def write_shared(client: Any, ids: list[uuid.UUID]) -> None:
    """Write documents of tenants into the shared collection."""
    from bson import Binary

    documents = [
        {"_id": {"o": Binary(each.bytes, 4), "c": "main", "k": k}, "n": k}
        for each in ids
        for k in range(DOCUMENTS)
    ]
    client["tenants"]["shared"].insert_many(documents)


def write_own(client: Any, kind: str, number: int, each: uuid.UUID) -> None:
    """Write documents of one tenant into a collection of its own."""
    name = f"org_{each.hex}"
    own = client["tenants"][name] if kind == "collection" else client[name]["main"]
    own.insert_many([{"_id": k, "n": k} for k in range(DOCUMENTS)])
    if number % INDEXED_EVERY == 0:
        own.create_index("n")


def main() -> None:
    """Populate, examine three times, and print the seconds of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    for kind, count in {"shared": 7_000, "collection": 2_500, "database": 500}.items():
        parser.add_argument(f"--{kind}", type=int, default=count)
    counts = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as uri:
        populate(uri, {kind: count for kind, count in counts.items() if count})
        from tenancy.doctor import check_tenants

        for attempt in ("first", "second", "third"):
            began, cpu = time.perf_counter(), time.process_time()
            found = check_tenants(by="command:benchmark")
            seconds, busy = time.perf_counter() - began, time.process_time() - cpu
            codes = sorted({each.code for each in [*found.findings, *found.warnings]})
            print(
                f"{attempt}: {seconds:.2f} s ({busy:.2f} s of CPU here), "
                f"{found.organizations} organizations, {found.collections} collections, "
                f"{len(found.findings)} findings, {len(found.warnings)} warnings {codes}"
            )


if __name__ == "__main__":
    main()
