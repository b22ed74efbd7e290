"""What `serve` says of its size at its start."""

import os

from django.conf import settings

from tenancy.mongo.clients import pool_size


def size_of_service() -> str:
    """Return lines on processes, threads, line and pools; and what would use the other cores."""
    processes, threads = settings.TENANTRY_PROCESSES, settings.TENANTRY_THREADS
    many = "es" if processes > 1 else ""
    queue, hashers = settings.TENANTRY_QUEUE, settings.ACCOUNTS_HASHERS
    web = f"{processes} process{many} x {threads} threads, {queue} waiting in each"
    pools = f"{pool_size()} connections to each cluster, {catalog_connections()} to the catalog"
    lines = [
        f"  Web      {web}; argon2: {hashers} at once",
        f"  Pools    at most {pools}, for each process",
    ]
    is_counted_in_memory = settings.RATE_LIMITS and not settings.REDIS_URL
    if is_counted_in_memory and processes > 1:
        lines.append(f"  Limits   each process counts its own: up to {processes} times as much")
    elif is_counted_in_memory and (os.cpu_count() or 1) > 1:
        lines.append(
            "  Limits   counted in memory, so there is one process; set REDIS_URL, or "
            "TENANTRY_PROCESSES, to use more cores"
        )
    return "\n".join(lines)


# For the health routes, and what runs in the background of a process.
SPARE_CATALOG_CONNECTIONS = 4


def catalog_connections() -> int:
    """Return how many connections to the catalog one web process opens at most."""
    return 2 * int(settings.TENANTRY_THREADS) + SPARE_CATALOG_CONNECTIONS
