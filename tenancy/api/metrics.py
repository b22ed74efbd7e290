"""What a Prometheus server may know: read from the catalog, so true of all processes.

Only what the caches do is of one process, and says of which.
"""

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Count
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from tenancy.api.cache_metrics import CacheCollector
from tenancy.board import BOARD
from tenancy.models import Operation, OperationStatus, Organization, OrganizationStatus


class CatalogCollector(Collector):
    """Organizations and operations by what is the matter with them."""

    def __init__(self, checks: dict[str, bool]) -> None:
        self._checks = checks

    def collect(self) -> Iterator[Metric]:
        """Yield every family; without a catalog only what can be said without one."""
        info = GaugeMetricFamily("tenantry_info", "The version that runs.", labels=["version"])
        info.add_metric([settings.VERSION], 1)
        yield info
        up = GaugeMetricFamily("tenantry_up", "Whether it can be reached.", labels=["part"])
        for part, good in self._checks.items():
            up.add_metric([part], int(good))
        yield up
        if self._checks["catalog"]:
            yield _organizations()
            yield _operations()


def _organizations() -> Metric:
    family = GaugeMetricFamily(
        "tenantry_organizations", "Organizations by status.", labels=["status"]
    )
    rows = Organization.objects.order_by().values_list("status").annotate(Count("pk"))
    counted = dict(rows)
    for status in OrganizationStatus.values:
        family.add_metric([status], counted.get(status, 0))
    return family


def _operations() -> Metric:
    family = GaugeMetricFamily(
        "tenantry_operations", "Open and failed operations by kind.", labels=["kind", "status"]
    )
    wanted = (OperationStatus.PENDING, OperationStatus.RUNNING, OperationStatus.FAILED)
    rows = Operation.objects.order_by().filter(status__in=wanted).values_list("kind", "status")
    for kind, status, count in rows.annotate(Count("pk")):
        family.add_metric([kind, status], count)
    return family


class RequestCollector(Collector):
    """Requests in the processes of this server, as the board has them."""

    def collect(self) -> Iterator[Metric]:
        """Yield what is in work, waits or runs beside, and how many were sent away."""
        totals = BOARD.totals()
        shed, lanes = totals.pop("shed"), totals.pop("lanes")
        connections, processes = totals.pop("connections"), totals.pop("processes")
        family = GaugeMetricFamily("tenantry_requests", "Requests by state.", labels=["state"])
        for state, count in totals.items():
            family.add_metric([state], count)
        yield family
        yield CounterMetricFamily("tenantry_requests_shed", "Sent away for want of room.", shed)
        yield GaugeMetricFamily(
            "tenantry_lanes", "Quick requests that are worked on at once.", lanes
        )
        yield GaugeMetricFamily("tenantry_connections", "Open connections of clients.", connections)
        yield GaugeMetricFamily("tenantry_processes", "Processes that take requests.", processes)


def registry(checks: dict[str, bool]) -> CollectorRegistry:
    """Return a registry for one scrape."""
    made = CollectorRegistry(auto_describe=False)
    made.register(CatalogCollector(checks))
    made.register(CacheCollector())
    made.register(RequestCollector())
    return made
