"""The networks of the thesis: a sigmoid perceptron and a Transformer encoder that classifies texts."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Pool = Literal["flat", "mean", "both"]

PAIR_SCALE = 0.3  # initial scale of a pair's vector relative to a word's: most pairs carry little information
PAIR_PRIME = 1_000_003  # spreads pairs over the rows of their table


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


class Dropout(nn.Module):
    """In training, zeroes each value with chance `share`, exact to 1/65,536, and scales up the others.

    What `nn.Dropout` does, from a quarter of its random draws: those alone were a fifth of a step on a CPU.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return x
        drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        drawn = drawn.view(torch.int16)[: x.numel()].view(x.shape)
        kept = drawn >= round(self.share * 2**16) - 2**15
        return x * kept.to(x.dtype).mul_(1 / (1 - self.share))


class EncoderBlock(nn.Module):
    """Self-attention without an output projection, then a feed-forward pair; post-norm residuals.

    Five weight matrices, 3·width² + 2·width·hidden weights: 458,752 at the thesis's 256 and 512.
    Input and output (N, length, width); `padding` (N, length) is True where there is no token. In training,
    `dropout` leaves out that share of what each of the two branches adds.
    """

    def __init__(self, width: int, hidden: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.output_norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def start_even(self) -> None:
        """Draw the last matrix anew at the scale of the others: PyTorch's is smaller by √(hidden / width).

        Under one budget for the block, a matrix that starts smaller is emptied at once and stays so.
        """
        bound = 1 / math.sqrt(self.query.in_features)
        nn.init.uniform_(self.contract.weight, -bound, bound)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        attended = functional.scaled_dot_product_attention(
            split(self.query(x)), split(self.key(x)), split(self.value(x)), attn_mask=~padding[:, None, None]
        )
        x = self.attention_norm(x + self.dropout(attended.transpose(1, 2).flatten(2)))
        return self.output_norm(x + self.dropout(self.contract(torch.relu(self.expand(x)))))


class TextClassifier(nn.Module):
    """Embedding, encoder blocks, and one linear layer over the tokens (thesis, Figure 3-13).

    Input (N, at most `length`) of token numbers, 0 for padding; output (N, classes). The encoder computes no
    more than the longest text of the batch. The thesis gives no number of heads; 4 divides every width used
    here. `pool` is what the last layer reads: "flat", all tokens side by side (the thesis), their "mean", or
    "both" mean and maximum. `scaled`: the embedding is small, and multiplied by √width (Vaswani et al.,
    section 3.4), so that Adam moves it faster. `even`: all matrices of a block start at one scale. `pairs`:
    each token's vector has that of the pair it makes with the one before it added, from a table of so many
    rows which pairs share by a hash (Joulin et al., 2017, section 2.1); 0 for none.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        width: int,
        hidden: int,
        blocks: int,
        classes: int,
        *,
        dropout: float = 0.0,
        pool: Pool = "flat",
        scaled: bool = False,
        even: bool = False,
        pairs: int = 0,
    ) -> None:
        super().__init__()
        self.length, self.pool = length, pool
        self.scale = math.sqrt(width) if scaled else 1.0
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        if scaled:
            with torch.no_grad():
                self.embedding.weight.div_(self.scale)
        self.pairs = nn.Embedding(pairs, width) if pairs else None
        if pairs:
            nn.init.normal_(self.pairs.weight, std=PAIR_SCALE / self.scale)
        self.register_buffer("positions", _sinusoids(length, width), persistent=False)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(EncoderBlock(width, hidden, 4, dropout) for _ in range(blocks))
        if even:
            for block in self.blocks:
                block.start_even()
        self.head = nn.Linear({"flat": length * width, "mean": width, "both": 2 * width}[pool], classes)

    def forward(self, tokens: Tensor) -> Tensor:
        if not torch.compiler.is_exporting():  # an exported graph has one length
            # What is padding for the whole batch need not be computed.
            longest = max(1, int((tokens != 0).sum(dim=1).max()))
            tokens = tokens[:, :longest]
        return self.classify(self.embedded(tokens), tokens == 0)

    def embedded(self, tokens: Tensor) -> Tensor:
        """The vectors of the tokens, (N, length, width), before their places are added."""
        vectors = self.embedding(tokens)
        if self.pairs is not None:
            vectors = vectors + self.pairs(self._pair_rows(tokens))
        return vectors * self.scale

    def _pair_rows(self, tokens: Tensor) -> Tensor:
        """The row of each token's pair; the first token's is with the start of the text."""
        before = functional.pad(tokens[:, :-1], (1, 0)).long()
        return (before * PAIR_PRIME + tokens) % self.pairs.num_embeddings

    def classify(self, x: Tensor, padding: Tensor) -> Tensor:
        """The outputs for embedded tokens; `padding` (N, length) is True where there is no token."""
        unread = padding.clone()
        unread[:, 0] = False  # an all-padding row would leave the attention nothing to average
        x = self.dropout(x + self.positions[: x.shape[1]])
        for block in self.blocks:
            x = block(x, unread)
        return self.head(self._pooled(x, padding))

    def _pooled(self, x: Tensor, padding: Tensor) -> Tensor:
        kept = x.masked_fill(padding[..., None], 0.0)
        if self.pool == "flat":
            return functional.pad(kept, (0, 0, 0, self.length - x.shape[1])).flatten(1)
        mean = kept.sum(dim=1) / (~padding).sum(dim=1, keepdim=True).clamp(min=1)
        if self.pool == "mean":
            return mean
        largest = x.masked_fill(padding[..., None], -math.inf).amax(dim=1)
        return torch.cat([mean, largest.masked_fill(padding.all(dim=1, keepdim=True), 0.0)], dim=1)


def _sinusoids(length: int, width: int) -> Tensor:
    """The fixed position code of Vaswani et al. (2017), section 3.5; (length, width)."""
    place = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    return torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=-1).flatten(1)
