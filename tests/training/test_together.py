"""Several processes train as one: the same weights as one process that gathers as many batches a step."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from mattelike.training import loop
from mattelike.training.together import ALONE, together

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from collections.abc import Sequence
from pathlib import Path
from tests.training.test_together import task
from mattelike.training import loop
from mattelike.training.together import together
team = together("cpu")
assert team.processes == 2
model = loop.run(task(steps=4, processes=2), Path(sys.argv[1]), team=team, stop_at=int(sys.argv[2]))
print(team.rank, sum(float(p.abs().sum()) for p in model.parameters()))
"""


class Numbers(torch.utils.data.Dataset[torch.Tensor]):
    """Batch i depends on i alone."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> torch.Tensor:
        return torch.randn(4, 3, generator=torch.Generator().manual_seed(number))


class Both(nn.Module):
    """A part that every batch uses, one that every second batch uses, one that none does."""

    def __init__(self) -> None:
        super().__init__()
        self.always, self.odd, self.never = nn.Linear(3, 1), nn.Linear(3, 1), nn.Linear(3, 1)


def task(steps: int, processes: int = 1, parts: int = 1) -> loop.Task:
    torch.manual_seed(0)
    model = Both()

    def judged(batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        y = model.always(batch)
        # By content, so that it does not matter in which process the batch is.
        if float(batch[0, 0]) > 0:
            y = y + model.odd(batch)
        loss = (y - batch.sum(dim=1, keepdim=True)).square().mean()
        return loss, {"square": loss}

    return loop.Task(
        model=model,
        optimiser=torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1),
        batches=Numbers(steps * processes * parts),
        judged=judged,
        rate=lambda step: 1e-2,
        steps=steps,
        recipe={},
        parts=parts,
        clip=1.0,
        workers=0,
    )


def in_two_processes(command: Sequence[str]) -> list[str]:
    """Output of two processes, as `accelerate launch` or torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    path = {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, **path, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    answers = [process.communicate(timeout=600) for process in started]
    assert [process.returncode for process in started] == [0, 0], answers
    return [out for out, _ in answers]


def launched(folder: Path, stop_at: int) -> list[str]:
    return in_two_processes([sys.executable, "-c", PROGRAM, str(folder), str(stop_at)])


def test_trap_101_two_processes_stop_resume_and_equal_one_with_two_parts_a_step(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="needs the extra train")
    launched(tmp_path / "two", 2)
    answers = launched(tmp_path / "two", 4)
    # Both hold the same weights, and the first alone wrote.
    assert len({answer.split()[1] for answer in answers}) == 1
    assert len((tmp_path / "two" / "log.jsonl").read_text().splitlines()) == 4
    alone = loop.run(task(steps=4, parts=2), tmp_path / "one")
    start = task(steps=4).model.state_dict()
    saved = torch.load(tmp_path / "two" / "average.pt", weights_only=True)["model"]
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(saved[name], value, rtol=1e-6, atol=1e-7)
        # What no batch uses is left alone, by weight decay too.
        assert torch.equal(value, start[name]) == name.startswith("never")


def test_a_process_alone_needs_no_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert together("cpu").accelerator is None
    assert ALONE.first
