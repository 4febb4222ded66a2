"""A context: what was learnt from the marked photos, as a value that can be saved, mailed and joined.

The file is a safetensors file: a JSON header and raw arrays, nothing that could be executed. It holds the
tokens of foreground and background of every reference, the name and hash of the model they belong to, and
a thumbnail of each reference with its mark, so that people see what a context means.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from mattelike.errors import ContextError, OutputError
from mattelike.values import Float32, ModelCard

VERSION = 1
# Far above what 16 references of any model here take; a file beyond it is not a context.
LARGEST_FILE = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of one reference.

    Attributes:
        jpeg: JPEG of the photo, its mark drawn in.
        name: File name of the reference.
        negative: Whether it shows what is not meant.
    """

    jpeg: bytes
    name: str
    negative: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What to look for.

    Attributes:
        tokens: ``(n, c)``, float16 (or what the model stores), tokens of all references.
        weights: float16 ``(n,)`` in [0, 1]: how much of each token's cell is the marked thing.
        reference: int16 ``(n,)``, the reference each token came from, from 0.
        model: Name of the model that made it.
        sha256: Hash of that model's weights.
        thumbnails: One a reference.
        settings: The model's effective settings, as JSON; empty when it has none.
        notes: What the reader of the marks took for granted; for the person at hand, not saved.
    """

    tokens: NDArray[Any]
    weights: NDArray[Any]
    reference: NDArray[np.int16]
    model: str
    sha256: str
    thumbnails: tuple[Thumbnail, ...] = ()
    settings: str = ""
    notes: tuple[str, ...] = ()

    @property
    def references(self) -> int:
        """How many references it holds, negative ones included."""
        return int(self.reference.max()) + 1 if len(self.reference) else 0

    def check(self, card: ModelCard) -> None:
        """Refuses a context of another model.

        Raises:
            ContextError: Made by another model, or by other weights of this one.
        """
        if self.model != card.name:
            raise ContextError(
                f"this context was made by the model {self.model!r}, not {card.name!r}; "
                f"mark the reference again, or use --model {self.model}"
            )
        if self.sha256 != card.sha256:
            raise ContextError(
                f"this context was made by other weights of {card.name!r}; mark the reference again"
            )

    def joined(self, other: Context) -> Context:
        """Both contexts as one: the references of `other` after those of this one.

        Raises:
            ContextError: The two belong to different models.
        """
        if (self.model, self.sha256) != (other.model, other.sha256):
            raise ContextError("contexts of different models cannot be joined; mark the references again")
        return Context(
            tokens=np.concatenate([self.tokens, other.tokens]),
            weights=np.concatenate([self.weights, other.weights]),
            reference=np.concatenate([self.reference, other.reference + np.int16(self.references)]),
            model=self.model,
            sha256=self.sha256,
            thumbnails=self.thumbnails + other.thumbnails,
            settings=self.settings,
            notes=self.notes + other.notes,
        )

    def negated(self) -> Context:
        """The same marks as examples of what is not meant.

        Only what was marked is kept, with weight 0: the rest of such a photo may well show what is meant.
        """
        marked = self.weights >= min(0.5, float(self.weights.max()))
        return Context(
            tokens=self.tokens[marked],
            weights=np.zeros_like(self.weights[marked]),
            reference=self.reference[marked],
            model=self.model,
            sha256=self.sha256,
            thumbnails=tuple(Thumbnail(t.jpeg, t.name, True) for t in self.thumbnails),
            settings=self.settings,
            notes=self.notes,
        )

    def to_bytes(self) -> bytes:
        """The file's content. The same context always gives the same bytes."""
        arrays = {
            "tokens": np.ascontiguousarray(self.tokens),
            "weights": np.ascontiguousarray(self.weights),
            "reference": np.ascontiguousarray(self.reference),
        }
        for index, thumbnail in enumerate(self.thumbnails):
            arrays[f"thumbnail.{index}"] = np.frombuffer(thumbnail.jpeg, np.uint8)
        about = {
            "version": VERSION,
            "model": self.model,
            "sha256": self.sha256,
            "settings": self.settings,
            "thumbnails": [{"name": t.name, "negative": t.negative} for t in self.thumbnails],
        }
        return serialise(arrays, metadata={"mattelike": json.dumps(about)})

    @staticmethod
    def from_bytes(data: bytes, name: str = "context") -> Context:
        """A context from a file's content.

        Raises:
            ContextError: Not a context, damaged, or of a newer version.
        """
        about = _header(data, name)
        try:
            arrays = parse(data)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ContextError(f"{name}: damaged context ({error}); mark the reference again") from error
        try:
            thumbnails = tuple(
                Thumbnail(arrays[f"thumbnail.{i}"].tobytes(), str(t["name"]), bool(t["negative"]))
                for i, t in enumerate(about["thumbnails"])
            )
            context = Context(
                tokens=arrays["tokens"],
                weights=arrays["weights"],
                reference=arrays["reference"],
                model=str(about["model"]),
                sha256=str(about["sha256"]),
                thumbnails=thumbnails,
                settings=str(about["settings"]),
            )
        except (KeyError, TypeError) as error:
            raise ContextError(f"{name}: incomplete context ({error}); mark the reference again") from error
        _check_arrays(context, name)
        return context

    def save(self, path: str | Path) -> None:
        """Writes a ``.context`` file, whole or not at all.

        Raises:
            OutputError: It cannot be written there.
        """
        path = Path(path)
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_bytes(self.to_bytes())
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OutputError(f"{path}: cannot write the context ({error.strerror or error})") from error

    @staticmethod
    def load(path: str | Path) -> Context:
        """Reads a ``.context`` file.

        Raises:
            ContextError: No such file, not a context, damaged, or of a newer version.
        """
        path = Path(path)
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise ContextError(f"{path}: too large for a context; is it another file?")
            data = path.read_bytes()
        except OSError as error:
            raise ContextError(f"{path}: cannot read the context ({error.strerror or error})") from error
        return Context.from_bytes(data, str(path))


def joined(contexts: Sequence[Context]) -> Context:
    """All contexts as one, in order; at least one."""
    first, *rest = contexts
    for other in rest:
        first = first.joined(other)
    return first


def _header(data: bytes, name: str) -> dict[str, Any]:
    try:
        length = int.from_bytes(data[:8], "little")
        if not 2 <= length <= min(len(data) - 8, 10 * 2**20):
            raise ValueError("no header")
        about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["mattelike"])
        version = about["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ContextError(f"{name}: not a mattelike context") from error
    if version != VERSION:
        raise ContextError(
            f"{name}: context version {version}, this mattelike reads {VERSION}; mark the reference again"
        )
    if not isinstance(about, dict):
        raise ContextError(f"{name}: not a mattelike context")
    return about


def _check_arrays(context: Context, name: str) -> None:
    """Arrays that fit each other and hold numbers; anything else must not reach a model."""
    tokens, weights, reference = context.tokens, context.weights, context.reference
    shapes = tokens.ndim == 2 and weights.shape == reference.shape == tokens.shape[:1]
    kinds = tokens.dtype.kind == weights.dtype.kind == "f" and reference.dtype == np.int16
    if not (shapes and kinds and len(tokens)):
        raise ContextError(f"{name}: damaged context (arrays do not fit); mark the reference again")
    finite = np.isfinite(tokens).all() and np.isfinite(weights).all()
    if not finite or weights.min() < 0 or weights.max() > 1 or reference.min() < 0:
        raise ContextError(f"{name}: damaged context (impossible numbers); mark the reference again")


def float_tokens(context: Context) -> tuple[Float32, Float32]:
    """Tokens and weights in float32, as the similarity wants them."""
    return context.tokens.astype(np.float32), context.weights.astype(np.float32)
