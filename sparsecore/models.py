"""The networks of the thesis: a sigmoid perceptron and a Transformer encoder that classifies texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Perceptron(nn.Module):
    """Linear layers with sigmoids between: f(x) = W₃ρ(W₂ρ(W₁x + b₁) + b₂) + b₃ (thesis, section 3.1).

    Input (N, widths[0]), output (N, widths[-1]); PyTorch's default initial weights.

    >>> sum(w.numel() for w in Perceptron((1, 200, 300, 1)).parameters() if w.ndim == 2)
    60500
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.depth = len(widths) - 1
        for place in range(self.depth):
            self.add_module(f"fc{place + 1}", nn.Linear(widths[place], widths[place + 1]))

    def forward(self, x: Tensor) -> Tensor:
        for place in range(1, self.depth):
            x = torch.sigmoid(self.get_submodule(f"fc{place}")(x))
        return self.get_submodule(f"fc{self.depth}")(x)


class EncoderBlock(nn.Module):
    """Self-attention without an output projection, then a feed-forward pair; post-norm residuals.

    Five weight matrices, 3·width² + 2·width·hidden weights: 458,752 at the thesis's 256 and 512.
    Input and output (N, length, width); `padding` (N, length) is True where there is no token.
    """

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.output_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        attended = functional.scaled_dot_product_attention(
            split(self.query(x)), split(self.key(x)), split(self.value(x)), attn_mask=~padding[:, None, None]
        )
        x = self.attention_norm(x + attended.transpose(1, 2).flatten(2))
        return self.output_norm(x + self.contract(torch.relu(self.expand(x))))


class TextClassifier(nn.Module):
    """Embedding, encoder blocks, and one linear layer over the flattened tokens (thesis, Figure 3-13).

    Input (N, length) of token numbers, 0 for padding; output (N, classes). The thesis gives no number of
    heads; 4 divides every width used here.
    """

    def __init__(
        self, vocabulary: int, length: int, width: int, hidden: int, blocks: int, classes: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.register_buffer("positions", _sinusoids(length, width), persistent=False)
        self.blocks = nn.ModuleList(EncoderBlock(width, hidden, heads=4) for _ in range(blocks))
        self.head = nn.Linear(length * width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        longest = max(1, int((tokens != 0).sum(dim=1).max()))
        tokens = tokens[:, :longest]  # what is padding for the whole batch need not be computed
        padding = tokens == 0
        padding[:, 0] = False  # an all-padding row would leave the attention nothing to average
        x = self.embedding(tokens) + self.positions[:longest]
        for block in self.blocks:
            x = block(x, padding)
        x = x.masked_fill(padding[..., None], 0.0)
        return self.head(functional.pad(x, (0, 0, 0, length - longest)).flatten(1))


def _sinusoids(length: int, width: int) -> Tensor:
    """The fixed position code of Vaswani et al. (2017), section 3.5; (length, width)."""
    place = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=-1).flatten(1)
