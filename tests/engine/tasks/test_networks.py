"""The networks have the thesis's numbers of weights and compute what they should."""

import math

import pytest
import torch
from torch import nn

from sparsecore.engine.tasks.networks import Dropout, EncoderBlock, Perceptron, TextClassifier

PAPER_TEXT = {"length": 256, "width": 256, "hidden": 512, "blocks": 4, "classes": 4}


def matrices(model: nn.Module) -> dict[str, int]:
    """The number of weights of each linear layer."""
    return {name: m.weight.numel() for name, m in model.named_modules() if isinstance(m, nn.Linear)}


def test_the_thesis_perceptron_has_60_500_weights():
    assert matrices(Perceptron((1, 200, 300, 1))) == {"fc1": 200, "fc2": 60_000, "fc3": 300}


def test_the_spirals_perceptron_has_61_000_weights():
    assert sum(matrices(Perceptron((2, 200, 300, 2))).values()) == 61_000


def test_the_thesis_encoder_has_1_835_008_weights_without_head_and_embedding():
    model = TextClassifier(vocabulary=10, **PAPER_TEXT)
    sizes = matrices(model)
    assert sum(size for name, size in sizes.items() if name.startswith("blocks.")) == 1_835_008
    assert sizes["head"] == 65_536 * 4
    assert len(sizes) == 4 * 5 + 1


def test_a_perceptron_computes_linear_layers_with_sigmoids_between():
    model = Perceptron((1, 2, 1))
    with torch.no_grad():
        model.fc1.weight.copy_(torch.tensor([[1.0], [-2.0]]))
        model.fc1.bias.copy_(torch.tensor([0.0, 1.0]))
        model.fc2.weight.copy_(torch.tensor([[3.0, 4.0]]))
        model.fc2.bias.copy_(torch.tensor([-1.0]))

    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    expected = 3 * sigmoid(0.5) + 4 * sigmoid(0.0) - 1
    assert model(torch.tensor([[0.5]])).item() == torch.tensor(expected).item()


def test_attention_ignores_padding():
    torch.manual_seed(0)
    block = EncoderBlock(width=8, hidden=16, heads=4).eval()
    padding = torch.tensor([[False, False, True]])
    x = torch.randn(1, 3, 8)
    changed = x.clone()
    changed[0, 2] = 100.0
    with torch.no_grad():
        assert torch.equal(block(x, padding)[:, :2], block(changed, padding)[:, :2])


def test_what_stands_after_a_short_text_does_not_change_its_grade():
    torch.manual_seed(0)
    model = TextClassifier(vocabulary=9, length=4, width=8, hidden=16, blocks=2, classes=3)
    with torch.no_grad():
        alone = model(torch.tensor([[3, 5, 0, 0]]))
        model.embedding.weight[0] = 50.0  # what padding would say, if anybody listened
        assert torch.equal(model(torch.tensor([[3, 5, 0, 0]])), alone)


def test_an_empty_text_has_finite_outputs():
    model = TextClassifier(vocabulary=9, length=4, width=8, hidden=16, blocks=1, classes=3)
    assert model(torch.zeros(2, 4, dtype=torch.int64)).isfinite().all()


def test_the_order_of_the_words_matters():
    torch.manual_seed(0)
    model = TextClassifier(vocabulary=9, length=3, width=8, hidden=16, blocks=1, classes=3)
    assert not torch.allclose(model(torch.tensor([[1, 2, 3]])), model(torch.tensor([[3, 2, 1]])))


def test_a_batch_may_be_shorter_than_the_network_reads():
    torch.manual_seed(0)
    model = TextClassifier(vocabulary=9, length=6, width=8, hidden=16, blocks=1, classes=3)
    long = torch.tensor([[3, 5, 2, 0, 0, 0], [4, 0, 0, 0, 0, 0]])
    with torch.no_grad():
        assert torch.equal(model(long), model(long[:, :3]))


@pytest.mark.parametrize(("pool", "inputs"), [("flat", 4 * 8), ("mean", 8), ("both", 16)])
def test_the_last_layer_reads_what_is_pooled(pool: str, inputs: int):
    torch.manual_seed(0)
    model = TextClassifier(9, 4, 8, 16, 1, 3, pool=pool)
    assert model.head.in_features == inputs
    tokens = torch.tensor([[3, 5, 0, 0], [0, 0, 0, 0]])
    with torch.no_grad():
        found = model(tokens)
        assert found.isfinite().all()
        assert torch.allclose(found[1], model.head.bias)
        assert torch.allclose(model(tokens[:1]), found[:1])


def test_a_scaled_embedding_starts_with_the_same_vectors_and_learns_faster():
    models = []
    for scaled in (False, True):
        torch.manual_seed(0)
        models.append(TextClassifier(9, 4, 16, 16, 1, 3, scaled=scaled))
    plain, scaled = models
    tokens = torch.tensor([[3, 5, 2, 0]])
    assert torch.allclose(plain.embedded(tokens), scaled.embedded(tokens), atol=1e-6)
    assert torch.allclose(plain.embedding.weight, 4 * scaled.embedding.weight)


def test_a_pair_adds_its_own_vector_to_the_second_word_wherever_it_stands():
    torch.manual_seed(0)
    model = TextClassifier(9, 4, 8, 16, 1, 3, pairs=64)
    alone = TextClassifier(9, 4, 8, 16, 1, 3)
    alone.embedding.load_state_dict(model.embedding.state_dict())
    tokens = torch.tensor([[3, 5, 3, 5], [7, 3, 5, 0]])
    added = model.embedded(tokens) - alone.embedded(tokens)
    assert torch.equal(added[0, 1], added[0, 3])
    torch.testing.assert_close(added[0, 1], added[1, 2])
    assert not torch.allclose(added[0, 0], added[0, 2])  # the start of a text is no word
    assert alone.pairs is None


def test_what_stands_after_a_short_text_does_not_change_its_grade_with_pairs():
    torch.manual_seed(0)
    model = TextClassifier(9, 6, 8, 16, 1, 3, pairs=64)
    short, padded = torch.tensor([[3, 5]]), torch.tensor([[3, 5, 0, 0], [1, 2, 3, 4]])
    torch.testing.assert_close(model(short)[0], model(padded)[0])


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    model = TextClassifier(9, 4, 8, 16, 2, 3, dropout=0.5)
    tokens = torch.tensor([[3, 5, 2, 1]])
    with torch.no_grad():
        assert not torch.equal(model(tokens), model(tokens))
        model.eval()
        assert torch.equal(model(tokens), model(tokens))


def test_all_matrices_of_an_even_block_start_at_one_scale():
    torch.manual_seed(0)
    block = TextClassifier(9, 4, 64, 128, 1, 3, even=True).blocks[0]
    largest = [weight.abs().max().item() for weight in block.parameters() if weight.ndim == 2]
    assert largest == pytest.approx([1 / 8] * 5, rel=0.01)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_dropout_leaves_out_its_share_and_keeps_the_mean(share: float):
    torch.manual_seed(0)
    x = torch.ones(300, 333, requires_grad=True)
    found = Dropout(share)(x)
    assert (found == 0).double().mean().item() == pytest.approx(share, abs=5e-3)
    assert found.mean().item() == pytest.approx(1.0, abs=0.02)
    found.sum().backward()
    assert torch.equal(x.grad, found.detach())


def test_dropout_follows_torchs_seed_and_nothing_else():
    masks = []
    for _ in range(2):
        torch.manual_seed(7)
        masks.append(Dropout(0.3)(torch.ones(5, 7)))
    assert torch.equal(*masks)
    assert not torch.equal(masks[0], Dropout(0.3)(torch.ones(5, 7)))
