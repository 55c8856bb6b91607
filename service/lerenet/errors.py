"""Every error LERENet raises on purpose, as one tree. It knows no HTTP: `api.errors` holds the map to statuses.

LERENetError                     code               when
├── RequestError                                    the caller can mend it
│   ├── MalformedRequest         malformed_request  broken multipart or JSON, a parameter outside its range
│   ├── BodyTooLarge             body_too_large     the body passes the byte limit
│   ├── UnsupportedImage         unsupported_image  not JPEG, PNG, BMP or single-page TIFF
│   ├── ImageTooLarge            image_too_large    pixels or a side over the limit
│   ├── UndecodableImage         undecodable_image  the right type, but truncated or damaged
│   ├── InvalidMask              invalid_mask       size, labels or depth of a mask; nothing marked
│   ├── InvalidSupport           invalid_support    unequal counts, no shots, a bad name
│   ├── LimitExceeded            limit_exceeded     more images, shots or classes than allowed
│   ├── NotAcceptable            not_acceptable     no such output format for this request
│   ├── UnknownClass             unknown_class      no class, revision or shot of that name
│   ├── ClassExists              class_exists       the name is taken by other content
│   ├── NoSupportClasses         no_support_classes nothing is registered yet
│   ├── PreconditionFailed       precondition_failed  a stale If-Match, or If-None-Match on a taken name
│   ├── Unauthorized             unauthorized       no key, or a wrong one
│   ├── Forbidden                forbidden          the key lacks the scope
│   └── QuotaExceeded            quota_exceeded     as many classes were made with the key as it may have
├── Unavailable                                     the same request may succeed later: `retry_after_s`
│   ├── RateExceeded             rate_exceeded      the key asks more often than it may
│   ├── QueueFull                queue_full         the device has as much work as it may hold
│   ├── Loading                  loading            weights are not on the device yet
│   ├── Draining                 draining           the service is stopping
│   ├── RegistryBehind           registry_behind    this replica's view of the registry is older than asked for
│   └── DeadlineExceeded         deadline_exceeded  the request waited past its deadline
├── DeviceFailed                 device_failed      the device is lost; only a restart helps
├── RegistryError                registry_error     the registry failed, on disk or in its database
│   ├── StorageFull              storage_full       no disk space for a write; what is registered goes on
│   ├── RegistryReadOnly         registry_read_only  nothing can be written; what is registered goes on
│   ├── RegistryUnreachable      registry_unreachable  the database cannot be asked; what is known goes on for a while
│   ├── IndexDamaged             index_damaged      the index is lost or damaged; the manifests restore it
│   └── ClassDamaged             class_damaged      a stored file of this class is damaged or lost; others go on
├── WeightsError                 weights_error      weights missing, damaged or of another layout
├── DatasetError                 dataset_error      a data set that cannot serve: missing, unpaired, unreadable
├── ServiceError                 service_error      a running service answered with an error or not at all
└── ConfigurationError           configuration_error  a setting that cannot work
"""

from __future__ import annotations

from collections.abc import Sequence


class LERENetError(Exception):
    """Base of the tree.

    Attributes:
        code: Stable, documented word for programs.
        pointer: Where in the request the fault lies, as a JSON pointer such as `/images/3`; None for the whole.
    """

    code = "error"

    def __init__(self, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


class RequestError(LERENetError):
    """The caller can mend it."""

    code = "bad_request"


class MalformedRequest(RequestError):
    """Broken multipart or JSON, or a parameter outside its range."""

    code = "malformed_request"


class BodyTooLarge(RequestError):
    """The body passes the byte limit."""

    code = "body_too_large"


class UnsupportedImage(RequestError):
    """Not one of the image types that are read."""

    code = "unsupported_image"


class ImageTooLarge(RequestError):
    """Pixels or a side over the limit."""

    code = "image_too_large"


class UndecodableImage(RequestError):
    """The right type, but truncated or damaged."""

    code = "undecodable_image"


class InvalidMask(RequestError):
    """Size, labels or depth of a mask, or nothing marked in it."""

    code = "invalid_mask"


class InvalidSupport(RequestError):
    """Unequal counts, no shots, or a name outside the rule."""

    code = "invalid_support"


class LimitExceeded(RequestError):
    """More images, shots or classes than allowed."""

    code = "limit_exceeded"


class NotAcceptable(RequestError):
    """No such output format for this request."""

    code = "not_acceptable"


class UnknownClass(RequestError):
    """No class, revision or shot of that name."""

    code = "unknown_class"


class ClassExists(RequestError):
    """The name is taken by other content."""

    code = "class_exists"


class NoSupportClasses(RequestError):
    """Nothing is registered yet."""

    code = "no_support_classes"


class PreconditionFailed(RequestError):
    """A stale `If-Match`, or `If-None-Match: *` on a taken name."""

    code = "precondition_failed"


class Unauthorized(RequestError):
    """No key, or a wrong one."""

    code = "unauthorized"


class Forbidden(RequestError):
    """The key lacks the scope."""

    code = "forbidden"


class QuotaExceeded(RequestError):
    """As many classes were made with the key as it may have."""

    code = "quota_exceeded"


class Unavailable(LERENetError):
    """The same request may succeed later.

    Attributes:
        retry_after_s: Forecast, in seconds, of when to ask again; None when nothing is known.
    """

    code = "unavailable"

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class RateExceeded(Unavailable):
    """The key asks more often than it may."""

    code = "rate_exceeded"


class QueueFull(Unavailable):
    """The device has as much work as it may hold."""

    code = "queue_full"


class Loading(Unavailable):
    """Weights are not on the device yet."""

    code = "loading"


class Draining(Unavailable):
    """The service is stopping."""

    code = "draining"


class RegistryBehind(Unavailable):
    """This replica's view of the registry is older than the request asks for."""

    code = "registry_behind"


class DeadlineExceeded(Unavailable):
    """The request waited past its deadline."""

    code = "deadline_exceeded"


class DeviceFailed(LERENetError):
    """The device is lost; only a restart helps."""

    code = "device_failed"


class RegistryError(LERENetError):
    """The registry failed, on disk or in its database."""

    code = "registry_error"


class StorageFull(RegistryError):
    """There is no disk space for this write; what is registered goes on."""

    code = "storage_full"


class RegistryReadOnly(RegistryError):
    """The registry takes no writes now; what is registered goes on."""

    code = "registry_read_only"


class RegistryUnreachable(RegistryError):
    """The registry's database cannot be asked now; what is known goes on for a while.

    Attributes:
        retry_after_s: When to ask again, in seconds; None where the same request may not be safe to send again.
    """

    code = "registry_unreachable"

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class IndexDamaged(RegistryError):
    """The index of the registry is lost or damaged; it is restored from the manifests."""

    code = "index_damaged"


class ClassDamaged(RegistryError):
    """A stored file of this class is damaged or lost; other classes go on."""

    code = "class_damaged"


class WeightsError(LERENetError):
    """Weights missing, damaged or of another layout."""

    code = "weights_error"


class DatasetError(LERENetError):
    """A data set that cannot serve a protocol or a training run.

    Attributes:
        faults: Where the whole of it was checked, everything that is wrong, a sentence each.
    """

    code = "dataset_error"

    def __init__(self, detail: str, *, faults: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.faults = tuple(faults)


class ServiceError(LERENetError):
    """A running service answered with an error, or not at all."""

    code = "service_error"


class ConfigurationError(LERENetError):
    """A setting that cannot work."""

    code = "configuration_error"
