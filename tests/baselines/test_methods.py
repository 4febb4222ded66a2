"""Methods that need no weights, and the ways in for systems that cannot be installed here."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from mattelike import baselines, photos
from mattelike.baselines import BASELINES, Hint, Method, Trimap, asked, neighbours
from mattelike.baselines.command import Command, words_of
from mattelike.baselines.free import Free
from mattelike.baselines.laplacian import solved
from mattelike.baselines.nearest import Nearest
from mattelike.baselines.predicting import Predicting
from mattelike.errors import ModelDamagedError, ModelError, ModelNotFoundError, PromptError, SettingsError
from mattelike.evaluation.protocols import unknown
from mattelike.models import MODELS
from mattelike.prompts import Box, Mask, Points
from mattelike.values import Float32, Photo
from tests.scenes import Scene, disc
from tests.toy_model import ToyModel

REFERENCE = disc(96, 128, seed=1)
TARGET = disc(104, 90, seed=1)


def photo_of(scene: Scene, name: str = "group/target.png") -> Photo:
    return photos.read(scene.pixels, name=name)


def difference(method: Method, hint: Hint | None = None) -> float:
    """Mean error on a target that is as easy as can be."""
    given = [] if method.help == "nothing" else [(photo_of(REFERENCE), hint or Mask(REFERENCE.alpha > 0.5))]
    if method.help in ("marks", "trimap"):
        given = [(photo_of(TARGET), hint or Trimap(unknown(TARGET.alpha, 6)))]
    answer = method.matte(photo_of(TARGET), method.encode(given))
    assert answer.alpha.shape == TARGET.alpha.shape and answer.alpha.dtype == np.float32
    assert answer.alpha.min() >= 0 and answer.alpha.max() <= 1
    assert answer.presence is None or 0 <= answer.presence <= 1
    return float(np.abs(answer.alpha - TARGET.alpha).mean())


# --- the table ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_every_row_leads_to_a_function_that_takes_its_options(name: str) -> None:
    row = BASELINES[name]
    module, function = row.target.split(":")
    found = getattr(import_module(module), function)
    taken = set(found.__annotations__) - {"return", "device", "threads"}
    assert taken == set(row.options)
    assert row.summary and row.name == name and name not in MODELS


def test_an_unknown_name_or_option_says_what_there_is() -> None:
    with pytest.raises(ModelNotFoundError, match=r"there are: embedded, .*nearest"):
        baselines.load("deeplab")
    with pytest.raises(ModelNotFoundError, match="takes no option 'colour'; it takes: none"):
        baselines.load("knn", colour="red")
    with pytest.raises(ModelNotFoundError, match="takes no option 'colour'"):
        baselines.load("imagenet", colour="red")


def test_every_model_is_a_method() -> None:
    method = baselines.load("imagenet", device="cpu", threads=1, refine=True)
    assert isinstance(method, Method) and method.help == "references"
    assert method.about["refine"] == "true" and len(method.about["weights"]) == 64


# --- without weights ---------------------------------------------------------------------------------


def test_nearest_takes_the_side_of_the_likest_token() -> None:
    method = Nearest(ToyModel())
    assert difference(method) < 0.06
    context = method.encode([(photo_of(REFERENCE), Mask(REFERENCE.alpha > 0.5))])
    assert set(np.unique(context.thing)) == {False, True}
    absent = photos.read(np.full((80, 80, 3), (30, 130, 60), np.uint8))
    answer = method.matte(absent, context)
    assert answer.alpha.max() == 0


def test_nearest_knows_only_clicks_as_the_thing_where_clicks_are_given() -> None:
    method = Nearest(ToyModel())
    context = method.encode([(photo_of(REFERENCE), Points([(64, 48)]))])
    assert context.thing.sum() == 1 and len(context.thing) > 100
    several = method.encode([(photo_of(REFERENCE), Points([(64, 48)]))] * 2)
    assert several.thing.sum() == 2


def test_free_is_the_training_free_head_on_another_models_features() -> None:
    assert difference(Predicting(Free(ToyModel()))) < 0.05  # type: ignore[arg-type]
    with pytest.raises(ModelNotFoundError, match="brings no weights"):
        baselines.load("free", backbone="dino")


def test_grabcut_starts_from_the_box_of_what_was_propagated() -> None:
    pytest.importorskip("cv2", reason="needs the extra baselines")
    from mattelike.baselines.grabcut import GrabCut

    method = GrabCut(Nearest(ToyModel()))
    assert difference(method) < 0.05
    assert method.about["box by backbone"] == "toy"
    context = method.encode([(photo_of(REFERENCE), Mask(REFERENCE.alpha > 0.5))])
    first, second = (method.matte(photo_of(TARGET), context).alpha for _ in range(2))
    assert np.array_equal(first, second), "its random start is fixed"
    absent = photos.read(np.full((80, 80, 3), (30, 130, 60), np.uint8))
    assert method.matte(absent, context).alpha.max() == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most"), [("closed-form", 0.02), ("knn", 0.03)])
def test_pymatting_solves_a_trimap(name: str, most: float) -> None:
    pytest.importorskip("pymatting", reason="needs the extra baselines")
    method = baselines.load(name)
    assert difference(method) < most
    with pytest.raises(PromptError, match="needs a trimap"):
        method.encode([(photo_of(TARGET), Box(10, 10, 40, 40))])


@pytest.mark.slow
def test_knn_matting_answers_as_pymatting_does_from_all_pixels() -> None:
    pymatting = pytest.importorskip("pymatting", reason="needs the extra baselines")
    trimap = unknown(TARGET.alpha, 4).astype(np.float64)
    image = photos.to_srgb(photo_of(TARGET)).astype(np.float64)
    ours = neighbours.estimate(image, trimap)
    theirs = np.where(trimap == 0.5, pymatting.estimate_alpha_knn(image, trimap), trimap)
    assert np.abs(ours - theirs).max() < 0.01 and np.abs(ours - theirs).mean() < 1e-3
    assert ours[trimap != 0.5].tolist() == trimap[trimap != 0.5].tolist()


@pytest.mark.parametrize(("sure", "expected"), [(1, 1), (0, 0)])
def test_trap_56_a_trimap_with_one_side_has_that_value_everywhere(sure: int, expected: int) -> None:
    def estimate(image: object, trimap: object) -> None:
        raise AssertionError("there is nothing to estimate")

    trimap = np.full(TARGET.alpha.shape, 0.5, np.float32)
    trimap[:10] = sure
    found = solved(estimate, photo_of(TARGET), trimap)  # type: ignore[arg-type]
    assert (found == expected).all()
    nothing = solved(estimate, photo_of(TARGET), np.full(TARGET.alpha.shape, 0.5, np.float32))  # type: ignore[arg-type]
    assert (nothing == 0.5).all()


# --- what a method is given --------------------------------------------------------------------------


def test_a_band_has_the_width_it_was_given() -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[20:40, 20:40] = True
    levels = asked.pseudo_trimap(mask, 3, 5)
    assert np.array_equal(np.flatnonzero(levels[30] == 0.5), [*range(15, 23), *range(37, 45)])
    thin = asked.pseudo_trimap(mask & (np.arange(60) == 25), 3, 5)
    assert set(np.unique(thin)) == {0, 0.5}, "thinner than the band: nothing is sure to be the thing"


def test_clicks_stand_well_inside_a_mark_and_far_apart() -> None:
    mask = np.zeros((80, 90), np.bool_)
    mask[10:70, 15:80] = True
    found = asked.clicks(mask, 5)
    assert found.shape == (5, 2) and mask[tuple(found.T)].all()
    assert np.abs(found[0] - [39.5, 47]).max() < 3
    assert np.array_equal(asked.clicks(mask, 5), found)
    lone = np.zeros((80, 90), np.bool_)
    lone[7, 8] = lone[50, 60] = True
    assert sorted(asked.clicks(lone).tolist()) == [[7, 8], [50, 60]], "clicks stay what they are"
    assert asked.clicks(np.zeros((5, 5), np.bool_)).shape == (0, 2)


# --- removers ----------------------------------------------------------------------------------------


def graph(path: Path, shape: list[object], *, outputs: int = 1) -> Path:
    """A network whose map is how red a pixel is, as it was fed."""
    onnx = pytest.importorskip("onnx", reason="needs the extra train")
    helper, kinds = onnx.helper, onnx.TensorProto
    weights = helper.make_tensor("w", kinds.FLOAT, [1, 3, 1, 1], [1.0, 0.0, 0.0])
    node = helper.make_node("Conv", ["photo", "w"], ["map"])
    size = shape[2:]
    given = helper.make_tensor_value_info("photo", kinds.FLOAT, shape)
    found = helper.make_tensor_value_info("map", kinds.FLOAT, [1, 1, *size])
    model = helper.make_model(
        helper.make_graph([node], "red", [given], [found], [weights]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(("shape", "side"), [("u2net", 320), ("isnet", 1024), ("u2net", 64)])
def test_a_remover_is_shown_the_photo_as_its_family_wants_it(tmp_path: Path, shape: str, side: int) -> None:
    size: list[object] = [1, 3, side, side] if side == 64 else [1, 3, "h", "w"]
    method = baselines.load("remover", device="cpu", file=str(graph(tmp_path / "m.onnx", size)), shape=shape)
    assert method.help == "nothing" and method.encode([]) is None
    red = photos.read(np.dstack([np.linspace(0, 255, 50, dtype=np.uint8)[None].repeat(40, 0)] * 3))
    alpha = method.matte(red, None).alpha
    assert alpha.shape == (40, 50)
    # Stretched to its own extremes, as the published scripts do.
    assert alpha.min() < 0.02 and alpha.max() > 0.98
    assert (np.diff(alpha[20]) >= -1e-6).all()


def test_a_remover_can_be_left_unstretched(tmp_path: Path) -> None:
    file = str(graph(tmp_path / "m.onnx", [1, 3, 64, 64]))
    gray = photos.read(np.full((20, 20, 3), 204, np.uint8))
    plain = baselines.load("remover", device="cpu", file=file, shape="isnet", stretch=False)
    np.testing.assert_allclose(plain.matte(gray, None).alpha, 204 / 255 - 0.5, atol=1e-3)
    flat = baselines.load("remover", device="cpu", file=file, shape="isnet")
    assert np.isfinite(flat.matte(gray, None).alpha).all(), "a flat map is not stretched"


def test_a_remover_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no file was given; give file=MODEL\.onnx"):
        baselines.load("remover")
    with pytest.raises(ModelNotFoundError, match=r"gone\.onnx: no such file"):
        baselines.load("remover", file="gone.onnx")
    with pytest.raises(ModelNotFoundError, match="there are: u2net, isnet"):
        baselines.load("remover", file="x.onnx", shape="birefnet")
    (tmp_path / "no.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelDamagedError, match="onnxruntime cannot open it"):
        baselines.load("remover", file=str(tmp_path / "no.onnx"))


# --- programs and folders ----------------------------------------------------------------------------

STAND_IN = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
image, out, *rest = sys.argv[1:]
rgb = np.asarray(Image.open(image).convert("RGB"))
Path(sys.argv[0]).with_suffix(".said").write_text(json.dumps(rest))
for name in rest:
    if name.endswith(".png"):
        Image.open(name).load()
Image.fromarray(rgb[..., 0]).save(out)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    pytest.importorskip("PIL", reason="the stand-in reads with Pillow")
    path = tmp_path / "stand_in.py"
    path.write_text(STAND_IN)
    return path


def run(program: Path, words: str, given: str, hint: Hint | None, own: bool = False) -> Float32:
    method = baselines.load(
        "command", run=f"{sys.executable} {program} {{image}} {{out}} {words}", given=given
    )
    target = photo_of(TARGET)
    references = [] if hint is None else [(target if own else photo_of(REFERENCE, "ref"), hint)]
    return method.matte(target, method.encode(references)).alpha


def test_a_program_is_run_with_what_it_asks_for(program: Path) -> None:
    expected = TARGET.pixels[..., 0] / np.float32(255)
    found = run(program, "{reference} {reference_mask} {points} {box}", "references", Box(30, 20, 90, 70))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    said = program.with_suffix(".said").read_text()
    assert "30,20,90,70" in said and "reference_mask.png" in said and said.count(";") == 4
    run(program, "{mask} {points}", "marks", Points([(40, 50)]), own=True)
    assert '"40,50"' in program.with_suffix(".said").read_text()
    run(program, "{trimap}", "trimap", Trimap(unknown(TARGET.alpha, 4)), own=True)
    run(program, "", "nothing", None)


def test_a_program_that_fails_says_why(program: Path, tmp_path: Path) -> None:
    def failing(code: str, **more: object) -> Command:
        script = tmp_path / "bad.py"
        script.write_text(code)
        words = f"{sys.executable} {script} {{image}} {{out}}"
        return Command(words, "nothing", more.get("timeout", 60), "")  # type: ignore[arg-type]

    for code, message in (
        ("import sys; sys.exit('no GPU here')", "ended with code 1: no GPU here"),
        ("pass", "wrote no matte for group/target.png"),
    ):
        with pytest.raises(ModelError, match=message):
            failing(code).matte(photo_of(TARGET), ())
    with pytest.raises(ModelError, match=r"not finished after 0\.3 s"):
        failing("import time; time.sleep(20)", timeout=0.3).matte(photo_of(TARGET), ())
    small = "import sys\nfrom PIL import Image\nImage.new('L', (5, 4)).save(sys.argv[2])"
    with pytest.raises(ModelError, match="has 5 x 4 pixels, not 90 x 104; nothing is resized"):
        failing(small).matte(photo_of(TARGET), ())
    with pytest.raises(ModelError, match="cannot be run"):
        Command("/no/such/program {image} {out}", "nothing", 5, "").matte(photo_of(TARGET), ())


def test_a_command_is_checked_before_anything_is_run() -> None:
    for words, message in (
        ("", "give run=COMMAND"),
        ("prog {image}", r"where alpha is written to: \{out\}"),
        ("prog {picture} {out}", r"no use for \{picture\}"),
        ("prog '{out}", "not a command line"),
    ):
        with pytest.raises(SettingsError, match=message):
            words_of(words)
    with pytest.raises(SettingsError, match="given='depth'"):
        baselines.load("command", run="prog {out}", given="depth")
    method = baselines.load("command", run="prog {trimap} {out}", given="marks")
    target = photo_of(TARGET)
    with pytest.raises(SettingsError, match=r"wants \{trimap\}, which is not given with 'marks'"):
        method.matte(target, method.encode([(target, Mask(TARGET.alpha > 0.5))]))


def test_no_shell_reads_the_command(program: Path, tmp_path: Path) -> None:
    words = f"{sys.executable} {program} {{image}} {{out}} '; touch {tmp_path / 'owned'}'"
    method = baselines.load("command", run=words, given="nothing")
    method.matte(photo_of(TARGET), ())
    assert not (tmp_path / "owned").exists()


def test_a_folder_of_outputs_is_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "theirs" / "group").mkdir(parents=True)
    photos.write_alpha(tmp_path / "theirs" / "group" / "target.png", TARGET.alpha)
    method = baselines.load("outputs", folder=str(tmp_path / "theirs"), given="trimap", version="1.2")
    assert method.help == "trimap" and method.about["version"] == "1.2"
    alpha = method.matte(photo_of(TARGET), method.encode([])).alpha
    np.testing.assert_allclose(alpha, TARGET.alpha, atol=0.5 / 255 + 1e-6)
    with pytest.raises(ModelError, match=r"theirs: wrote no matte for other\.jpg"):
        method.matte(photo_of(TARGET, "other.jpg"), None)
    with pytest.raises(ModelNotFoundError, match="give folder=FOLDER"):
        baselines.load("outputs", folder=str(tmp_path / "nowhere"))
    with pytest.raises(ModelNotFoundError, match="no folder was given; give folder=FOLDER"):
        baselines.load("outputs")


def test_other_mattes_in_a_folder_of_outputs_are_another_method(tmp_path: Path) -> None:
    def about() -> object:
        return baselines.load("outputs", folder=str(tmp_path)).about

    photos.write_alpha(tmp_path / "target.png", TARGET.alpha)
    first = about()
    (tmp_path / "log.txt").write_text("no matte")
    assert about() == first
    photos.write_alpha(tmp_path / "target.png", 1 - TARGET.alpha)
    assert about() != first
