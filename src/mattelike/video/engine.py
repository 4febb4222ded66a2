"""PyAV, which carries FFmpeg in its wheels: asked for when a clip is, never before."""

from __future__ import annotations

from typing import Any

from mattelike.errors import OutputError
from mattelike.models.extras import imported


def library() -> Any:
    """The package ``av``, with its own log lines silenced: what matters is raised.

    Raises:
        MissingExtraError: It is not installed.
    """
    library = imported("av", extra="video", purpose="reading and writing clips")
    library.logging.set_level(None)
    return library


def check_encoder(name: str, target: str) -> None:
    """Looks for an encoder before anything is begun (trap 93).

    Args:
        name: FFmpeg's name of it, such as ``"prores_ks"``.
        target: What it is needed for, for the message.

    Raises:
        MissingExtraError: PyAV is not installed.
        OutputError: FFmpeg was built without it.
    """
    av = library()
    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise OutputError(
            f"{target}: this FFmpeg has no encoder {name}; the wheels of PyAV bring one: "
            "pip install --force-reinstall --only-binary av av, or write a PNG sequence"
        ) from error


def reason(error: BaseException) -> str:
    """What FFmpeg says of an error, in a few words."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())
