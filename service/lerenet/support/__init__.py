"""The registry of support classes: original images and masks as truth, prototypes as a cache, revisions as names.

The service builds a `SupportRegistry` over a store, in a folder or a database, and a `PrototypeCache`. No tensor is
touched here: encoding and assessing come in as callables.
"""

from lerenet.support.answers import Change, ClassPage, RegisteredClass, ResolvedClass
from lerenet.support.audit import AuditTrail, RegistryChange, read_trail
from lerenet.support.backing import migrate_database, read_changes, verify_place
from lerenet.support.changes import UNSET, ParameterChanges, Unset
from lerenet.support.copying import Copied, copy_registry
from lerenet.support.freshness import saw_revision, seen_revision, watched
from lerenet.support.limits import Limits
from lerenet.support.ownership import Ownership
from lerenet.support.prototypes import CacheCounts, PrototypeCache
from lerenet.support.records import NAME_RULE, NormalRecord, Parameters, ShotRecord, SupportClass, is_name
from lerenet.support.registry import SupportRegistry
from lerenet.support.sqlite import SqliteStore
from lerenet.support.store import KEPT_REVISIONS, AssessmentRecord, SupportStore
from lerenet.support.stored import StoredClass, read_stored_classes
from lerenet.support.transfer import Imported, export_classes, import_classes
from lerenet.support.uploads import NormalUpload, ShotUpload
from lerenet.support.verify import VerifyReport, verify_store

__all__ = [
    "KEPT_REVISIONS",
    "NAME_RULE",
    "UNSET",
    "AssessmentRecord",
    "AuditTrail",
    "CacheCounts",
    "Change",
    "ClassPage",
    "Copied",
    "Imported",
    "Limits",
    "NormalRecord",
    "NormalUpload",
    "Ownership",
    "ParameterChanges",
    "Parameters",
    "PrototypeCache",
    "RegisteredClass",
    "RegistryChange",
    "ResolvedClass",
    "ShotRecord",
    "ShotUpload",
    "SqliteStore",
    "StoredClass",
    "SupportClass",
    "SupportRegistry",
    "SupportStore",
    "Unset",
    "VerifyReport",
    "copy_registry",
    "export_classes",
    "import_classes",
    "is_name",
    "migrate_database",
    "read_changes",
    "read_stored_classes",
    "read_trail",
    "saw_revision",
    "seen_revision",
    "verify_place",
    "verify_store",
    "watched",
]
