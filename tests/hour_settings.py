"""Settings with which rows may be believed for an hour: no operator may start a service so."""

from config.settings import *  # noqa: F403 -- all of them, and one more

SILENCED_SYSTEM_CHECKS = ["accounts.E007"]
