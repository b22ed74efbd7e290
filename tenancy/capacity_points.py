"""The points between which `plan_capacity` interpolates: written by `python -m benchmarks.plots`.

Each: tenants on one server; ms to create one; ms to read a document of a tenant in use; seconds of
check_tenants, and of starting mongod again; MiB of mongod. Reading is the tenth percentile of what
it took by the clock, the other times are processor time: what is least changed by other work on the
machine.
"""

from tenancy.names import Kind

# fmt: off
POINTS: dict[Kind, tuple[tuple[int, float, float, float, float, float], ...]] = {
    "shared": (
        (10, 20.0, 0.34, 0.02, 1.13, 138),
        (100, 24.7, 0.35, 0.04, 0.97, 134),
        (1000, 22.9, 0.35, 0.11, 0.95, 143),
        (5000, 20.8, 0.37, 0.36, 0.96, 148),
        (10000, 18.2, 0.35, 0.75, 1.0, 153),
        (20000, 20.1, 0.34, 1.55, 0.98, 162),
    ),
    "collection": (
        (10, 42.6, 0.37, 0.02, 1.12, 136),
        (100, 25.0, 0.33, 0.1, 1.0, 148),
        (1000, 29.4, 0.34, 0.62, 1.9, 266),
        (5000, 51.3, 0.35, 3.42, 5.81, 721),
        (9600, 71.7, 0.32, 6.71, 9.97, 960),
    ),
    "database": (
        (10, 24.0, 0.31, 0.04, 1.09, 136),
        (100, 22.7, 0.34, 0.17, 1.07, 148),
        (1000, 31.0, 0.35, 1.27, 2.27, 266),
        (5000, 70.9, 0.38, 6.59, 12.27, 821),
        (9600, 113.9, 0.34, 12.73, 46.97, 997),
    ),
    "cluster": (
        (1, 69.3, 0.46, 0.16, 0.74, 130),
        (2, 82.8, 0.39, 0.04, 0.73, 132),
        (4, 92.8, 0.44, 0.05, 0.71, 134),
        (8, 94.6, 0.54, 0.1, 0.7, 136),
    ),
}
