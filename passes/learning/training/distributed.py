"""Training in several processes: `torchrun` starts them, FSDP2 divides weights, gradients and optimizer state."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
from collections.abc import Iterator

import torch
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from passes.learning.training.torch_graph.block import Block


@dataclasses.dataclass(frozen=True)
class Processes:
    """The processes that train together.

    Attributes:
        rank: Of this one.
        count: Of all.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Adds a tensor up over all processes, in place."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Waits until all processes are here."""
        if self.count > 1:
            distributed.barrier()


def current_processes() -> Processes:
    """Returns the process group that was joined, else this process alone."""
    if not distributed.is_initialized():
        return Processes()
    return Processes(distributed.get_rank(), distributed.get_world_size())


@contextlib.contextmanager
def joined_processes() -> Iterator[Processes]:
    """Joins the processes that `torchrun` started; without `torchrun` there is one.

    The back end is nccl where there is a CUDA device for each process of this machine, else gloo.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or distributed.is_initialized():
        yield current_processes()
        return
    local_rank, local_count = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    use_cuda = torch.cuda.is_available() and torch.cuda.device_count() >= local_count
    if use_cuda:
        torch.cuda.set_device(local_rank)
    distributed.init_process_group("nccl" if use_cuda else "gloo")
    try:
        yield current_processes()
    finally:
        distributed.destroy_process_group()


def layer_modules(module: nn.Module) -> list[nn.Module]:
    """Returns the modules that are divided, offloaded or recomputed one at a time.

    These are the blocks of interpreted components, and the items of a model's outermost `nn.ModuleList`s.

    Args:
        module: Of any kind.
    """
    found: list[nn.Module] = []
    for child in module.children():
        if isinstance(child, Block):
            found.append(child)
        elif isinstance(child, nn.ModuleList):
            found.extend(child)
        else:
            found.extend(layer_modules(child))
    return found


def shard(root: nn.Module) -> None:
    """Divides a module's parameters over all processes, layer by layer (FSDP2), in place.

    A layer's parameters are gathered for its forward and backward pass. Parameters that several layers share, and
    those of no layer, belong to the root and are gathered while it runs. Scalars stay whole in every process.

    Args:
        root: On the device it trains on. Its `forward` must be what calls everything else.
    """
    scalars = {parameter for parameter in root.parameters() if parameter.ndim == 0}
    layers = layer_modules(root)
    uses = collections.Counter(id(parameter) for layer in layers for parameter in layer.parameters())
    for layer in layers:
        parameters = list(layer.parameters())
        if parameters and all(uses[id(parameter)] == 1 for parameter in parameters):
            fully_shard(layer, ignored_params=scalars)
    fully_shard(root, ignored_params=scalars)


def average_whole_gradients(module: nn.Module, processes: Processes) -> None:
    """Averages the gradients that FSDP2 leaves to us: those of parameters that are whole in every process."""
    if processes.count == 1:
        return
    for parameter in module.parameters():
        if parameter.grad is not None and not isinstance(parameter.grad, DTensor):
            processes.sum(parameter.grad).div_(processes.count)


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """Returns this process' part of a divided tensor; any other tensor as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def gathered(tensor: torch.Tensor) -> torch.Tensor:
    """Returns the whole of a tensor on the processor; all processes must call it."""
    whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole.detach().cpu()


def divided_like(whole: torch.Tensor, example: torch.Tensor) -> torch.Tensor:
    """Returns this process' view of a whole tensor, divided and placed as `example` is."""
    moved = whole.to(device=example.device, dtype=example.dtype)
    if not isinstance(example, DTensor):
        return moved
    return distribute_tensor(moved, example.device_mesh, example.placements, src_data_rank=None)
