"""The neural topic model and the topic memory, by hand and by law."""

import math

import pytest
import torch

from m3h.model.networks.encoder import Bank
from m3h.model.networks.topics import NeuralTopicModel, TopicMemory, Topics

FIRST, COUNTED, K = 6, 5, 3


def topic_model() -> NeuralTopicModel:
    torch.manual_seed(0)
    return NeuralTopicModel(FIRST, COUNTED, K, width=4).eval()


def test_only_real_words_of_the_counted_range_are_counted() -> None:
    source = torch.tensor([[6, 10, 6, 5, 11, 7], [8, 6, 6, 0, 0, 0]])
    mask = torch.tensor([[True] * 6, [True] + [False] * 5])
    assert topic_model().counts(source, mask).tolist() == [[2, 1, 0, 0, 1], [0, 0, 1, 0, 0]]


def test_the_bound_by_hand() -> None:
    model = topic_model()
    for part in (model.mu, model.log_variance, model.mix, model.phi):
        part.weight.data.zero_()
        part.bias.data.zero_()
    model.mu.bias.data = torch.tensor([1.0, 0.0, -2.0])
    model.log_variance.bias.data = torch.tensor([0.0, math.log(4.0), 0.0])
    topics = model(torch.tensor([[6, 7, 8, 5]]), torch.ones(1, 4).bool())
    divergence = (1 + 4 + (4 - 1 - math.log(4))) / 2  # mu squared, and sigma squared - 1 - log sigma squared
    torch.testing.assert_close(topics.loss_b, torch.tensor([divergence + 3 * math.log(5)]))  # three words of five
    torch.testing.assert_close(topics.theta_bk, torch.full((1, K), 1 / 3))


@pytest.mark.parametrize("training", [False, True])
def test_a_mixture_sums_to_one_and_the_bound_is_no_less_than_zero(training: bool) -> None:
    model = topic_model().train(training)
    source, mask = torch.randint(0, 12, (9, 7)), torch.rand(9, 7) < 0.7
    topics, again = model(source, mask), model(source, mask)
    torch.testing.assert_close(topics.theta_bk.sum(-1), torch.ones(9))
    assert (topics.loss_b >= 0).all()
    assert torch.equal(topics.theta_bk, again.theta_bk) != training


def test_the_order_of_words_says_nothing_of_topics() -> None:
    model = topic_model()
    source, mask = torch.randint(5, 12, (4, 7)), torch.ones(4, 7).bool()
    forward, backward = model(source, mask), model(source.flip(1), mask)
    torch.testing.assert_close(forward.theta_bk, backward.theta_bk)
    torch.testing.assert_close(forward.loss_b, backward.loss_b)


def test_the_model_finds_two_planted_topics() -> None:
    torch.manual_seed(0)
    model = NeuralTopicModel(5, 8, 2, width=16)
    kind = torch.arange(64) % 2
    source = 5 + torch.randint(0, 4, (64, 6)) + 4 * kind[:, None]  # each post from one half of the words
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        model(source, source > 0).loss_b.mean().backward()
        optimizer.step()
    theta = model.eval()(source, source > 0).theta_bk
    assert (theta.argmax(-1) == kind).float().mean() in (0.0, 1.0)


def test_what_is_read_of_a_topic_by_hand() -> None:
    torch.manual_seed(0)
    memory = TopicMemory(COUNTED, e=4, d=6, dropout=0.0, gamma=0.8)
    text = Bank(torch.randn(2, 3, 4), torch.tensor([[True, True, False], [True, True, True]]))
    theta, phi = torch.rand(2, K), torch.randn(COUNTED, K)
    read = memory.read(text, Topics(theta, phi, torch.zeros(2)))
    S, T = memory.W_S(phi.T).relu(), memory.W_T(phi.T).relu()
    for b, length in enumerate((2, 3)):
        for k in range(K):
            match = sum(
                torch.sigmoid(memory.match_U(text.memory_bld[b, i]) + memory.match_S(S[k])) for i in range(length)
            )
            torch.testing.assert_close(read[b, k], (theta[b, k] + 0.8 * match) * T[k])


def test_padding_changes_nothing_of_a_topic_memory() -> None:
    memory = TopicMemory(COUNTED, e=4, d=6, dropout=0.0).eval()
    words, topics = torch.randn(2, 3, 4), Topics(torch.rand(2, K), torch.randn(COUNTED, K), torch.zeros(2))
    padded = torch.cat([words, torch.full((2, 4, 4), 7.0)], 1)
    short = memory(Bank(words, torch.ones(2, 3).bool()), topics)
    long = memory(Bank(padded, (torch.arange(7) < 3).expand(2, 7)), topics)
    torch.testing.assert_close(short, long)
