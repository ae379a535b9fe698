"""It attaches inside Lightning's and Hugging Face's trainers, and every rank of DDP finds one support."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.sparsifier.base import Sparsifier

ROOT = Path(__file__).parents[2]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))


def data() -> TensorDataset:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(64, 4, generator=source)
    return TensorDataset(x, x[:, :2] ** 2)


def assert_exact(sparsifier: Sparsifier, steps: int) -> None:
    assert sparsifier.step == steps
    nonzeros = sum(int(layer.weight.count_nonzero()) for layer in sparsifier.layers)
    assert nonzeros == sparsifier.budgets()["global"] == 10


@pytest.mark.filterwarnings("ignore")
def test_lightning(tmp_path: Path):
    import pytorch_lightning as lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            return nn.functional.mse_loss(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
            self.sparsifier = HardThreshold(density=0.1).attach(self.network, optimizer)
            return optimizer

    module = Module()
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(data(), batch_size=16))
    assert_exact(module.sparsifier, steps=8)


class Examples(Dataset):
    """Rows as the dictionaries that Hugging Face's trainer takes."""

    def __init__(self) -> None:
        self.rows = data()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        x, y = self.rows[place]
        return {"x": x, "labels": y}


class Scored(nn.Module):
    """A network that gives its loss, as that trainer expects."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        fitted = self.network(x)
        return {"loss": nn.functional.mse_loss(fitted, labels), "logits": fitted}


@pytest.mark.filterwarnings("ignore")
def test_hugging_face(tmp_path: Path):
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Sparse(TrainerCallback):
        def __init__(self) -> None:
            self.sparsifier = HardThreshold(density=0.1)

        def on_train_begin(self, args, state, control, model, optimizer, **kwargs) -> None:
            self.sparsifier.attach(model, optimizer)

    sparse = Sparse()
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=16,
        gradient_accumulation_steps=2,
        num_train_epochs=3,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    Trainer(Scored(), arguments, train_dataset=Examples(), callbacks=[sparse]).train()
    assert_exact(sparse.sparsifier, steps=6)


RANK = """
import sys, torch, torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from sparsecore.engine.methods.hard_threshold import HardThreshold
rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
torch.manual_seed(rank)
model = DistributedDataParallel(nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 3)))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
sparsifier = HardThreshold(0.2, keep_alive=1).attach(model, optimizer)
for step in range(8):
    optimizer.zero_grad()
    model(torch.randn(10, 6)).square().mean().backward()
    optimizer.step()
torch.save([[layer.name for layer in sparsifier.layers], sparsifier.masks], out)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_every_rank_of_ddp_keeps_the_same_support(tmp_path: Path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    outs = [tmp_path / f"{rank}.pt" for rank in range(2)]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(tmp_path / "meet"), str(out)], env=environment
        )
        for rank, out in enumerate(outs)
    ]
    assert [rank.wait(120) for rank in ranks] == [0, 0]
    (names, masks), (_, others) = (torch.load(out, weights_only=True) for out in outs)
    assert names == ["0", "2"]
    assert all(torch.equal(a, b) for a, b in zip(masks, others, strict=True))
    assert sum(int(mask.sum()) for mask in masks) == round(0.2 * 180)
