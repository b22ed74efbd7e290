"""What other parts of the product hear of an organization's life, inside the transaction.

Each is sent with `organization`, the row.
"""

from django.dispatch import Signal

# The creation failed and its row is about to go: nothing that it brought along may stay.
creation_undone = Signal()
# It is deleted, though it can be restored: nobody may stay signed in.
organization_deleted = Signal()
# Its data is gone: so is what is known about its people through it. Who hears of it returns how
# many people that were, for the erasure record.
organization_purged = Signal()
