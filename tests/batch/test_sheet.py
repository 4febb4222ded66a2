"""The contact sheet."""

from __future__ import annotations

import re
import time
from pathlib import Path

from mattelike.batch.jobs import Outcome, Result
from mattelike.batch.journal import Journal
from mattelike.batch.sheet import page, reviewed, write_sheet
from mattelike.batch.thumbnails import thumbnail_names
from tests.batch.rooms import batch, context_of, write
from tests.toy_model import toy


def outcome(stem: str, result: Result = "present", presence: float = 0.9, **more: object) -> Outcome:
    return Outcome(f"../in/{stem}.jpg", stem, result, (f"{stem}.png",), presence, 0.2, (8, 6), **more)  # type: ignore[arg-type]


def test_what_needs_a_look_comes_first() -> None:
    given = [
        outcome("fine"),
        outcome("sure-not", "absent", 0.01),
        outcome("perhaps", "absent", 0.24),
        outcome("nearly", "unsure", 0.55),
        outcome("hardly", "unsure", 0.3),
        Outcome("x.jpg", "x", "failed", error="empty"),
    ]
    stems = [each.stem for each in reviewed(given)]
    assert stems == ["x", "perhaps", "sure-not", "hardly", "nearly", "fine"]


def test_the_page_needs_nothing_but_its_folder(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / f"in/{index}.png", index)
    batch([str(tmp_path / "in")], tmp_path / "out")
    with Journal(tmp_path / "out") as journal:
        text = write_sheet(journal, context_of(toy())).read_text()
    assert not re.search(r"https?:|//[a-z]|@import|fetch\(", text)
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    inline = [source for source in sources if source.startswith("data:image/jpeg;base64,")]
    assert len(inline) == 1  # the reference comes first, inside the page
    assert sources[0] == inline[0]
    for source in sources[1:]:
        assert (tmp_path / "out" / source).is_file()
    assert len(sources) == 1 + 3 * 4


def test_names_cannot_break_out_of_the_page() -> None:
    evil = '"><script>alert(1)</script>/../\udce9 #?%.jpg'
    text = page(
        [outcome(evil, notes=("<b>",)), Outcome(evil, "", "failed", error=evil)], context_of(toy()), Path("o")
    )
    assert "<script>alert" not in text and "<b>&lt;" not in text
    address = re.search(r'href="([^"]*script[^"]*)"', text)
    assert address is not None and address[1].startswith("./%22%3E%3Cscript")
    assert "%E9%20%23%3F%25.jpg" in address[1]
    text.encode("utf-8")


def test_five_thousand_photos_make_a_page_of_a_few_megabytes() -> None:
    outcomes = [outcome(f"folder/photo-{index}") for index in range(5000)]
    began = time.monotonic()
    text = page(reviewed(outcomes), context_of(toy()), Path("out"))
    assert time.monotonic() - began < 10
    assert len(text) < 5_000_000
    assert text.count('loading="lazy"') == 10_000


def test_thumbnails_of_two_photos_never_meet() -> None:
    names = {name for stem in ("a", "A", "a/b", "a_b") for name in thumbnail_names(stem)}
    assert len(names) == 8
