"""What can go wrong while services run in a folder."""

from typing import ClassVar

from fondaco.errors import ExitCode, FondacoError


class ProgramMissingError(FondacoError):
    """The program of a service is not installed."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE


class ServiceFailedError(FondacoError):
    """A service ended by itself, or was not ready in time; the end of its log is in `why`."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE


class FolderInUseError(FondacoError):
    """Another process runs its services in this folder."""

    exit_code: ClassVar[ExitCode] = ExitCode.CONFLICT


class DemoFailedError(FondacoError):
    """A step of the demonstration did not end as it must."""
