"""What a Prometheus server may know of the caches of the process that it reached."""

import os
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tenancy import invalidation
from tenancy.caching import Counts, all_counts

LABELS = ["cache", "process"]
MESSAGE_LABELS = ["what", "process"]
COUNTERS = {
    "hits": "Asked for and there.",
    "misses": "Asked for and read from where it is kept.",
    "waits": "Asked for while another thread was reading it.",
    "evictions": "Dropped for want of room.",
}
GAUGES = {"entries": "How many there are.", "max_entries": "How many there may be."}


class CacheCollector(Collector):
    """The caches of this process: others have their own, and their own figures."""

    def collect(self) -> Iterator[Metric]:
        """Yield a family for each figure, with a sample for each cache."""
        counts = all_counts()
        for field, text in COUNTERS.items():
            yield _fill(CounterMetricFamily(f"tenantry_cache_{field}", text, labels=LABELS), counts)
        for field, text in GAUGES.items():
            yield _fill(GaugeMetricFamily(f"tenantry_cache_{field}", text, labels=LABELS), counts)
        yield _messages()


def _messages() -> Metric:
    family = CounterMetricFamily(
        "tenantry_cache_messages", "Changes told and heard through Redis.", labels=MESSAGE_LABELS
    )
    for what, count in invalidation.counts().items():
        family.add_metric([what, str(os.getpid())], count)
    return family


def _fill(
    family: CounterMetricFamily | GaugeMetricFamily, counts: dict[str, Counts]
) -> CounterMetricFamily | GaugeMetricFamily:
    field = family.name.removeprefix("tenantry_cache_")
    for name, count in counts.items():
        family.add_metric([name, str(os.getpid())], getattr(count, field))
    return family
