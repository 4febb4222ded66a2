"""The errors of mattelike: one tree, so that a caller can catch as much or as little as it wants.

::

    MattelikeError
    ├── UsageError (ValueError)           what was asked for makes no sense as it stands
    │   ├── PromptError                   a mark that cannot mean anything on this photo
    │   ├── ContextError                  a context that is broken, too new, or of another model
    │   └── SettingsError                 an unknown or impossible setting
    ├── PhotoError (ValueError)           a file or array that is not a photo we can use
    │   ├── UnsupportedPhotoError         a format that needs an extra, or that no part of us reads
    │   ├── BrokenPhotoError              truncated, empty or damaged
    │   └── PhotoTooLargeError            refused from its header, before decoding
    ├── ModelError                        a model that is missing, damaged or unknown
    │   ├── ModelNotFoundError
    │   └── ModelDamagedError             a file whose hash or keys are not those of its card
    ├── MissingExtraError (ImportError)   an optional package is not installed; says what to type
    ├── DeviceError                       the device asked for is not there
    ├── OutputError                       a result cannot be written
    └── MetricError (ValueError)          prediction and truth cannot be compared

Every message is one line that says what is wrong, with which file, and what to do.
"""

from __future__ import annotations


class MattelikeError(Exception):
    """Root of all errors raised on purpose by mattelike."""


class UsageError(MattelikeError, ValueError):
    """What was asked for makes no sense as it stands."""


class PromptError(UsageError):
    """A mark that cannot mean anything on its photo: empty, outside, contradictory."""


class ContextError(UsageError):
    """A context file that is broken, too new, or belongs to another model."""


class SettingsError(UsageError):
    """An unknown setting, or a value it cannot take."""


class PhotoError(MattelikeError, ValueError):
    """A file or array that is not a photo we can use."""


class UnsupportedPhotoError(PhotoError):
    """A format that needs an extra, or that mattelike does not read."""


class BrokenPhotoError(PhotoError):
    """A photo file that is truncated, empty or damaged."""


class PhotoTooLargeError(PhotoError):
    """A photo refused from its header, before its pixels are decoded."""


class ModelError(MattelikeError):
    """A model that is missing, damaged or unknown."""


class ModelNotFoundError(ModelError):
    """A model name nobody knows, or files that are not there."""


class ModelDamagedError(ModelError):
    """Model files whose hash, keys or shapes are not those of their card."""


class MissingExtraError(MattelikeError, ImportError):
    """An optional package is not installed.

    Args:
        package: The module that could not be imported, such as ``"torch"``.
        extra: The extra that brings it, such as ``"train"``.
        purpose: What it was needed for, in a few words.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'mattelike[{extra}]'")
        self.package = package
        self.extra = extra


class DeviceError(MattelikeError):
    """The device asked for is not there, or cannot run the model."""


class OutputError(MattelikeError):
    """A result cannot be written where it was asked for."""


class MetricError(MattelikeError, ValueError):
    """A prediction and a truth that cannot be compared."""


_OUT_OF_MEMORY = (
    *("out of memory", "bad_alloc", "bad alloc", "failed to allocate", "alloc_failed"),
    *("cannot allocate memory", "can't allocate memory"),
)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the machine or of a GPU, in whatever way a library says so (trap 67).

    Args:
        error: From numpy, onnxruntime, torch or libvips: few of them raise ``MemoryError``.
    """
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _OUT_OF_MEMORY)
