"""The projection of weights that lie in parts on the ranks of a group: the very support of one process."""

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from sparsecore.commands.benchmarks.many_weights import project_many
from sparsecore.engine.projection.project import NotANumber, project_

Case = tuple[str, list[list[Tensor]], int]  # what it is, the tensors of each rank, the budget


def cases(ranks: int) -> list[Case]:
    source = torch.Generator().manual_seed(ranks)

    def normal(*sizes: int, dtype: torch.dtype = torch.float32) -> list[list[Tensor]]:
        return [[torch.randn(size, generator=source).to(dtype)] for size in sizes]

    even, uneven = (5_000,) * ranks, tuple(7 * 10**rank for rank in range(ranks))
    some = [[torch.randn(3, 4, generator=source), torch.randn(9, generator=source)] for _ in range(ranks)]
    made: list[Case] = [
        (f"{dtype} kept {part}", normal(*even, dtype=dtype), round(part * sum(even)))
        for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16)
        for part in (0.0, 0.02, 0.4, 1.0)
    ]
    made += [("uneven shards", normal(*uneven), sum(uneven) // 3)]
    made += [("several tensors on a rank", some, 20 * ranks)]
    made += [(f"ties, {keep} kept", [[torch.ones(6)] for _ in range(ranks)], keep) for keep in (1, 6, 7, 11)]
    made += [("all zero", [[torch.zeros(5)] for _ in range(ranks)], 3)]
    made += [("ranks without weights", [[], *normal(*(100,) * (ranks - 1))], 30)]
    rounded = [[part.round() for part in parts] for parts in normal(*even)]
    made += [("many equal", rounded, 1_234)]
    extreme = [torch.tensor([math.inf, -math.inf, 1e-45, -0.0, 0.0]) for _ in range(ranks)]
    return [*made, ("infinite and subnormal", [[w] for w in extreme], 2 * ranks + 1)]


def in_ranks(count: int, work: Callable[[int, int], Any], folder: Path) -> list[Any]:
    """What `work(rank, count)` returns in each of `count` processes of one gloo group."""
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        ranks = [pool.submit(_join_and_work, rank, count, work, folder / "store") for rank in range(count)]
        return [rank.result() for rank in ranks]


def _join_and_work(rank: int, count: int, work: Callable[[int, int], Any], store: Path) -> Any:
    torch.set_num_threads(1)
    where, patience = dist.FileStore(str(store), count), timedelta(seconds=120)
    dist.init_process_group("gloo", store=where, rank=rank, world_size=count, timeout=patience)
    done = work(rank, count)
    dist.barrier()
    dist.destroy_process_group()
    return done


def project_cases(
    rank: int, count: int
) -> list[tuple[list[list[float]], list[list[bool]], tuple[int, ...], float]]:
    done = []
    for _, parts, keep in cases(count):
        mine = parts[rank]
        masks = [torch.ones(w.shape, dtype=torch.bool) for w in mine]
        found = project_(mine, keep, masks=masks, group=dist.group.WORLD)
        done.append(
            ([w.tolist() for w in mine], [mask.tolist() for mask in masks], found.kept, found.threshold)
        )
    return done


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_support_is_that_of_one_process_bit_for_bit(count: int, tmp_path: Path):
    told = in_ranks(count, project_cases, tmp_path)
    for place, (name, parts, keep) in enumerate(cases(count)):
        alone = [w for part in parts for w in part]
        masks = [torch.ones(w.shape, dtype=torch.bool) for w in alone]
        done = project_(alone, keep, masks=masks)
        assert [w for rank in told for w in rank[place][0]] == [w.tolist() for w in alone], name
        assert [mask for rank in told for mask in rank[place][1]] == [mask.tolist() for mask in masks], name
        assert [kept for rank in told for kept in rank[place][2]] == list(done.kept), name
        assert {rank[place][3] for rank in told} == {done.threshold}, name


def project_reserved(rank: int, count: int) -> tuple[list[float], list[int]]:
    w = torch.arange(1.0, 6.0) + 10 * rank
    reserved, counts = torch.tensor([True, False, False, False, False]), torch.zeros(5, dtype=torch.int32)
    project_([w], 3, counts=[counts], reserved=[reserved], group=dist.group.WORLD)
    return w.tolist(), counts.tolist()


@pytest.mark.slow
def test_what_is_reserved_stays_on_every_rank_and_counts_go_up(tmp_path: Path):
    assert in_ranks(2, project_reserved, tmp_path) == [
        ([1.0, 0.0, 0.0, 0.0, 0.0], [1, 0, 0, 0, 0]),
        ([11.0, 0.0, 0.0, 0.0, 15.0], [1, 0, 0, 0, 1]),
    ]


def refused(rank: int, count: int) -> list[str]:
    group = dist.group.WORLD
    given: list[tuple[list[Tensor], int]] = [
        ([torch.tensor([1.0, math.nan if rank else 2.0])], 1),
        ([torch.ones(2)], 1 + rank),
        ([torch.ones(2)], 5),
        ([torch.ones(2, dtype=torch.float64 if rank else torch.float32)], 1),
        ([torch.ones(2, dtype=torch.int64 if rank else torch.float32)], 1),
    ]
    said = []
    for tensors, keep in given:
        before = [w.clone() for w in tensors]
        with pytest.raises(ValueError, match=r".") as error:
            project_(tensors, keep, group=group)
        assert all(
            torch.equal(w.nan_to_num(), then.nan_to_num()) for w, then in zip(tensors, before, strict=True)
        )
        said.append(f"{'NaN ' if isinstance(error.value, NotANumber) else ''}{error.value}")
    return said


def test_all_ranks_refuse_together_and_nobody_waits(tmp_path: Path):
    first, second = in_ranks(2, refused, tmp_path)
    assert "another rank" in first[0]
    assert second[0].startswith("NaN tensor 0")
    assert "keep must be the same on all ranks; got [1, 2]" in first[1] == second[1]
    assert "keep must be from 0 to 4" in first[2] == second[2]
    assert "same dtype on all ranks" in first[3] == second[3]
    assert "another rank rejected" in first[4]
    assert "got torch.int64" in second[4]


@pytest.mark.slow
def test_the_bench_of_many_weights_compares_with_one_process():
    told = project_many(3_000_000, "bfloat16", processes=2)
    assert told["exact"]
    assert told["same_support_as_one_process"]
    assert told["kept"] == 60_000


def train_sharded(rank: int, count: int) -> list[int]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 33), nn.Tanh(), nn.Linear(33, 17), nn.Tanh(), nn.Linear(17, 3))
    for layer in (model[0], model[2], model[4], model):
        fully_shard(layer, mesh=init_device_mesh("cpu", (count,)))
    weights = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def project(*_: Any) -> None:
        with torch.no_grad():
            project_([weight.to_local() for weight in weights], 88, group=dist.group.WORLD)

    optimizer.register_step_post_hook(project)
    found = []
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(16, 8)).square().mean().backward()
        optimizer.step()
        found.append(sum(int(weight.full_tensor().count_nonzero()) for weight in weights))
    return found


@pytest.mark.slow
def test_shards_of_fsdp2_keep_exactly_the_budget_over_all_ranks(tmp_path: Path):
    assert in_ranks(2, train_sharded, tmp_path) == [[88] * 4] * 2
