"""One process, or several under `torchrun`, that train one model together.

The batch of each step is split among the processes, and DistributedDataParallel averages their gradients. The number of
processes changes the speed of a run, but not which posts are in a step.
"""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

COLLECTIVE_TIMEOUT = timedelta(hours=6)
"""How long the other processes wait for the main process, which alone validates and writes files."""


@dataclass(frozen=True)
class World:
    """This process among all. rank: 0 is the main process, which alone writes files and logs. size: how many."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def all_reduce_sum(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes, the same bits in each."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(tensor)
        return [float(value) for value in tensor]

    def broadcast(self, values: Sequence[float]) -> list[float]:
        """The values of the main process, in every process."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        distributed.broadcast(tensor, src=0)
        return [float(value) for value in tensor]

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            distributed.barrier()


SINGLE_PROCESS = World()


def init_world() -> World:
    """Join the processes that `torchrun` started, or run as a single process. With CUDA each takes its own device."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return SINGLE_PROCESS
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT)
        atexit.register(distributed.destroy_process_group)
    return World(rank(), size)


def rank() -> int:
    """The rank of this process under `torchrun`; 0 for a single process."""
    return int(os.environ.get("RANK", "0"))
