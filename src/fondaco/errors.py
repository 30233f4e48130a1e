"""The root of every error that Fondaco raises on purpose, and the exit codes of the commands.

Each room has its own `errors.py` with one class per meaning, all derived from `FondacoError`. The command line prints
such an error as one paragraph and leaves with its exit code; any other exception is a defect and keeps its traceback.
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the exit code of a `fondaco` command means; the same for all commands."""

    OK = 0
    """Done; or nothing had to be done."""
    FAILED = 1
    """The work could not be done, or a check found something wrong."""
    USAGE = 2
    """The command line itself is wrong: unknown option, missing argument."""
    REFUSED = 3
    """The input breaks a rule: a bad name, bad settings, a limit passed."""
    NOT_FOUND = 4
    """A repository, revision, tag, path, bucket or file that does not exist."""
    UNTRUSTED = 5
    """A signature, key, hash or expiry date does not hold: the data must not be used."""
    UNAVAILABLE = 6
    """A service does not answer or denies access; trying again later may help."""
    CONFLICT = 7
    """Somebody else changed the same thing meanwhile; run the command again."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; nothing half-done is visible."""


class FondacoError(Exception):
    """Something that Fondaco foresaw went wrong.

    `what` failed, `why`, and in `hint` what the reader can do about it; the message is "what: why. hint".
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what, why, hint)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        sentence = f"{self.what}: {self.why}" if self.why else self.what
        if not self.hint:
            return sentence
        return f"{sentence.rstrip('.')}. {self.hint}"

    @property
    def paragraph(self) -> str:
        """The message in whole sentences, for people."""
        problem = (f"{self.what}: {self.why}" if self.why else self.what).rstrip(".") + "."
        return f"{problem} {self.hint[0].upper()}{self.hint[1:].rstrip('.')}." if self.hint else problem
