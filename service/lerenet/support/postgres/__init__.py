"""The registry in PostgreSQL, for several replicas. Needs the extra `postgres`; nothing else imports its libraries.

`support.backing` imports this package when a database is named, and only then.
"""

from lerenet.support.postgres.check import check_database
from lerenet.support.postgres.database import Database
from lerenet.support.postgres.ownership import DatabaseOwnership
from lerenet.support.postgres.prototypes import DatabasePrototypes
from lerenet.support.postgres.schema import SCHEMA_VERSION, migrate
from lerenet.support.postgres.store import STALE_S, PostgresStore
from lerenet.support.postgres.trail import DatabaseTrail

__all__ = [
    "SCHEMA_VERSION",
    "STALE_S",
    "Database",
    "DatabaseOwnership",
    "DatabasePrototypes",
    "DatabaseTrail",
    "PostgresStore",
    "check_database",
    "migrate",
]
