"""One process, or several under `torchrun`, that train one model together.

Each step's batch is cut into as many parts as there are processes; their gradients are averaged by
DistributedDataParallel. So the number of processes changes how fast a run is, and not which posts a step sees.
"""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

PATIENCE = timedelta(hours=6)
"""How long the others wait for the first process, which alone validates and writes."""


@dataclass(frozen=True)
class World:
    """Who we are. rank: 0 for the first process, which alone writes files and talks. size: how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and talks."""
        return self.rank == 0

    def total(self, values: Sequence[float]) -> list[float]:
        """The sum over all processes, the same bits in each."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(tensor)
        return [float(value) for value in tensor]

    def shared(self, values: Sequence[float]) -> list[float]:
        """The first process's values, in each; the others' are ignored."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        distributed.broadcast(tensor, src=0)
        return [float(value) for value in tensor]

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()


ALONE = World()


def join() -> World:
    """The processes that `torchrun` started, or this one alone. CUDA processes take one device each."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)
        atexit.register(distributed.destroy_process_group)
    return World(rank(), size)


def rank() -> int:
    """Which of `torchrun`'s processes this is; 0 alone."""
    return int(os.environ.get("RANK", "0"))
