"""A long run takes no more memory than a short one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch.rooms import write

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from pathlib import Path
from mattelike.batch.jobs import Settings
from mattelike.batch.journal import Journal
from mattelike.batch.local import LocalEngine
from mattelike.batch.plan import plan_folder
from mattelike.batch.run import carry_out
from tests.batch.rooms import context_of, job_of
from tests.toy_model import toy

def held():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous"))

early, folder = int(sys.argv[1]), Path(sys.argv[2])
done, moments, predictor = [], [], toy()
def tell(outcome):
    done.append(outcome.result)
    if len(done) == early:
        moments.append(held())
plan = plan_folder([str(folder / "in")], folder / "out", Settings())
with Journal(plan.out) as journal:
    job = job_of(context_of(predictor), plan.out)
    carry_out(job, plan, LocalEngine(predictor), journal, tell=tell, warn=lambda: None)
print(len(done), moments[0], held())
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux says what is held")
@pytest.mark.parametrize(
    ("early", "count", "percent"), [(40, 100, 15), pytest.param(500, 3000, 8, marks=pytest.mark.slow)]
)
def test_trap_71_memory_is_flat(tmp_path: Path, early: int, count: int, percent: float) -> None:
    """What a process holds for itself, mapped files left out: stricter than all that is resident."""
    sizes = ((64, 96), (96, 64), (72, 84))
    for index in range(count):
        write(tmp_path / f"in/{index}.png", index, size=sizes[index % 3])
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(early), str(tmp_path)],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    photos, first, last = map(int, done.stdout.split())
    assert photos == count
    assert last <= first * (1 + percent / 100), f"{first} KiB after {early}, {last} KiB at the end"
