"""What can go wrong while a bucket is published; one class, one meaning. What a user's key did wrong is a `Refusal`."""

from typing import ClassVar

from fondaco.errors import ExitCode, FondacoError


class SoftwareError(FondacoError):
    """Anything that this room raises on purpose."""


class BadSettings(SoftwareError):
    """The settings file in the bucket is wrong; the message names the line. The last good settings stay in force."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED


class BadArchive(SoftwareError):
    """An archive that is damaged or unsafe to unpack; nothing of it is published."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED


class BadEvent(SoftwareError):
    """A message that is no bucket event of a known shape; nothing is looked at because of it."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED


class LedgerUnusable(SoftwareError):
    """The ledger file cannot be opened or belongs to another repository; name the right file, or remove it."""
