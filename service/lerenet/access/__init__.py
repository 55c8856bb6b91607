"""Who may: hashed API keys in a file, what each may do, and how often. Knows no HTTP."""

from lerenet.access.file import change_keys, read_keys, start_key_file
from lerenet.access.keys import SCOPES, IssuedKey, KeyRecord, Scope, issue_key
from lerenet.access.rates import Rates, Standing
from lerenet.access.ring import KeyRing

__all__ = [
    "SCOPES",
    "IssuedKey",
    "KeyRecord",
    "KeyRing",
    "Rates",
    "Scope",
    "Standing",
    "change_keys",
    "issue_key",
    "read_keys",
    "start_key_file",
]
