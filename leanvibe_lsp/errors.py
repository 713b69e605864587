"""Every error a person can meet, in one tree.

LeanVibeError
├── UsageError              the request itself cannot be served: a bad argument, no such file
├── ModelError              there is no model that may be used
│   ├── ModelNotFound         nothing by that name, or not downloaded
│   ├── ModelFormatError      neither GGUF nor safetensors + config.json, or cut short
│   ├── ModelDamaged          a digest, a tensor, a shape is not what it should be
│   ├── ModelUnverified       the known answers did not come out
│   └── DownloadError         `pull` could not finish
├── BackendError            an engine that was asked for cannot run here
├── EngineError             the engine ran and failed
│   ├── Busy                  the queue is full
│   ├── Cancelled             somebody asked it to stop
│   ├── DeadlineExceeded      its time was up
│   ├── Incomplete            a structured answer was cut before it was whole
│   ├── ModelChanged          the prompt was written for a model that is not there any more
│   └── RemoteError           a server did not answer as it should
├── Withheld                what was asked may not leave this machine
└── ContextTooLarge         the question alone does not fit the model's window

A library's own exceptions are mapped to these where the library is called.
"""

from __future__ import annotations

from typing import ClassVar, Self


class LeanVibeError(Exception):
    """`message` says what happened, `next_step` what a person can do about it (may be empty)."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __copy__(self) -> Self:
        """The same error once more, whatever its own constructor wants."""
        copied = type(self).__new__(type(self), *self.args)
        vars(copied).update(vars(self))
        return copied

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".rstrip()


class UsageError(LeanVibeError):
    """The request itself cannot be served."""

    exit_code = 2


class ModelError(LeanVibeError):
    """There is no model that may be used."""

    exit_code = 3


class ModelNotFound(ModelError):
    """Nothing by that name, or it has not been downloaded."""


class ModelFormatError(ModelError):
    """The file or folder is not a model of a kind that is accepted, or it is cut short."""


class ModelDamaged(ModelError):
    """A digest, a tensor or a shape is not what it should be."""


class ModelUnverified(ModelError):
    """The model loaded, and does not give the known answers."""


class DownloadError(ModelError):
    """A download did not finish; what came so far is kept for the next try."""

    retryable = True


class BackendError(LeanVibeError):
    """An engine that was asked for by name cannot run here."""

    exit_code = 3


class EngineError(LeanVibeError):
    """The engine ran and failed."""


class Busy(EngineError):
    """The queue is full; nothing was started."""

    retryable = True


class Cancelled(EngineError):
    """Somebody asked it to stop."""

    exit_code = 130


class DeadlineExceeded(EngineError):
    """The time for this request was up."""

    retryable = True


class Incomplete(EngineError):
    """A structured answer ended before it was whole; half a document is never given."""


class ModelChanged(EngineError):
    """The prompt was written for a model that is not loaded any more; no other model is given it."""

    retryable = True


class RemoteError(EngineError):
    """A server could not be reached, refused, or said what it should not."""

    retryable = True


class Withheld(LeanVibeError):
    """What was asked quotes a file that may not leave this machine; nothing was sent."""

    exit_code = 2


class ContextTooLarge(LeanVibeError):
    """The question alone does not fit the model's window."""

    exit_code = 2
