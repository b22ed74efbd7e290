"""What other parts of the product hear of an organization's life, inside the transaction.

Each is sent with `organization`, the row.
"""

from django.dispatch import Signal

# The creation failed and its row is about to go: nothing that it brought along may stay.
creation_undone = Signal()
# It is deleted, though it can be restored: nobody may stay signed in.
organization_deleted = Signal()
# What it asks of its people is another: nobody may go on by what it asked before.
organization_policy_changed = Signal()
# Its data is gone: so is what is known about its people through it. Who hears of it returns how
# many people that were, for the erasure record.
organization_purged = Signal()
# The service has a moment, every few minutes and perhaps in several processes at once: whoever
# keeps rows that lapse removes some. Without an organization, outside of a transaction.
housekeeping = Signal()
# The first encryption key is a new one: whoever keeps something encrypted encrypts it anew, and
# returns how many values that were. Sent without an organization.
encryption_key_changed = Signal()
