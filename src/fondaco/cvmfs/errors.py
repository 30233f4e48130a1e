"""What can go wrong with a CernVM-FS repository; one class, one meaning."""

from fondaco.errors import ExitCode, FondacoError


class CvmfsError(FondacoError):
    """Anything that this room raises on purpose."""


class BadPath(CvmfsError):
    """A path that no CernVM-FS repository can hold; rename the file."""

    exit_code = ExitCode.REFUSED


class BadName(CvmfsError):
    """A repository or tag name that CernVM-FS does not take; choose another one."""

    exit_code = ExitCode.REFUSED


class UnknownCodec(CvmfsError):
    """A way of compressing that this version does not know; take another one, or a newer version."""

    exit_code = ExitCode.REFUSED


class MalformedData(CvmfsError):
    """Bytes that are not what their place in the format promises; the object is damaged or foreign."""

    exit_code = ExitCode.UNTRUSTED


class VerificationFailed(CvmfsError):
    """A hash, signature, name or expiry that does not hold; nothing below it may be trusted."""

    exit_code = ExitCode.UNTRUSTED


class WhitelistExpired(VerificationFailed):
    """A whitelist whose time is over; who holds the master key must sign it again."""


class NotInRepository(CvmfsError):
    """A path, tag or revision that the repository does not have; look at its parent or list the tags."""

    exit_code = ExitCode.NOT_FOUND


class NotThatKind(CvmfsError):
    """A directory where a file is wanted, or the other way round; use the other operation."""

    exit_code = ExitCode.REFUSED


class ObjectMissing(CvmfsError):
    """An object or file that the store does not hold; the repository is incomplete or the address is wrong."""

    exit_code = ExitCode.NOT_FOUND


class StoreFailed(CvmfsError):
    """The store could not be read or written (network, permission, disk full); mend it and run again."""

    exit_code = ExitCode.UNAVAILABLE


class HashUnavailable(CvmfsError):
    """A hash algorithm of the format that this Python was built without; run it with another OpenSSL."""

    exit_code = ExitCode.UNAVAILABLE


class RepositoryMoved(CvmfsError):
    """Somebody else published in the meantime; nothing was changed, run again on the new revision."""

    exit_code = ExitCode.CONFLICT


class RepositoryBusy(CvmfsError):
    """Another publisher holds this repository; wait for it and run again."""

    exit_code = ExitCode.CONFLICT


class AlreadyExists(CvmfsError):
    """A repository, key or tag of this name is there already; choose another name or remove it first."""

    exit_code = ExitCode.CONFLICT


class KeyUnusable(CvmfsError):
    """A key file that is missing, unreadable or of the wrong kind; name the right folder or file."""

    exit_code = ExitCode.UNTRUSTED


class BadChange(CvmfsError):
    """A change set that cannot be applied, such as a file below a file; mend the change set."""

    exit_code = ExitCode.REFUSED


class BadArchive(CvmfsError):
    """A tar archive that is damaged, cut off or unsafe to take apart; mend it, nothing of it was published."""

    exit_code = ExitCode.REFUSED


class LimitExceeded(CvmfsError):
    """A size or count beyond what this format or this reader allows; the message names the limit."""

    exit_code = ExitCode.REFUSED


class MountUnavailable(CvmfsError):
    """FUSE is not there or refuses; install what the message names, or ask for access to /dev/fuse."""

    exit_code = ExitCode.UNAVAILABLE


class BadMountPoint(CvmfsError):
    """A place where nothing can be mounted; name an existing folder that nothing is mounted on."""

    exit_code = ExitCode.REFUSED


class NotCollectable(CvmfsError):
    """A repository whose old revisions are not to be removed, or not from here; the message says how to allow it."""

    exit_code = ExitCode.REFUSED


class RolledBack(VerificationFailed):
    """A source that shows an older or another revision than the replica had from it; nothing was changed."""
