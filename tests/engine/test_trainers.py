"""A run that Lightning's or Hugging Face's trainer resumes goes on as if never stopped; DDP's ranks agree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import sparsecore
from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.sparsifier.schedules import Cubic

ROOT = Path(__file__).parents[2]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))


def data() -> TensorDataset:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(64, 4, generator=source)
    return TensorDataset(x, x[:, :2] ** 2)


def sparsifier(mode: str) -> HardThreshold:
    return HardThreshold(Cubic(1.0, 0.1, steps=11), mode=mode)


def assert_same(one: HardThreshold, resumed: HardThreshold) -> None:
    assert (one.step, resumed.step) == (12, 12)
    assert one.density == resumed.density == 0.1
    assert sum(int(layer.weight.count_nonzero()) for layer in resumed.layers) == 10
    for mine, theirs in ((one.masks, resumed.masks), (one.counts, resumed.counts)):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(one.layers, resumed.layers, strict=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["iht", "latent"])
def test_a_run_of_lightning_resumes(mode: str, tmp_path: Path):
    lightning = pytest.importorskip("pytorch_lightning", reason="Lightning is not installed")

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            return nn.functional.mse_loss(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    def fit(checkpoint: Path | None) -> HardThreshold:
        ours = sparsecore.LightningCallback(sparsifier(mode))
        every = lightning.callbacks.ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = lightning.Trainer(max_epochs=3, accelerator="cpu", callbacks=[ours, every], **quiet)
        trainer.fit(Module(), DataLoader(data(), batch_size=16), ckpt_path=checkpoint)
        return ours.sparsifier

    assert_same(fit(None), fit(tmp_path / "epoch=1.ckpt"))


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
@pytest.mark.parametrize("mode", ["iht", "latent"])
def test_a_run_of_hugging_face_resumes(mode: str, tmp_path: Path):
    transformers = pytest.importorskip("transformers", reason="Transformers is not installed")

    def train(checkpoint: Path | None) -> HardThreshold:
        ours = sparsecore.HuggingFaceCallback(sparsifier(mode))
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=8,
            gradient_accumulation_steps=2,
            max_steps=12,
            save_steps=6,
            lr_scheduler_type="constant",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = transformers.Trainer(Scored(), arguments, train_dataset=Examples(), callbacks=[ours])
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        return ours.sparsifier

    assert_same(train(None), train(tmp_path / "checkpoint-6"))


def test_a_checkpoint_without_the_sparsifiers_file_resumes_the_step_and_tells(tmp_path: Path):
    transformers = pytest.importorskip("transformers", reason="Transformers is not installed")
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    ours = sparsecore.HuggingFaceCallback(sparsifier("iht"))
    state = transformers.TrainerState(global_step=6)
    with pytest.warns(UserWarning, match=r"checkpoint-6/sparsifier.pt: the sparsifier goes on at step 0"):
        ours.on_train_begin(
            transformers.TrainingArguments(output_dir=str(tmp_path), use_cpu=True),
            state,
            None,
            model=model,
            optimizer=optimizer,
        )


@pytest.mark.parametrize(
    ("name", "module", "libraries"),
    [
        ("HuggingFaceCallback", "hugging_face", ["transformers"]),
        ("LightningCallback", "lightning", ["lightning", "pytorch_lightning"]),
    ],
)
def test_a_callback_says_what_to_install(
    name: str, module: str, libraries: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delitem(sys.modules, f"sparsecore.engine.callbacks.{module}", raising=False)
    for library in libraries:
        monkeypatch.setitem(sys.modules, library, None)  # an import of it raises
    with pytest.raises(ImportError, match=f"{name} needs .*: pip install {libraries[0]}"):
        getattr(sparsecore, name)


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
