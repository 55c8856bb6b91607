"""The version of the tables: checked by every replica that starts, brought up to date by the first that may."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import errors as states
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from lerenet.errors import ConfigurationError
from lerenet.support.postgres.database import Connection, Database
from lerenet.support.postgres.faults import database_faults

SCHEMA_VERSION = "0003"
"""The newest file in `migrations/versions`."""

VERSION_TABLE = "lerenet_version"

LOCK_SPACE = 0x4C4552
"""Sets our advisory locks apart from those of others in the same database."""

_MIGRATION = 0
_PATIENCE = "10min"


def stored_version(connection: Connection) -> str | None:
    """Version of the tables; None where there are none."""
    row = connection.execute("SELECT to_regclass(%s) IS NULL", (VERSION_TABLE,)).fetchone()
    if row is None or row[0]:
        return None
    version = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608
    return None if version is None else str(version[0])


def require_tables(database: Database) -> None:
    """See to it that the tables are of the version of this code, and make them so where the user may.

    Raises:
        ConfigurationError: They are newer, or older and this user may not change them.
        RegistryError: The database cannot be reached.
    """
    with database.connection() as connection:
        version = stored_version(connection)
    if version != SCHEMA_VERSION:
        migrate(database)


def migrate(database: Database) -> tuple[str | None, str]:
    """Bring the tables up to the version of this code; replicas that start at once take turns.

    Returns:
        The version before, None for an empty database, and the one now.

    Raises:
        ConfigurationError: The tables are newer than this code, or this user may not change them.
        RegistryError: The database cannot be reached.
    """
    with database.own_connection() as connection, database_faults():
        connection.autocommit = False
        try:
            return _migrate(connection), SCHEMA_VERSION
        except DBAPIError as err:
            if isinstance(err.orig, states.InsufficientPrivilege):
                raise ConfigurationError(
                    f"the registry's tables are not of version {SCHEMA_VERSION}, and the database user may not change "
                    "them: run `lerenet registry migrate` with LERENET_DATABASE_URL naming a user who may"
                ) from err
            raise (err.orig or err) from err


def _migrate(connection: Connection) -> str | None:
    """All versions that are missing, in one transaction, which is also the lock."""
    config = Config()
    config.set_main_option("script_location", "lerenet.support.postgres:migrations")
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=StaticPool)
    with engine.begin() as transaction:
        transaction.exec_driver_sql(f"SET LOCAL statement_timeout = '{_PATIENCE}'")
        transaction.exec_driver_sql("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_SPACE, _MIGRATION))
        before = stored_version(connection)
        _refuse_newer(config, before)
        config.attributes["connection"] = transaction
        command.upgrade(config, "head")
    return before


def _refuse_newer(config: Config, version: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise ConfigurationError(
            f"the registry's tables are of version {version}, and this release knows {SCHEMA_VERSION} at the newest: "
            "run the release that made them, or a later one"
        )
