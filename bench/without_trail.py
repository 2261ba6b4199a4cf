"""The service as it is, but for its audit trail: no event is added, and none is linked.

Only to be compared with.
"""

from records.audit_chain import AuditLinker
from storage.audit_trail import AuditTrail


def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""


AuditTrail.add = _nothing  # type: ignore[method-assign]
AuditLinker.run = _nothing  # type: ignore[method-assign]

from app import app as app
