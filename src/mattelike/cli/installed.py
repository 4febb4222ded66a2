"""What of the models is on this machine, without loading any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from mattelike.errors import MattelikeError, ModelNotFoundError
from mattelike.models import MODELS, Plug, hub, pulled
from mattelike.models.embedded import read_card, verify, weights_folder
from mattelike.models.pulled import Pulled

# The package that an extra is known by.
_EXTRAS = {"dino": "transformers", "sd": "diffusers"}


@dataclass(frozen=True, slots=True)
class Installed:
    """A model as it is here.

    Attributes:
        name: What users type.
        summary: One line.
        licence: Of its weights.
        state: ``ready``, or what is missing.
        folder: Of its files, where they came with the package.
        sha256: Hash of its files by its card; empty where they did not.
        options: What ``--set`` takes.
        pulled: What was fetched for it.
    """

    name: str
    summary: str
    licence: str
    state: str
    folder: Path | None
    sha256: str
    options: tuple[str, ...]
    pulled: tuple[Pulled, ...] = ()

    @property
    def is_here(self) -> bool:
        """Whether any files of it are."""
        return self.folder is not None or bool(self.pulled)

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "name": self.name,
            "summary": self.summary,
            "licence": self.licence,
            "state": self.state,
            "folder": None if self.folder is None else str(self.folder),
            "sha256": self.sha256,
            "options": self.options,
            "pulled": [{"name": each.name, "folder": str(each.folder)} for each in self.pulled],
        }


def installed(name: str) -> Installed:
    """Looks a model up.

    Raises:
        ModelNotFoundError: No such model.
    """
    plug = _plug(name)
    folder = weights_folder(name)
    if folder.is_dir():
        try:
            card = read_card(folder)
        except MattelikeError:
            return Installed(name, plug.summary, plug.licence, "damaged", folder, "", plug.options)
        return Installed(name, plug.summary, plug.licence, "ready", folder, card.sha256, plug.options)
    if not plug.extra:
        state = "files missing"
    elif find_spec(_EXTRAS.get(plug.extra, plug.extra)) is None:
        state = f"needs [{plug.extra}]"
    else:
        state = "fetched when used"
    here = tuple(pulled.of_model(name))
    return Installed(name, plug.summary, plug.licence, state, None, "", plug.options, here)


def pull(name: str, source: str, revision: str) -> Pulled | None:
    """Fetches what a model needs; None for one that came with the package.

    Args:
        name: What users type.
        source: Id on the hub; empty for the model's usual one.
        revision: Branch, tag or commit; empty for the main branch.

    Raises:
        MattelikeError: As `mattelike.models.hub.pull`.
    """
    plug = _plug(name)
    if not plug.extra:
        return None
    # By convention the module with a model's files is called as the model's own, and says what it wants.
    files = import_module(f"{plug.target.partition(':')[0]}_files")
    return hub.pull(files.wanted(source, revision))


def checked(name: str) -> Iterator[tuple[str, str]]:
    """Whatever of a model is here, and what is wrong with it, or an empty string.

    Raises:
        ModelNotFoundError: No such model.
    """
    model = installed(name)
    if model.folder is not None or not model.pulled:
        yield name, check(name)
    for each in model.pulled:
        problem = ""
        try:
            pulled.verify(each)
        except MattelikeError as error:
            problem = str(error)
        yield f"{name} ({each.name})", problem


def _plug(name: str) -> Plug:
    plug = MODELS.get(name)
    if plug is None:
        raise ModelNotFoundError(f"no model named {name!r}; there are: {', '.join(MODELS)}")
    return plug


def check(name: str) -> str:
    """What is wrong with a model's files, or an empty string.

    Raises:
        ModelNotFoundError: No such model.
    """
    model = installed(name)
    if model.folder is None:
        return f"nothing to check here: {model.state}" if model.state != "files missing" else "files missing"
    try:
        verify(model.folder)
    except MattelikeError as error:
        return str(error)
    return ""
