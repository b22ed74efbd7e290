"""Rows of a second server process: what it is worth beside one."""

from collections.abc import Callable, Iterator

from benchmarks.comparison import Pace
from benchmarks.core_shares import SharesUnavailable
from benchmarks.figures import NO_BAR, Bar, Figure
from benchmarks.processes import Wanted, run

ROUTES = ("organization", "read by id", "list 100")
# Of a core: two processes, `mongod` and the client together take less than two cores then.
SHARE = 0.4
SECOND_MIN = 1.6


def second_process(pace: Pace, say: Callable[[str], None]) -> Iterator[Figure]:
    """Answer with one process and with two, each of which has the same share of a core.

    Where processes cannot be limited, they and the client take each other's cores: then there is no
    bar, as it would be one for the machine.
    """
    wanted = Wanted(routes=ROUTES, seconds=pace.seconds, rounds=max(1, pace.rounds // 2))
    try:
        rows, bar = run(Wanted(**{**vars(wanted), "share": SHARE})), Bar(at_least=SECOND_MIN)
        cores = f"{SHARE:g} each"
    except SharesUnavailable as error:
        say(f"Two processes beside one, on the cores of client and mongod, without a bar: {error}")
        rows, bar = run(wanted), NO_BAR
        cores = "shared"
    for one, two in zip(rows[::2], rows[1::2], strict=True):
        yield Figure(
            f"two processes beside one: {two['route']}", two["ratio"], tuple(two["spread"]), bar,
            absolutes={
                "cores": cores, "per second": two["rate"], "one": one["rate"],
                **{name: two[name] for name in ("server", "mongod", "client")},
            },
        )  # fmt: skip
