"""API keys: what is kept of one, and how a new one is made.

A key reads `lere_<8 hex>_<43 characters>`: a word that secret scanners know, a part for people, and 256 random bits.
Only a sha256 is kept. Nobody can try out 2^256 secrets, so a slow hash would cost each request and add nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Scope = Literal["segment", "register", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

MARK = "lere"
N_PREFIX_BYTES = 4
N_SECRET_BYTES = 32

Count = Annotated[int, Field(ge=1)]


class KeyRecord(BaseModel):
    """A key as its file holds it.

    Attributes:
        prefix: The part that is shown, such as `lere_1f0c9a2e`; names the key in logs.
        name: What it is for, in the operator's words.
        sha256: Hex digest of the whole key.
        scopes: What it may do; `admin` is all of it.
        created_at: With its offset from UTC.
        expires_at: From when it is refused; None for never.
        revoked_at: Since when it is refused; None while it is not.
        max_classes: How many classes made with it may exist at a time; None for as many as the service takes.
        requests_per_minute: How many are answered, in the long run and at once; None for any number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: Annotated[str, Field(pattern=rf"^{MARK}_[0-9a-f]{{{2 * N_PREFIX_BYTES}}}$")]
    name: Annotated[str, Field(max_length=100)] = ""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", repr=False)]
    scopes: frozenset[Scope]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    max_classes: Count | None = None
    requests_per_minute: Count | None = None

    def state_at(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Whether the key is taken at a time, and why not."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    def may(self, scopes: Collection[Scope]) -> bool:
        """Whether the key may do what any of these scopes allows."""
        return "admin" in self.scopes or not self.scopes.isdisjoint(scopes)


@dataclass(frozen=True)
class IssuedKey:
    """A new key.

    Attributes:
        secret: The whole key, which exists nowhere else.
        record: What is kept of it.
    """

    secret: str = field(repr=False)
    record: KeyRecord


def issue_key(
    name: str,
    scopes: Collection[Scope],
    *,
    now: datetime | None = None,
    valid_for: timedelta | None = None,
    max_classes: int | None = None,
    requests_per_minute: int | None = None,
) -> IssuedKey:
    """A key from the system's randomness; arguments as the attributes of `KeyRecord`, `valid_for` None for ever."""
    created_at = datetime.now(UTC) if now is None else now
    prefix = f"{MARK}_{secrets.token_hex(N_PREFIX_BYTES)}"
    secret = f"{prefix}_{secrets.token_urlsafe(N_SECRET_BYTES)}"
    record = KeyRecord(
        prefix=prefix,
        name=name,
        sha256=digest(secret),
        scopes=frozenset(scopes),
        created_at=created_at,
        expires_at=None if valid_for is None else created_at + valid_for,
        max_classes=max_classes,
        requests_per_minute=requests_per_minute,
    )
    return IssuedKey(secret, record)


def digest(secret: str) -> str:
    """Hex sha256 of a key."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
