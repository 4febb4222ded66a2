"""What of the models is on this machine, without loading any of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mattelike.errors import MattelikeError, ModelNotFoundError
from mattelike.models import MODELS
from mattelike.models.embedded import read_card, verify, weights_folder

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
    """

    name: str
    summary: str
    licence: str
    state: str
    folder: Path | None
    sha256: str
    options: tuple[str, ...]

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
        }


def installed(name: str) -> Installed:
    """Looks a model up.

    Raises:
        ModelNotFoundError: No such model.
    """
    plug = MODELS.get(name)
    if plug is None:
        raise ModelNotFoundError(f"no model named {name!r}; there are: {', '.join(MODELS)}")
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
    return Installed(name, plug.summary, plug.licence, state, None, "", plug.options)


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
