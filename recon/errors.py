"""The errors a user can cause, each with the exit status of the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class DeltamuError(Exception):
    """An error whose message is written for the user: what it is, what was found, what to try."""

    exit_status: ClassVar[int] = 1


class InputError(DeltamuError, ValueError):
    """A file, a setting or an argument is wrong."""

    exit_status = 2


class ResourceError(DeltamuError, RuntimeError):
    """Not enough memory, disk or device."""

    exit_status = 3


class Cancelled(DeltamuError):
    """The user stopped the work; what was finished is kept."""

    exit_status = 130


@contextmanager
def naming(subject: str) -> Iterator[None]:
    """Begin the message of an InputError with what it is about, where it does not name that itself."""
    try:
        yield
    except InputError as error:
        if subject in str(error):
            raise
        raise InputError(f"{subject}: {error}") from error
