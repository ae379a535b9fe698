"""A sweep as a plain script: one process, dense PyTorch, `torch.topk` and a mask after each step.

`python -m sparsecore.commands.benchmarks.plain_sweep MAX_STEPS THETA METHOD:DENSITY:SEED …` prints one JSON
line per run. The script uses nothing of this package: data, network, optimiser and stop rules of sinc are
written out.
"""

import json
import sys

import numpy as np
import torch
from torch import Tensor, nn

POINTS, RANGE, NOISE = 300, 10.0, 0.005
LEARNING_RATE = 1e-3
COLLAPSE_STEPS = 50


def points(seed: int, part: int) -> tuple[Tensor, Tensor]:
    """Draw noisy points of sin(x)/x."""
    stream = np.random.default_rng([seed, part])
    x = stream.uniform(-RANGE, RANGE, POINTS)
    y = np.sinc(x / np.pi) + stream.normal(0.0, np.sqrt(NOISE), POINTS)
    return torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32)


def prune(weights: list[Tensor], density: float) -> None:
    """Keep the share `density` of these weights: the largest, over all tensors together."""
    flat = torch.cat([weight.abs().flatten() for weight in weights])
    threshold = torch.topk(flat, round(density * flat.numel())).values[-1]
    for weight in weights:
        weight.mul_(weight.abs() >= threshold)


def train(method: str, density: float, seed: int, max_steps: int, theta: float) -> dict[str, object]:
    """Train one run until ‖Δw‖ < θ, until a layer has been empty for 50 steps, or to the last step."""
    x, y = points(seed, 1)
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(1, 200), nn.Sigmoid(), nn.Linear(200, 300), nn.Sigmoid(), nn.Linear(300, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    layers = {"dense": [], "global": [0, 2, 4], "layerwise": [2]}[method]
    weights = [model[place].weight for place in layers]
    step, empty, reason = 0, 0, "max_steps"
    while step < max_steps:
        step += 1
        before = [parameter.detach().clone() for parameter in model.parameters()]
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            if weights:
                prune(weights, density)
            moves = [p - b for p, b in zip(model.parameters(), before, strict=True)]
            moved = torch.sqrt(sum(move.square().sum() for move in moves))
        empty = empty + 1 if any(not weight.any() for weight in weights) else 0
        if empty >= COLLAPSE_STEPS or moved < theta:
            reason = "collapsed" if empty else "converged"
            break
    test_x, test_y = points(seed, 2)
    with torch.no_grad():
        rmse = float((model(test_x) - test_y).square().mean().sqrt())
    return {"method": method, "density": density, "seed": seed, "steps": step, "reason": reason, "rmse": rmse}


if __name__ == "__main__":
    for cell in sys.argv[3:]:
        method, density, seed = cell.split(":")
        row = train(method, float(density), int(seed), int(sys.argv[1]), float(sys.argv[2]))
        print(json.dumps(row), flush=True)
