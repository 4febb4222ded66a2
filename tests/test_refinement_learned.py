"""The edge network's way: asked only where alpha is open or wrong, in tiles without seams."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mattelike.errors import PhotoError
from mattelike.refinement import from_trimap, learned, refine


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def disc(height: int, width: int, soft: float = 4.0) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    away = np.hypot(rows - height / 2, columns - width / 2)
    return np.clip((min(height, width) / 3 - away) / soft + 0.5, 0, 1).astype(np.float32)


class Watching:
    """A network that believes the guess, or a green photo, and keeps what it was asked."""

    def __init__(self, *, wrong: tuple[int, int] | None = None, green: bool = False) -> None:
        self.asked: list[np.ndarray] = []
        self.wrong = wrong
        self.green = green

    def __call__(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert seen.shape[:2] == (1, 5) and seen.dtype == np.float32 and seen.flags["C_CONTIGUOUS"]
        assert all(side % learned.STEP == 0 for side in seen.shape[2:])
        assert set(np.unique(seen[0, 4])) <= {0, 1}
        known = seen[0, 3][seen[0, 4] == 0]
        assert ((known == 0) | (known == 1)).all()
        self.asked.append(seen)
        doubt = np.zeros((seen.shape[2] // 4, seen.shape[3] // 4), np.float32)
        if self.wrong is not None and seen[0, 4].all():
            doubt[self.wrong] = 1
        return (seen[0, 1] if self.green else seen[0, 3]).copy(), doubt


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (3, 3), (50, 61), (333, 200)])
def test_trap_43_and_46_any_size_comes_back_at_its_own(size) -> None:
    coarse = disc(40, 40) if min(size) > 3 else np.array([[0, 1]], np.float32)
    alpha = refine(photo(*size), coarse, network=Watching()).alpha
    assert alpha.shape == size and alpha.dtype == np.float32
    assert alpha.min() >= 0 and alpha.max() <= 1


def test_what_is_known_is_zero_or_one_and_costs_nothing() -> None:
    network = Watching()
    alpha = refine(photo(1024, 4096), disc(256, 1024, 2), network=network, band=2).alpha
    assert alpha[512, 2048] == 1 and alpha[0, 0] == 0
    seen = sum(each[0, 4].size for each in network.asked[1:])
    assert seen < 0.6 * 1024 * 4096  # all levels together, margins and all


def test_where_the_network_doubts_it_is_asked_and_may_answer() -> None:
    coarse = disc(400, 400)
    pixels = np.zeros((400, 400, 3), np.uint8)
    pixels[20:28, 20:28] = 255  # a strand the coarse alpha has lost
    assert refine(pixels, coarse, network=Watching(green=True)).alpha[24, 24] == 0
    found = refine(pixels, coarse, network=Watching(green=True, wrong=(3, 3))).alpha
    assert found[24, 24] == 1
    assert found[380, 24] == 0


def test_what_the_first_model_doubts_is_asked_too() -> None:
    coarse, doubt = disc(400, 400), np.zeros((400, 400), np.float32)
    doubt[20:28, 20:28] = 0.5
    pixels = np.zeros((400, 400, 3), np.uint8)
    pixels[20:28, 20:28] = 255
    found = refine(pixels, coarse, uncertainty=doubt, network=Watching(green=True)).alpha
    assert found[24, 24] == 1


def test_trap_56_without_a_sure_pixel_the_reason_is_given_and_nothing_is_asked() -> None:
    network = Watching()
    answer = refine(photo(60, 80), np.full((15, 20), 0.4, np.float32), network=network)
    assert "nothing in this photo is surely" in answer.reason and not network.asked


def test_a_trimap_is_kept_to_the_last_bit() -> None:
    trimap = np.full((90, 120), 0.5, np.float32)
    trimap[:30], trimap[60:] = 0, 1
    alpha = from_trimap(photo(90, 120), trimap, Watching(green=True))
    assert (alpha[:30] == 0).all() and (alpha[60:] == 1).all()
    assert alpha[40:50].std() > 0.1
    with pytest.raises(PhotoError, match="do not fit"):
        from_trimap(photo(90, 121), trimap, Watching())


def test_trap_45_tiles_change_nothing_for_a_network_that_sees_no_further_than_the_margin() -> None:
    def nearby(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        padded = np.pad(seen[0, 0], 8, mode="edge")
        mean = sum(np.roll(padded, (i, j), (0, 1)) for i in (-8, 0, 8) for j in (-8, 0, 8))[8:-8, 8:-8] / 9
        return mean.astype(np.float32), np.zeros((seen.shape[2] // 4, seen.shape[3] // 4), np.float32)

    pixels, coarse = photo(500, 640), disc(250, 320)
    whole = refine(pixels, coarse, network=nearby, tile=4096).alpha
    for tile in (32, 112, 512):
        assert np.array_equal(refine(pixels, coarse, network=nearby, tile=tile).alpha, whole)


def test_sixteen_bits_are_seen_as_eight_are() -> None:
    pixels, coarse = photo(128, 128), disc(64, 64)
    eight = refine(pixels, coarse, network=Watching(green=True)).alpha
    sixteen = refine(pixels.astype(np.uint16) * 257, coarse, network=Watching(green=True)).alpha
    assert np.abs(eight - sixteen).max() < 0.01


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("Failed to allocate memory")])
def test_trap_67_where_memory_runs_out_tiles_become_smaller_and_the_answer_stays(error: Exception) -> None:
    def answering(largest: int, asked: list[int]) -> learned.EdgeNetwork:
        def network(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            asked.append(max(seen.shape[2:]))
            if asked[-1] > largest:
                raise error
            return 0.5 * seen[0, 0] + 0.5 * seen[0, 3], np.zeros(
                (seen.shape[2] // 4, seen.shape[3] // 4), np.float32
            )

        return network

    pixels, coarse, plenty, little = photo(700, 800), disc(350, 400), [0], [0]
    whole = refine(pixels, coarse, network=answering(9999, plenty)).alpha
    alpha = refine(pixels, coarse, network=answering(320, little)).alpha
    assert max(plenty) > 600
    assert sum(side > 320 for side in little) == 2  # 512 and 256 are tried once each, not at every tile
    assert np.array_equal(alpha, whole)
    trimap = np.where(np.abs(disc(700, 800, 200) - 0.5) < 0.5, np.float32(0.5), disc(700, 800, 0.01))
    assert from_trimap(pixels, trimap, answering(320, little)).shape == (700, 800)
    with pytest.raises(type(error)):
        refine(pixels, coarse, network=answering(192, []))
    with pytest.raises(ZeroDivisionError):  # any other fault is what it is, at once
        refine(pixels, coarse, network=lambda seen: 1 / 0)


LITTLE_ROOM = """
import resource
import numpy as np
from mattelike.models.refiner import edge_network
from mattelike.refinement import refine

network, asked = edge_network(1), []

def watched(seen):
    try:
        answer = network(seen)
    except Exception as error:
        asked.append(f"{max(seen.shape)} refused: {error}")
        raise
    asked.append(f"{max(seen.shape)}")
    return answer

rows, columns = np.mgrid[:900, :900]
away = np.hypot(rows - 450, columns - 450)
alpha = np.clip((300 - away) / 4 + 0.5, 0, 1).astype(np.float32)
pixels = (255 * alpha)[..., None].repeat(3, 2).astype(np.uint8)
refine(pixels[:64, :64], alpha[::4, ::4][:16, :16], network=network)
network(np.zeros((1, 5, 64, 64), np.float32))
status = open("/proc/self/status").read()
used = int(status.split("VmSize:")[1].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 90_000_000, -1))
answer = refine(pixels, np.ascontiguousarray(alpha[::4, ::4]), network=watched).alpha
refused = [line for line in asked if "refused" in line]
assert refused and all("allocate" in line for line in refused), asked
assert np.abs(answer - alpha).mean() < 0.01, np.abs(answer - alpha).mean()
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")
def test_trap_67_the_shipped_network_fits_into_little_memory_by_smaller_tiles() -> None:
    done = subprocess.run([sys.executable, "-c", LITTLE_ROOM], capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr
