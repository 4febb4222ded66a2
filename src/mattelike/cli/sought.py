"""What to look for: contexts that were saved, a reference marked on the command line, or both."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mattelike import photos, prompts
from mattelike.batch.jobs import content_hash
from mattelike.cli import options
from mattelike.cli.progress import tell_notes
from mattelike.contexts import Context, joined
from mattelike.errors import PhotoError, UsageError
from mattelike.predictor import Predictor, Seen
from mattelike.prompts import Prompt
from mattelike.values import Photo


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """What to look for, and the model that does.

    Attributes:
        predictor: The model.
        context: What to look for.
        identity: Hash of what the context comes from.
        seen: What the model saw of the photo that is its own reference, if there is one.
    """

    predictor: Predictor
    context: Context
    identity: str
    seen: Seen | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A photo with its marks, read and checked before any model is loaded.

    Attributes:
        photo: The photo.
        prompt: The marks.
        identity: Hash of both.
        itself: It is the photo to be cut out, too, and the only reference.
    """

    photo: Photo
    prompt: Prompt
    identity: str
    itself: bool = False


def reference(
    source: str, data: bytes | None, given: Mapping[str, Any], *, itself: bool = False
) -> Reference:
    """Reads a reference and its marks.

    Args:
        source: Path of the photo, or ``-``.
        data: Its content, where it was read from standard input.
        given: Values of the options of `options.marks`.
        itself: See `Reference`.

    Raises:
        UsageError: No marks, or the photo cannot be read: nothing can be looked for then.
        PromptError: Marks that mean nothing on this photo.
        PhotoError: The photo, which is to be cut out itself, cannot be read.
    """
    prompt = options.prompt(given)
    if prompt is None:
        raise UsageError(
            f"nothing is marked on {source}: add --point x,y, --box x0,y0,x1,y1, --mask or --scribble; "
            f"`mattelike mark {source} --grid` shows where pixels are"
        )
    try:
        photo = photos.read(source if data is None else data, name="standard input" if data else "")
    except PhotoError as error:
        if itself:
            raise
        raise UsageError(str(error)) from error
    prompts.resolve(prompt, photo, photos.read)
    marks = {name: given[name] for name in options.MARK_NAMES}
    files = [content_hash(Path(path).read_bytes()) for path in options.mark_files(given)]
    for name in ("scribble", "negative_scribble", "mask"):
        marks[name] = bool(marks[name])  # what is in the file counts, not what it is called
    content = content_hash(Path(source).read_bytes() if data is None else data)
    identity = content_hash(json.dumps([content, files, marks]).encode())
    return Reference(photo, prompt, identity, itself)


def sought(
    paths: tuple[str, ...], marked: Reference | None, given: Mapping[str, Any], *, base: Context | None = None
) -> Sought:
    """Loads the model and makes the context.

    Args:
        paths: Saved contexts.
        marked: A reference, or None.
        given: Values of the options of `options.model`.
        base: A context that comes first, from an earlier run.

    Raises:
        UsageError: Neither contexts nor a reference.
        MattelikeError: From loading the model, and from the contexts.
    """
    contexts = [*([base] if base is not None else []), *(Context.load(path) for path in paths)]
    if not contexts and marked is None:
        raise UsageError("what to look for? add --like PHOTO with marks on it, or --context FILE")
    name = given["model"] or (contexts[0].model if contexts else None)
    predictor = options.load(name, given["options"], given["device"], given["threads"])
    for context in contexts:
        context.check(predictor.card)
    seen = None
    if marked is not None:
        if marked.itself:
            own, seen = predictor.itself(marked.photo, marked.prompt)
        else:
            own = predictor.encode(marked.photo, marked.prompt)
        contexts.append(own)
        tell_notes(own.notes)
    whole = joined(contexts)
    if not (whole.weights > 0).any():
        raise UsageError("the context says only what is not meant; add a reference of what is")
    parts = [content_hash(Path(path).read_bytes()) for path in paths]
    parts += [marked.identity] if marked is not None else []
    return Sought(predictor, whole, content_hash("\n".join(parts).encode()), seen)


def standard_input() -> bytes:
    """All of standard input.

    Raises:
        click.UsageError: Somebody would have to type it.
    """
    stream = sys.stdin.buffer
    if stream.isatty():
        raise click.UsageError("- reads standard input, but that is the keyboard; pipe a photo into it")
    return stream.read()
