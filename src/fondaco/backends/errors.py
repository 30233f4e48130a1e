"""What can go wrong with an outside service; one class, one meaning."""

from typing import ClassVar

from fondaco.errors import ExitCode, FondacoError


class BackendError(FondacoError):
    """Anything that an outside service did to us."""


class KeyMissing(BackendError):
    """The bucket holds no object of this key; look again, it may have been deleted meanwhile."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOT_FOUND


class BucketMissing(BackendError):
    """There is no such bucket; create it or correct its name."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOT_FOUND


class AccessDenied(BackendError):
    """The object store knows us and says no, or does not know us; correct the keys or the bucket's policy."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE


class Unavailable(BackendError):
    """The object store did not give a whole answer in spite of retries; try again later."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE


class RequestRefused(BackendError):
    """The object store will never serve this request as it is (a customer-held key, an impossible name)."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED


class ObjectChanged(BackendError):
    """An object was replaced while it was being read; start again with the new version."""

    exit_code: ClassVar[ExitCode] = ExitCode.CONFLICT
