"""How a result was made goes along in its file, beside what the photo said, and can be read back."""

from __future__ import annotations

import io
import json
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mattelike import photos
from mattelike.photos import packets
from mattelike.values import Metadata, Photo

SETTINGS = json.dumps({"timestep": 200, "note": 'a < b & "c"', "sources": ["é"]}, sort_keys=True)
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="uuid:1" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:rights="mine"/></rdf:RDF></x:xmpmeta>   '
    '<?xpacket end="w"?>'
).encode()


def photo(xmp: bytes | None = None) -> Photo:
    pixels = np.full((8, 9, 3), 90, np.uint8)
    return Photo(pixels=pixels, metadata=Metadata(xmp=xmp))


def written(suffix: str, settings: str, **more: Any) -> bytes:
    source = more.pop("photo", None) or photo()
    return photos.encode(source.pixels, suffix, photo=source, settings=settings, **more)


def test_a_png_has_a_text_of_its_own_for_them() -> None:
    with Image.open(io.BytesIO(written(".png", SETTINGS, note="a note"))) as image:
        texts = image.text  # type: ignore[attr-defined]
    assert texts == {"mattelike": "a note", "mattelike-settings": SETTINGS}


@pytest.mark.parametrize("suffix", [".tiff", ".webp", ".avif", ".jpg"])
@pytest.mark.parametrize("packet", [None, PACKET])
def test_elsewhere_they_are_in_the_packet_beside_what_the_photo_said(
    suffix: str, packet: bytes | None
) -> None:
    again = photos.read(written(suffix, SETTINGS, photo=photo(packet)))
    assert packets.settings_of(again.metadata.xmp) == SETTINGS
    assert (b'dc:rights="mine"' in (again.metadata.xmp or b"")) == (packet is not None)
    # A result of a result says how it was made itself, once.
    twice = photos.read(written(suffix, '{"timestep": 5}', photo=again)).metadata.xmp
    assert packets.settings_of(twice) == '{"timestep": 5}'
    assert (twice or b"").count(b"mattelike:settings>") == 2
    ElementTree.fromstring((twice or b"").rstrip(b"\0"))


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp", ".avif", ".jpg"])
def test_stripped_files_and_models_without_settings_have_the_bytes_they_had(suffix: str) -> None:
    plain = photos.encode(photo().pixels, suffix, photo=photo())
    assert written(suffix, "") == plain
    assert written(suffix, SETTINGS, strip=True) == photos.encode(
        photo().pixels, suffix, photo=photo(), strip=True
    )
    assert written(suffix, SETTINGS) != plain


def test_a_packet_nothing_can_be_added_to_stays_what_it_was() -> None:
    assert packets.with_settings(b"not a packet", SETTINGS) == b"not a packet"
    assert packets.settings_of(b"not a packet") == packets.settings_of(None) == ""
