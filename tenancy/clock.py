"""The clock for ages and leases: it counts the time that a machine was suspended, too."""

import time

# Linux has a clock that goes on while the machine sleeps; elsewhere the next best one does.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

# Clocks of different machines may differ by this much (DESIGN: bounded staleness).
CLOCK_SKEW_SECONDS = 0.1
# What was sent right before a move's pause has arrived so long after its beginning, by the mover's
# clock. What has not is late, and carried over.
PAUSE_GRACE_SECONDS = 0.04


def seconds() -> float:
    """Return seconds since some moment in the past; it never goes back."""
    return time.clock_gettime(_CLOCK)
