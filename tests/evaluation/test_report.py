"""What is left behind, and the three verbs, as a user meets them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mattelike import figures, photos
from mattelike.cli import main
from mattelike.evaluation import report
from mattelike.evaluation.benchmarks import Benchmark
from mattelike.evaluation.protocols import Protocol
from mattelike.evaluation.run import TABLE, Evaluation, evaluate
from tests.evaluation.benches import Knowing


class Links(HTMLParser):
    """Pictures of a page, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value for key, value in attrs if key == "src" and value]
        if tag not in ("meta", "img", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("line", "polyline"):
            return
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def written(
    bench: Benchmark, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Evaluation]:
    folder = tmp_path_factory.mktemp("report")
    methods = {
        "right": Knowing(built),
        "<off>": Knowing(built, 0.3),
        "failing": Knowing(built, fails=["fish/scenes-00.jpg"]),
    }
    evaluation = Evaluation(bench, Protocol(form="box", choices=2, rounds=1), methods, folder)
    report.write(evaluation, evaluate(evaluation), ["mattelike", "evaluate", "tiny"])
    return folder, evaluation


def test_the_page_is_whole_and_its_pictures_are_there(written: tuple[Path, Evaluation]) -> None:
    folder, _ = written
    text = (folder / "index.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    # `p`, `td` and their kin are closed by hand here, so nothing stays open.
    assert not links.open
    assert len(links.sources) == 3 * 6
    for source in links.sources:
        assert (folder / source).is_file(), source
        assert photos.header(folder / source).height > 200
    assert "http" not in text, "nothing is fetched from elsewhere"
    assert "&lt;off&gt;" in text and "<off>" not in text
    assert text.count("<table>") == text.count("<div class=wide><table>"), "wide tables scroll on their own"


def test_it_says_what_it_was_made_with(written: tuple[Path, Evaluation]) -> None:
    folder, evaluation = written
    about = json.loads((folder / "about.json").read_text())
    assert about["command"] == "mattelike evaluate tiny"
    assert about["protocol"]["seed"] == 0 and about["protocol"]["form"] == "box"
    assert about["benchmark"]["sha256"] == evaluation.benchmark.fingerprint()
    assert about["methods"]["<off>"] == {"method": "knowing", "off": "0.3"}
    assert about["packages"]["numpy"] == np.__version__
    for name in ("report.md", "index.html"):
        text = (folder / name).read_text(encoding="utf-8")
        for word in (about["benchmark"]["sha256"], "seed 0", f"numpy {np.__version__}"):
            assert word in text, (name, word)


def test_markdown_names_the_best_the_spread_and_the_failures(written: tuple[Path, Evaluation]) -> None:
    text = (written[0] / "report.md").read_text(encoding="utf-8")
    first = text.split("## ")[1]
    assert re.search(r"^\| right \| 5 \| \*\*0\.0000\*\*", first, re.MULTILINE)
    assert "Spread over the choice of reference" in text and "## Presence" in text
    assert "- failing: 2 pictures without an answer" in text
    assert "Pictures without the thing" in text and "Groups of the same thing (instance)" in text


def test_errors_of_all_strips_have_one_scale() -> None:
    seen = np.zeros((8, 8, 3), np.uint8)
    small, large = (figures.heat(np.full((8, 8), v, np.float32), seen, top=1.0).mean() for v in (0.02, 0.9))
    assert small < 30 < 120 < large
    assert figures.heat(np.full((8, 8), 0.02, np.float32), seen).mean() > 120, "a scale of its own"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), standalone_mode=False, catch_exceptions=False)


def off_by(built: Path, folder: Path, off: float) -> Path:
    """A folder of mattes that are off by so much."""
    for path in built.glob("*/scenes-*.png"):
        place = folder / path.relative_to(built)
        place.parent.mkdir(parents=True, exist_ok=True)
        alpha = photos.read(path).pixels[..., 0] / np.float32(255)
        photos.write_alpha(place, np.clip(alpha - off, 0, 1).astype(np.float32))
    return folder


def test_evaluate_score_and_compare_agree(built: Path, tmp_path: Path) -> None:
    mattes = off_by(built, tmp_path / "theirs", 0.25)
    for path in built.glob("*/*.png"):
        if "scenes" not in path.name:
            place = mattes / path.relative_to(built)
            photos.write_alpha(place, np.zeros(photos.read(path).pixels.shape[:2], np.float32))
    words = ["evaluate", str(built), "-o", str(tmp_path / "out")]
    done = run(
        *words, "-m", f"outputs:name=theirs,folder={mattes}", "-m", f"outputs:name=truth,folder={built}"
    )
    assert done.return_value == 0
    assert "| truth | 5 |" in done.output
    before = (tmp_path / "out" / TABLE).read_bytes()
    again = run(
        *words, "-m", f"outputs:name=theirs,folder={mattes}", "-m", f"outputs:name=truth,folder={built}"
    )
    assert again.return_value == 0 and (tmp_path / "out" / TABLE).read_bytes() == before
    assert "answers" not in again.stderr, "nothing is asked twice"

    table = tmp_path / "scores.csv"
    scored = run("score", str(mattes), str(built), "-o", str(table), "--name", "scored")
    assert "| scored | 11 |" in scored.output, "references too: it is a folder, not a benchmark"
    figures = {line.split(",")[4]: line.split(",")[11] for line in table.read_text().splitlines()[1:]}
    for line in before.decode().splitlines()[1:]:
        cells = line.split(",")
        if cells[0] == "theirs":
            assert figures[cells[4].removesuffix(".jpg")] == cells[11]

    compared = run("compare", f"{tmp_path / 'out'}@truth", f"{tmp_path / 'out'}@theirs", "--metric", "sad")
    assert re.search(r"\| sad \| 0\.0000 \|.*\| 100% \| A \|", compared.output)


def test_trap_97_pictures_without_a_partner_are_listed_and_strict_fails(built: Path, tmp_path: Path) -> None:
    mattes = off_by(built, tmp_path / "theirs", 0.1)
    (mattes / "fish" / "scenes-00.png").rename(mattes / "fish" / "other.png")
    done = run("score", str(mattes), str(built))
    assert "1 x has no truth: fish/other" in done.stderr
    assert re.search(r"12 x has no prediction: fish/absent-00, .* and 7 more", done.stderr)
    from mattelike.errors import MetricError, UsageError

    with pytest.raises(UsageError, match="--strict"):
        run("score", str(mattes), str(built), "--strict")
    photos.write_alpha(mattes / "sloth" / "scenes-00.png", np.zeros((72, 71), np.float32))
    with pytest.raises(MetricError, match=r"scenes-00\.png.*differ in shape"):
        run("score", str(mattes), str(built))
    with pytest.raises(UsageError, match="no name in common"):
        run("score", str(mattes / "sloth"), str(built))
    with pytest.raises(
        UsageError, match=r"reference-00\.png is a file and .*sloth is none: give two of a kind"
    ):
        run("score", str(mattes / "sloth"), str(built / "sloth" / "reference-00.png"))


def test_the_region_of_a_score_is_that_of_trimaps(tmp_path: Path) -> None:
    alpha = np.zeros((40, 40), np.float32)
    alpha[:, 20:] = 1
    trimap = np.full((40, 40), 0, np.float32)
    trimap[:, 18:22] = 0.5
    for name, values in (("pred", np.zeros_like(alpha)), ("true", alpha), ("tri", trimap)):
        (tmp_path / name).mkdir()
        photos.write_alpha(tmp_path / name / "a.png", values)
    words = ["score", str(tmp_path / "pred"), str(tmp_path / "true")]
    whole, part = run(*words), run(*words, "--region", "unknown", "--trimaps", str(tmp_path / "tri"))
    assert "| pred | 1 | **0.800** | **0.500**" in whole.output
    assert "| pred | 1 | **0.0800** | **0.500**" in part.output


def test_what_makes_no_sense_is_said_before_anything_is_loaded(built: Path, tmp_path: Path) -> None:
    from mattelike.errors import ModelNotFoundError, SettingsError, UsageError

    out = str(tmp_path / "out")
    with pytest.raises(UsageError, match="no method"):
        run("evaluate", str(built), "-o", out)
    with pytest.raises(SettingsError, match="no mark has the form 'lasso'"):
        run("evaluate", str(built), "-o", out, "-m", "embedded", "--form", "lasso")
    with pytest.raises(ModelNotFoundError, match="no method named 'u3net'"):
        run("evaluate", str(built), "-o", out, "-m", "u3net")
    assert not Path(out).exists()
