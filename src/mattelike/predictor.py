"""The two verbs: ``encode`` looks once at the marked photos, ``matte`` answers for any other photo."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mattelike import framing, models, photos, pieces, prompts, resampling, similarity, tokens
from mattelike.components import holes
from mattelike.contexts import Context, Thumbnail, joined
from mattelike.errors import PromptError, UsageError
from mattelike.figures import levels
from mattelike.framing import Frame, Window
from mattelike.mattes import Matte, Status, cut, status_of
from mattelike.models import Coarse, Model, Role
from mattelike.models.refiner import edge_network
from mattelike.prompts import Prompt
from mattelike.refinement import DOUBT, Refine, check_refine
from mattelike.refinement import refine as refined
from mattelike.values import Bool, Features, Float32, Guidance, ModelCard, Photo, Pixels, RoI

PhotoLike: TypeAlias = Any  # path, bytes, numpy array, PIL.Image or Photo: `mattelike.photos.read` decides
Reference: TypeAlias = tuple[PhotoLike, Prompt]

# Longest side of the picture a context keeps of each reference.
THUMBNAIL_SIDE = 256

# Mean similarity of what is marked to the first reference, below which the two may not be of one kind: with
# the embedded model 10 of 10 pairs of one kind lie above it, and 12 of 20 pairs of two kinds.
ALIKE = 0.5

# How solid an answer is made that only doubts whether the kind is there, and from which on: below that it
# has found nothing. Only what is nearly as solid as the most solid of it is lifted: what is paler is doubted
# for reasons of its own.
SOLID, PALEST = 0.95, 0.1
LIFTED_FROM, LIFTED_TO = 0.5, 0.9

# Heads whose answers are thought over; the paper's model answers as the paper has it.
CONSIDERED = ("icon-flex", "free")

# A second look is for things whose surroundings are at most this share of the photo: those of what is alpha
# above `FOUND`, and a seventh of its longer side beyond. On the scenes of the public validation overlap gains
# two points by it.
CLOSER_SHARE, CLOSER_MARGIN = 0.36, 0.15
FOUND, CUT_OFF = 0.2, 0.5

# What takes at least this share of the photo and is doubted at least so much, in pixels of error for each of
# its own, is looked at from afar too (`framing.FAR`): cells are larger then, and what made a few
# of them look like the thing carries less weight. What both heads together give less than `SUPPORTED` from
# there is doubted as far as they do. On the public validation (a quarter of the photos that one thing fills,
# a third of those of unseen kinds) 0.1 to 0.2 are alike for both bounds, and 0.5 to 0.62 for the size.
LARGE, DOUBTED = 0.15, 0.15
SUPPORTED = 0.5
# An answer of which less than this share is left so was lost from there, not mended.
LEFT = 0.25

# Nothing is thought over where presence is below this share of the bound under which a kind is absent: what
# is only doubted is there now and then, and then mostly small.
SURELY_ABSENT = 1 / 3

# A second head whose answer is nowhere as solid as this has found nothing.
AGREED = 0.5

# What a click has been made whole to has no holes up to this share of it, such as a nose among fur; whoever
# sees through a thing can mark that as something else.
HOLE = 0.08


def load(
    model: str = "embedded", *, device: str = "auto", threads: int | None = None, **options: object
) -> Predictor:
    """Loads a model and returns what works with it.

    Args:
        model: Its name: ``"embedded"`` (in the wheel), ``"imagenet"``, ``"dino"``, ``"sd21"``...
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"coreml"``, ``"mps"``.
        threads: Threads it may use; all the machine allows by default.
        options: The model's own, such as ``source=`` for a folder or hub id.

    Raises:
        ModelNotFoundError: No such model, or an option it does not take.
        MissingExtraError: The model needs an extra that is not installed.
        DeviceError: The device asked for is not there.
    """
    return Predictor(models.load(model, device=device, threads=threads, **options))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One photo as a model looked at it, before it is asked anything: as large as the model's features.

    Attributes:
        photo: The photo, at its own size.
        frame: How it was shown to the model.
        images: What the model was fed, float32 ``(1, 3, h, w)``.
        features: What it saw.
    """

    photo: Photo
    frame: Frame
    images: Float32
    features: Features


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What a model says of one photo, at the size it sees.

    Attributes:
        photo: The photo, at its own size.
        frame: How it was shown to the model.
        guidance: Where the kind was found.
        coarse: Alpha at the size the model saw, padding included.
        closer: Where a small thing was looked at once more, and what was seen there; None of other things.
    """

    photo: Photo
    frame: Frame
    guidance: Guidance
    coarse: Coarse
    closer: tuple[Window, Glance] | None = None


class Predictor:
    """A model, and the way from photos to mattes with it.

    ::

        predictor = mattelike.load()
        context = predictor.encode("cat.jpg", mattelike.Points([(412, 310)]))
        for matte in predictor.mattes(paths, context, workers=2):
            matte.save(...)

    It holds its model and nothing about any photo: all that was learnt from the references is in the
    `Context`, so one predictor may serve any number of contexts and threads at the same time.

    Args:
        model: What `mattelike.models.load` gives, or anything that keeps its contract.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    def card(self) -> ModelCard:
        """Who the model is."""
        return self.model.card

    @property
    def device(self) -> str:
        """The device in use."""
        return self.model.device

    # --- encode --------------------------------------------------------------------------------------

    def encode(
        self,
        reference: PhotoLike | Sequence[Reference],
        prompt: Prompt | None = None,
        *,
        negatives: Sequence[Reference] = (),
    ) -> Context:
        """Looks once at the marked photos.

        Args:
            reference: One photo, with `prompt`; or a sequence of ``(photo, prompt)``. A photo is a path, the
                bytes of a file, a numpy array, a PIL.Image or a `Photo`, as for `matte`; its order among
                others does not matter.
            prompt: What is marked on the one photo.
            negatives: ``(photo, prompt)`` of things that are not meant though they look alike.

        Returns:
            What to look for, for any number of `matte` calls; small, can be saved. Its ``notes`` say what
            was taken for granted, and which references look unlike each other.

        Raises:
            PromptError: A mark that means nothing on its photo, or no reference at all.
            PhotoError: A photo that cannot be read.
        """
        pairs = _pairs(reference, prompt)
        against = _pairs(negatives, None)
        if not pairs:
            raise PromptError("no reference: mark at least one photo")
        seen: list[Context] = []
        for photo, mark in pairs:
            seen.append(self._encoded(photo, mark, seen[0] if seen else None))
        return joined(seen + [self._encoded(photo, mark).negated() for photo, mark in against])

    def _encoded(self, like: PhotoLike, prompt: Prompt, first: Context | None = None) -> Context:
        """A context of one reference; `first` is that of the one it should look like."""
        photo = photos.read(like)
        roi = prompts.resolve(prompt, photo, photos.read)
        picture = thumbnail(photo, roi)
        photo, roi = within(photo, roi, self._close_up(roi))
        frame, images, features = look(self.model, photo, "reference")
        weights = self._weights(roi, frame, features, images)
        window = _shown_small(roi, frame, weights) if self.card.head == "icon-flex" else None
        if window is not None:
            # A click does not say how large the thing is; its whole does.
            photo, roi = within(photo, roi, window)
            frame, images, features = look(self.model, photo, "reference")
            weights = self._weights(roi, frame, features, images)
        alike = self._likeness(photo, features, weights, first)
        return self._learnt(photo, picture, roi.notes + alike, frame, features, weights)

    def _learnt(
        self,
        photo: Photo,
        picture: bytes,
        notes: tuple[str, ...],
        frame: Frame,
        features: Features,
        weights: Float32,
    ) -> Context:
        """What is kept of one reference."""
        inside = self._inside(frame, weights.shape)
        # Training-free matching finds fewer of several things without them.
        if self.card.head != "free" and self.card.pooling == "average":
            inside = inside & ~tokens.fringe(weights)
        kept, weight = self.model.remember(features, weights)
        chosen = inside.reshape(-1) if len(kept) == inside.size else slice(None)
        return Context(
            tokens=kept[chosen],
            weights=weight[chosen],
            reference=np.zeros(len(kept[chosen]), np.int16),
            model=self.card.name,
            sha256=self.card.sha256,
            # Only its last part: a context is mailed, and where its photos lay is nobody's business.
            thumbnails=(Thumbnail(picture, Path(photo.name).name),),
            settings=self.card.settings,
            notes=notes,
        )

    def _close_up(self, roi: RoI) -> Window | None:
        """Through which window a reference is looked at; None for the whole photo.

        The paper's model sees the whole photo, as the paper has it, but for what would be lost in it. So is a
        box seen where no network makes a thing of it: what lies outside tells what is meant inside.
        """
        tiny = np.count_nonzero(roi.positive) < prompts.TINY * roi.positive.size
        ours = self.card.head == "icon-flex" or (self.card.head == "free" and roi.kind == "mask")
        return framing.close_up(roi) if tiny or ours else None

    def _likeness(
        self, photo: Photo, features: Features, weights: Float32, first: Context | None
    ) -> tuple[str, ...]:
        """A note when what is marked here is not what the first reference would find here (trap 38)."""
        if first is None:
            return ()
        found = self.model.guide(features, first).similarity
        alike = float((found * weights).sum() / max(float(weights.sum()), 1e-6))
        if alike >= ALIKE:
            return ()
        return (
            f"{photo.name or 'a reference'} is little like the first reference (similarity {alike:.2f}): "
            "together they mean either of the two",
        )

    def _weights(self, roi: RoI, frame: Frame, features: Features, images: Float32) -> Float32:
        """Foreground weight of every cell of a reference; marks that are not masks are made whole."""
        grid = (features.tokens.shape[-2], features.tokens.shape[-1])
        mode = self.card.pooling if roi.kind in ("mask", "box") else "auto"
        positive, negative = tokens.pool(roi, grid, mode, frame.extent(grid))
        weights = self.model.weigh(features, positive, negative, roi.kind)
        if roi.kind == "mask" or not self.card.grows:
            return weights
        grown = self._grown(features, images, weights, positive, negative, roi)
        if roi.kind == "box" or self.card.head != "icon-flex" or self.card.agrees:
            return grown
        # A click knows little of a thing; what it was made whole to knows more, such as the rim of a bowl.
        return self._grown(features, images, grown, positive, negative, roi)

    def _grown(
        self,
        features: Features,
        images: Float32,
        weights: Float32,
        positive: Float32,
        negative: Float32,
        roi: RoI,
    ) -> Float32:
        """The whole of a thing that is known in part: the model's answer for the reference itself."""
        kept, weight = self.model.remember(features, weights)
        itself = Context(kept, weight, np.zeros(len(kept), np.int16), self.card.name, self.card.sha256)
        guidance = self.model.guide(features, itself)
        coarse = _without_strays(self.model.alpha(images, features, guidance), guidance)
        coarse = _agreed(coarse, guidance) if self.card.agrees else coarse
        cells = tokens.coverage(coarse.alpha, weights.shape)
        if roi.kind == "box":
            grown = (cells * positive).astype(np.float32)
        else:
            grown = np.maximum(cells, positive)
            whole, other = grown >= 0.5, negative >= 0.5
            grown[holes(whole & ~other, int(HOLE * np.count_nonzero(whole)), other)] = 1
            grown[other] = 0
        # An answer that lost the thing is no answer: what was known still stands.
        return grown if float(grown.max()) >= 0.5 else weights

    # --- matte ---------------------------------------------------------------------------------------

    def matte(self, photo: PhotoLike, context: Context | Prompt, *, refine: Refine = True) -> Matte:
        """Alpha of the marked kind in one photo.

        Args:
            photo: Path, bytes, numpy array (uint8, uint16 or float in [0, 1]; RGB or RGBA), PIL.Image or
                `Photo`. An alpha it already has is multiplied into the result.
            context: From `encode` or `Context.load`, of the same model. Or a mark on this very photo, which
                then is its own reference (the paper's "Ours*"); some models look at it but once.
            refine: Bring the edges to the photo's own resolution; False only enlarges the model's answer.
                ``"learned"`` asks for the edge network, ``"closed-form"`` and True for the solver.

        Raises:
            ContextError: The context belongs to another model.
            PromptError: A mark that means nothing on this photo.
            PhotoError: The photo cannot be read.
            SettingsError: No way to refine is called that; at once.
        """
        check_refine(refine)
        return self.finish(self.glance(photo, context), refine=refine)

    def glance(
        self, photo: PhotoLike | Seen, context: Context | Prompt, *, considered: bool = True
    ) -> Glance:
        """The first half of `matte`: all that the model does, at the size it sees.

        Args:
            photo: As for `matte`, or what `seen` gave for it.
            context: As for `matte`.
            considered: Think the answer over; see `considered`. Not for the frames of a clip: a thing that
                grows would change its looks between two of them.

        Raises:
            ContextError: As for `matte`.
            PhotoError: As for `matte`.
        """
        if not isinstance(context, Context):
            context, seen = self.itself(photo.photo if isinstance(photo, Seen) else photo, context)
        else:
            context.check(self.card)
            seen = photo if isinstance(photo, Seen) else self.seen(photo)
        glance = self.answer(seen, context)
        return self.considered(glance, context) if considered else glance

    def seen(self, photo: PhotoLike, *, side: int | None = None) -> Seen:
        """Looks at a photo as a target, to ask about it once or several times.

        Args:
            photo: As for `matte`.
            side: Longest side it is shown at, in pixels; by default the model's own.

        Raises:
            PhotoError: As for `matte`.
        """
        photo = photos.read(photo)
        return Seen(photo, *look(self.model, photo, "target", side))

    def answer(self, seen: Seen, context: Context) -> Glance:
        """What the model says of a photo it has looked at.

        Raises:
            ContextError: As for `matte`.
        """
        context.check(self.card)
        guidance = self.model.guide(seen.features, context)
        coarse = self.model.alpha(seen.images, seen.features, guidance)
        glance = Glance(seen.photo, seen.frame, guidance, coarse)
        return glance if self._absent(glance) else self._lifted(glance)

    def _absent(self, glance: Glance) -> bool:
        """Whether an answer calls the kind absent: then `answer` leaves it as pale as it is."""
        return self._status(_presence(glance)) == "absent"

    def _lifted(self, glance: Glance) -> Glance:
        """The answer if the kind is there, of a head that pales it for its doubt about that."""
        coarse = glance.coarse
        if self.card.head != "icon-flex" or coarse.presence is None:
            return glance
        return replace(glance, coarse=replace(coarse, alpha=_if_there(coarse.alpha)))

    def considered(self, glance: Glance, context: Context) -> Glance:
        """The same, thought over: without stray pieces, and what is small or doubted looked at once more.

        Unless the kind is surely absent, what was found is as solid as if it were surely there: whether it is
        is for presence to say.
        A piece that is clearly less like the reference than the rest is left out (`mattelike.pieces`). A
        thing that fills little of the photo is then looked at from close up: seen with the whole photo it is
        a few cells; seen alone it is many, and its edges are those of a larger picture. An answer that
        reaches the rim of the second picture is cut off there, and not taken. What is large and doubted is
        looked at from afar: what both heads do not find there too is taken back. Of a model that wants its
        heads to agree, what both find is left in the end.

        Args:
            glance: The answer for the whole photo.
            context: What was asked for.
        """
        if self.card.head not in CONSIDERED:
            return glance
        surely_absent = _presence(glance) < SURELY_ABSENT * self.card.absent_below
        glance = self._lifted(glance) if self._absent(glance) and not surely_absent else glance
        glance = replace(glance, coarse=_without_strays(glance.coarse, glance.guidance))
        if surely_absent:
            return self._settled(glance)
        window = self._around(glance)
        if window is not None:
            part = replace(glance.photo, pixels=cut(glance.photo.pixels, window), alpha=None)
            near = self.answer(self.seen(part), context)
            near = self._lifted(near) if self._absent(near) else near
            near = replace(near, coarse=_without_strays(near.coarse, near.guidance))
            if not _cut_off(near, glance, window):
                return replace(glance, closer=(window, self._settled(near)))
        doubtful = not self._absent(glance) and _doubtful(glance, self.card.head == "free")
        return self._settled(self._from_afar(glance, context) if doubtful else glance)

    def _settled(self, glance: Glance) -> Glance:
        """An answer on which both heads agree, of a model that wants that."""
        return replace(glance, coarse=_agreed(glance.coarse, glance.guidance)) if self.card.agrees else glance

    def _from_afar(self, glance: Glance, context: Context) -> Glance:
        """An answer without what the heads do not agree on when the photo is seen smaller."""
        seen = self.seen(glance.photo, side=max(framing.SMALLEST, round(framing.FAR * self.card.target_side)))
        far = self.answer(seen, context)
        views = [far.coarse]
        if far.coarse.second is not None:
            views.append(replace(far.coarse, alpha=far.coarse.second()))
        (rows, columns), size = far.frame.content, glance.frame.content
        alphas = [_without_strays(view, far.guidance).alpha[:rows, :columns] for view in views]
        support = resampling.resize(np.prod(alphas, axis=0) ** np.float32(1 / len(alphas)), size)
        alpha, solid = glance.coarse.alpha.copy(), np.count_nonzero(glance.coarse.alpha > pieces.SOLID)
        alpha[: size[0], : size[1]] *= _smooth_step(support / np.float32(SUPPORTED))
        if np.count_nonzero(alpha > pieces.SOLID) < LEFT * solid:
            return glance
        return replace(glance, coarse=replace(glance.coarse, alpha=alpha))

    def _around(self, glance: Glance) -> Window | None:
        """The surroundings of a thing that is small, in pixels of the photo."""
        height, width = glance.frame.content
        found = glance.coarse.alpha[:height, :width] > FOUND
        window = framing.close_up(RoI(found, ~found), share=CLOSER_SHARE, margin=CLOSER_MARGIN)
        return _in_photo(window, glance.frame)

    def itself(self, photo: PhotoLike, prompt: Prompt) -> tuple[Context, Seen]:
        """A photo as its own reference (the paper's "Ours*"), looked at once by a model that can.

        Args:
            photo: As for `matte`.
            prompt: What is marked on it.

        Raises:
            PromptError: A mark that means nothing on it.
            PhotoError: It cannot be read.
        """
        photo = photos.read(photo)
        roi = prompts.resolve(prompt, photo, photos.read)
        # A thing too small for the whole photo's grid is looked at from close up, as any reference is.
        if not self.card.reuses or self._close_up(roi) is not None:
            return self.encode(photo, prompt), self.seen(photo)
        seen = self.seen(photo)
        weights = self._weights(roi, seen.frame, seen.features, seen.images)
        picture = thumbnail(photo, roi)
        return self._learnt(photo, picture, roi.notes, seen.frame, seen.features, weights), seen

    def finish(self, glance: Glance, *, refine: Refine = True) -> Matte:
        """The second half of `matte`: from what the model saw to the photo's own size.

        Args:
            glance: From `glance`; whoever knows more than one photo may have changed its `coarse`.
            refine: As for `matte`.

        Raises:
            SettingsError: As for `matte`.
        """
        check_refine(refine)
        photo, presence = glance.photo, _presence(glance)
        status = self._status(presence)
        alpha, reason = _enlarged(glance, refine)
        # That nothing is surely the thing goes without saying where it is absent.
        notes = photo.notes + ((reason,) if reason and status != "absent" else ())
        uncertainty = _doubted(glance)
        if photo.alpha is not None:
            alpha = _under(alpha, photo.alpha)
            uncertainty = None if uncertainty is None else _under(uncertainty, photo.alpha)
        if self.card.truncates:
            alpha = _truncated(alpha, photo.depth)
        return Matte(
            photo=photo,
            alpha=alpha,
            presence=presence,
            status=status,
            guidance=glance.guidance,
            uncertainty=uncertainty,
            notes=notes,
            settings=self.card.settings,
        )

    def mattes(
        self, photos: Iterable[PhotoLike], context: Context, *, workers: int = 1, refine: Refine = True
    ) -> Iterator[Matte]:
        """Mattes of many photos: lazy, in order, in bounded memory.

        A photo is taken from `photos` only when it is its turn to be worked on: beside the matte that was
        handed out last, at most `workers` photos are read or finished ahead, however slow the caller is.
        The mattes are, bit for bit, those of `matte`. An error ends the iteration; to go on after a bad
        photo, call `matte` for each.

        Args:
            photos: Any photos, as for `matte`; may be endless.
            context: As for `matte`.
            workers: Photos worked on at the same time, in threads that share the model's cores. Reading and
                refining of one photo then overlap with the network's run on another.
            refine: As for `matte`.

        Raises:
            UsageError: `workers` below 1, or one photo where several are wanted; at once.
            ContextError: As for `matte`; at once.
            PhotoError: When the turn of a photo comes that cannot be read.
        """
        if workers < 1:
            raise UsageError(f"workers must be at least 1, not {workers}")
        if isinstance(photos, str | bytes | Path | Photo) or getattr(photos, "ndim", 4) != 4:
            raise UsageError("mattes takes several photos: give a list of them, or call matte")
        context.check(self.card)
        return self._streamed(photos, context, workers, refine)

    def _streamed(
        self, photos: Iterable[PhotoLike], context: Context, workers: int, refine: Refine
    ) -> Iterator[Matte]:
        waiting: deque[Future[Matte]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            try:
                for photo in photos:
                    waiting.append(pool.submit(self.matte, photo, context, refine=refine))
                    if len(waiting) > workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    # --- shared --------------------------------------------------------------------------------------

    def _status(self, presence: float) -> Status:
        """What the model's bounds make of a presence."""
        return status_of(presence, self.card.absent_below, self.card.present_from)

    @staticmethod
    def _inside(frame: Frame, grid: tuple[int, ...]) -> Bool:
        """Cells that show the photo itself, not only its reflected border."""
        rows, columns = (ceil(cells) for cells in frame.extent((grid[0], grid[1])))
        inside: Bool = (np.arange(grid[0]) < rows)[:, None] & (np.arange(grid[1]) < columns)[None]
        return inside


def look(model: Model, photo: Photo, role: Role, side: int | None = None) -> tuple[Frame, Float32, Features]:
    """Shows a photo to a model, as references or targets are shown, or with another longest `side`.

    Returns:
        How it was shown; what the model was fed, float32 ``(1, 3, h, w)``; what it saw.
    """
    card = model.card
    side = side or (card.reference_side if role == "reference" else card.target_side)
    frame = framing.fit(photo.height, photo.width, side=side, multiple=model.multiple)
    shown = framing.pad(photos.to_srgb(photo, frame.content), frame)
    images = framing.normalise(shown, card.mean, card.std)
    return frame, images, model.features(images, role)


def _pairs(reference: PhotoLike | Sequence[Reference], prompt: Prompt | None) -> list[Reference]:
    """References as ``(photo, prompt)``, whichever way they were given."""
    if prompt is not None:
        return [(reference, prompt)]
    found = list(reference) if isinstance(reference, Iterable) else [reference]
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in found):
        raise PromptError("a reference is a photo with its mark: encode(photo, prompt) or pairs of them")
    return [(photo, mark) for photo, mark in found]


def _truncated(alpha: Float32, depth: int) -> Float32:
    """Alpha at the level of so many bits below it, which every writer then keeps."""
    top = np.float32(2**depth - 1)
    result: Float32 = np.floor(alpha * top) / top
    return result


def _if_there(alpha: Float32) -> Float32:
    """Alpha of the kind if it is there: whether it is there is for `Matte.presence` to say.

    The flex head lets its doubt about that pale the whole answer. What it finds is brought up to `SOLID`; an
    answer that is solid somewhere stays as it is.
    """
    # The mean of alpha, by its own fourth power: how solid the most solid of it is, however small that is.
    weight = np.square(np.square(alpha.astype(np.float64)))
    solid = float((weight * alpha).sum() / max(float(weight.sum()), 1e-9))
    if not PALEST < solid < SOLID:
        return alpha
    share = np.clip((alpha / solid - LIFTED_FROM) / (LIFTED_TO - LIFTED_FROM), 0, 1)
    lifted: Float32 = np.minimum(alpha * (1 + (SOLID / solid - 1) * share), 1).astype(np.float32)
    return lifted


def _presence(glance: Glance) -> float:
    """How surely the kind is there: by the head, where it says so."""
    return glance.guidance.presence if glance.coarse.presence is None else glance.coarse.presence


def _without_strays(coarse: Coarse, guidance: Guidance) -> Coarse:
    """An answer without the pieces that are clearly less like the reference than the rest.

    As it is where the guidance is not `similarity.Evidence`, as that of diffusion is not.
    """
    if guidance.names != similarity.channel_names(len(guidance.names) // len(similarity.EVIDENCE)):
        return coarse
    stray = pieces.strays(coarse.alpha, guidance.maps)
    if stray is None:
        return coarse
    alpha, doubt = np.where(stray, np.float32(0), coarse.alpha), coarse.uncertainty
    # Doubted still, but not so much that the colours are asked what is there.
    doubt = None if doubt is None else np.where(stray, np.minimum(doubt, np.float32(DOUBT)), doubt)
    return replace(coarse, alpha=alpha, uncertainty=doubt)


def _doubtful(glance: Glance, unknown: bool) -> bool:
    """Whether an answer is for something large and is doubted; `unknown` where the head does not say that."""
    (height, width), coarse = glance.frame.content, glance.coarse
    pixels = int(np.count_nonzero(coarse.alpha[:height, :width] > pieces.SOLID))
    if pixels <= LARGE * height * width:
        return False
    if coarse.uncertainty is None:
        return unknown
    return float(coarse.uncertainty[:height, :width].sum()) > DOUBTED * pixels


def _smooth_step(x: Float32) -> Float32:
    """From 0 at 0 to 1 at 1 and on, level at both."""
    t = np.clip(x, 0, 1)
    result: Float32 = t * t * (3 - 2 * t)
    return result


def _agreed(coarse: Coarse, guidance: Guidance) -> Coarse:
    """What both heads of a model find, where it has two: the geometric mean of their alphas.

    A head that was trained on few kinds takes much of what lies beside a new one, matching alone takes other
    things beside it. As it is where the second finds nothing.
    """
    second = coarse.second() if coarse.second is not None else None
    if second is None or second.max() < AGREED:
        return coarse
    both = replace(coarse, alpha=np.sqrt(coarse.alpha * second), second=None)
    return _without_strays(both, guidance)


def _enlarged(glance: Glance, refine: Refine) -> tuple[Float32, str]:
    """Alpha at the photo's size, and why its edges were not refined, if they were not.

    Where the thing was looked at from close up, that answer is all of it.
    """
    if glance.closer is not None:
        window, near = glance.closer
        alpha = np.zeros((glance.photo.height, glance.photo.width), np.float32)
        alpha[window.slices], reason = _enlarged(near, refine)
        return alpha, reason
    coarse, (height, width) = glance.coarse, glance.frame.content
    if refine in (False, "none"):
        return np.clip(framing.undo(coarse.alpha, glance.frame), 0, 1), ""
    doubt = None if coarse.uncertainty is None else coarse.uncertainty[:height, :width]
    network = edge_network() if refine == "learned" else None
    answer = refined(glance.photo.pixels, coarse.alpha[:height, :width], uncertainty=doubt, network=network)
    return answer.alpha, answer.reason


def _doubted(glance: Glance) -> Float32 | None:
    """The expected error of alpha at the photo's size."""
    if glance.coarse.uncertainty is None:
        return None
    doubt = framing.undo(glance.coarse.uncertainty, glance.frame)
    if glance.closer is not None:
        window, near = glance.closer
        own = _doubted(near)
        assert own is not None
        doubt[window.slices] = own
    return doubt


def _cut_off(near: Glance, whole: Glance, window: Window) -> bool:
    """Whether an answer from close up reaches a rim of its picture that is not one of the photo."""
    height, width = near.frame.content
    found = near.coarse.alpha[:height, :width] > CUT_OFF
    rims = (
        (window.top > 0, found[0]),
        (window.left > 0, found[:, 0]),
        (window.bottom < whole.photo.height, found[-1]),
        (window.right < whole.photo.width, found[:, -1]),
    )
    return any(inside and bool(rim.any()) for inside, rim in rims) or not found.any()


def _under(levels: Float32, alpha: Pixels) -> Float32:
    """Values seen through an alpha the photo already has; where that is full they stay as they are."""
    result: Float32 = np.divide(alpha, np.float32(np.iinfo(alpha.dtype).max), dtype=np.float32)
    result *= levels
    return result


def within(photo: Photo, roi: RoI, window: Window | None) -> tuple[Photo, RoI]:
    """Photo and mark cut to a window; as they are without one."""
    if window is None:
        return photo, roi
    at, share = window.slices, np.count_nonzero(roi.positive) / roi.positive.size
    marked = replace(roi, positive=roi.positive[at], negative=roi.negative[at])
    if share < prompts.TINY and roi.kind in ("mask", "box"):
        name = photo.name or "the photo"
        note = f"the marked thing is only {100 * share:.2g} % of {name}: looked at from close up"
        marked = replace(marked, notes=(*roi.notes, note))
    return replace(photo, pixels=cut(photo.pixels, window), alpha=None), marked


def _shown_small(roi: RoI, frame: Frame, weights: Float32) -> Window | None:
    """The surroundings of a thing that was marked in part and, made whole, fills little of the photo."""
    if roi.kind not in ("points", "scribbles"):
        return None
    whole = resampling.nearest(weights >= 0.5, frame.seen)[: frame.content[0], : frame.content[1]]
    return _in_photo(framing.close_up(RoI(whole, ~whole)), frame)


def _in_photo(window: Window | None, frame: Frame) -> Window | None:
    """A window on what the model saw, in pixels of the photo."""
    return None if window is None else window.scaled(frame.content, frame.source)


def thumbnail(photo: Photo, roi: RoI) -> bytes:
    """A small JPEG of a reference, its mark in colour and the rest paler."""
    frame = framing.fit(photo.height, photo.width, side=THUMBNAIL_SIDE, multiple=1, minimum=1, enlarge=1)
    rgb = photos.to_srgb(photo, frame.content)
    marked = resampling.any_set(roi.positive, frame.content)[..., None]
    if roi.kind in ("points", "scribbles"):
        marked = _dots(marked[..., 0])[..., None]
        shown = np.where(marked, np.array([1.0, 0.25, 0.35], np.float32), rgb)
    else:
        shown = np.where(marked, rgb, 0.35 * rgb + 0.6)
    return photos.encode(levels(shown), ".jpg")


def _dots(marked: Bool) -> Bool:
    """Marked pixels as dots large enough to be seen."""
    rows, columns = np.nonzero(marked)
    result = marked.copy()
    for down in range(-3, 4):
        for across in range(-3, 4):
            if down**2 + across**2 <= 10:
                at = np.clip(rows + down, 0, marked.shape[0] - 1)
                result[at, np.clip(columns + across, 0, marked.shape[1] - 1)] = True
    return result
