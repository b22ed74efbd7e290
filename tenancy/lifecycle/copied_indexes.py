"""The indexes of a copy, built while changes go on being applied."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Thread

from tenancy.exceptions import InvalidInput, PlacementUnsupported
from tenancy.lifecycle.copies import CopyRun
from tenancy.lifecycle.indexes import declared_indexes
from tenancy.mongo import indexes
from tenancy.mongo.clients import ping

BUILD_MAX_SECONDS = 6 * 3_600.0
# So often the target is asked whether it is there: a build may take hours.
TARGET_SECONDS = 2.0


def build_copied_indexes(copy: CopyRun, *, expiring: bool = False) -> None:
    """Build the declared indexes at the target, while changes go on being applied.

    Those by which documents expire are built after the switch, when asked for: before, what the
    target has removed already would differ from the source.
    """
    if copy.target.kind == "shared":
        return
    for logical, wanted in declared_indexes(copy.run.organization_id).items():
        specs = [spec for spec in wanted if (spec.ttl_seconds is not None) == expiring]
        if not specs:
            continue
        building = _in_background(
            partial(
                indexes.build_indexes, copy.target, logical, specs,
                timeout_seconds=BUILD_MAX_SECONDS,
            )
        )  # fmt: skip
        _keep_up(copy, building)
        try:
            building.result()
        except InvalidInput as error:  # the documents are against it: again is no use
            raise PlacementUnsupported(
                f"An index of “{logical}” cannot be built there: {error.detail} It is one of "
                f"{', '.join(spec.name for spec in specs)}.",
                hint="Remove the index, or mend the documents, and begin again.",
            ) from error


def _keep_up(copy: CopyRun, building: "Future[object]") -> None:
    """Apply changes until it is built. Raises ClusterUnavailable if the target does not answer."""
    target_seen_at = 0.0
    while not building.done():
        if "switched_at_ms" in copy.run.operation.state:
            copy.catch_late()
        else:
            copy.catch_up()
        if time.monotonic() - target_seen_at > TARGET_SECONDS:
            with copy.run.guarded():
                ping(copy.target.uri)
            target_seen_at = time.monotonic()


def _in_background(do: Callable[[], object]) -> "Future[object]":
    """Begin what may never end; the process does not wait for it."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(do())
        except Exception as error:  # noqa: BLE001 -- `result()` raises it
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
