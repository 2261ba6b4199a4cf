"""The door to storage: `open_database()`, and what the rest of the service needs of it.

The queries are in `storage/queries.py`; how SQLite and PostgreSQL store is in `storage/sqlite/` and
`storage/postgres/`. PostgreSQL's part is loaded only where `DATABASE_URL` asks for it.
"""

from config import Config, StartError
from storage.audit_trail import AuditTrail as AuditTrail
from storage.consents import Consents as Consents
from storage.corrections import Corrections as Corrections
from storage.database import Database as Database
from storage.database import Session as Session
from storage.erasures import Erasures as Erasures
from storage.erasures import Receipt as Receipt
from storage.errors import DatabaseUnavailable as DatabaseUnavailable
from storage.personal_data import PersonalData as PersonalData
from storage.queries import Messages as Messages
from storage.queries import PositionTerms as PositionTerms
from storage.queries import TokenRevocations as TokenRevocations
from storage.rows import Applicant as Applicant
from storage.rows import Consent as Consent
from storage.rows import Correction as Correction
from storage.rows import InterviewKey as InterviewKey
from storage.rows import Message as Message
from storage.rows import Role as Role
from storage.rows import Terms as Terms
from storage.rows import position_digest as position_digest
from storage.sqlite.database import open_sqlite
from storage.times import as_clients_read as as_clients_read
from storage.times import stored_now as stored_now


def open_database(config: Config) -> Database:
    """Create the database of `DATABASE_URL`, or bring an existing one up to date.

    Raises:
        StartError: The URL or the database cannot be used.

    """
    if config.is_postgresql:
        try:
            from storage.postgres.database import open_postgres
        except ImportError as error:
            raise StartError(
                "DATABASE_URL asks for PostgreSQL, whose client is not installed:"
                " pip install -r requirements.txt."
            ) from error
        return open_postgres(config)
    return open_sqlite(config)
