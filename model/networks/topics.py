"""Latent topics of a post: the neural topic model, and the topic memory network's classifier.

Axes: B batch, L text, v counted words, K topics, h hidden, e word width, c convolution channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.model.networks.encoder import Bank


@dataclass(frozen=True)
class Topics:
    """theta_bk: (B, K) topic mixture of each post; rows sum to one. phi_vk: (v, K) logits of the words of each topic.

    loss_b: (B,) negative evidence lower bound of each post, in nats.
    """

    theta_bk: Tensor
    phi_vk: Tensor
    loss_b: Tensor


class NeuralTopicModel(nn.Module):
    """A variational model of the word counts of a post (Zeng et al. 2018, §3.1; Wang et al. 2019a, §3.1).

    x counts the words first..first + counted - 1 of the vocabulary, which lists words by falling frequency. The most
    frequent words, before `first`, say little about a topic. z ~ N(mu(x), sigma(x)), theta = softmax(W z),
    x ~ softmax(phi theta). In evaluation mode z is mu, so that a post always has the same topics.
    """

    def __init__(self, first: int, counted: int, topics: int, *, width: int) -> None:
        super().__init__()
        self.first, self.counted = first, counted
        self.encode = nn.Sequential(nn.Linear(counted, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.mu, self.log_variance = nn.Linear(width, topics), nn.Linear(width, topics)
        self.mix = nn.Linear(topics, topics)
        self.phi = nn.Linear(topics, counted)

    def forward(self, source_bl: Tensor, mask_bl: Tensor) -> Topics:
        """(B, L) word ids, (B, L) -> the topics and the loss."""
        x_bv = self.counts(source_bl, mask_bl)
        hidden_bh = self.encode(x_bv)
        mu_bk, log_variance_bk = self.mu(hidden_bh), self.log_variance(hidden_bh)
        noise_bk = torch.randn_like(mu_bk) if self.training else torch.zeros_like(mu_bk)
        theta_bk = self.mix(mu_bk + noise_bk * (log_variance_bk / 2).exp()).softmax(-1)
        divergence_b = (mu_bk.square() + log_variance_bk.exp() - 1 - log_variance_bk).sum(-1) / 2
        reconstruction_b = -(x_bv * self.phi(theta_bk).log_softmax(-1)).sum(-1)
        return Topics(theta_bk, self.phi.weight, divergence_b + reconstruction_b)

    def counts(self, source_bl: Tensor, mask_bl: Tensor) -> Tensor:
        """(B, v) how often each counted word occurs in the post."""
        column_bl = source_bl - self.first
        counted_bl = mask_bl & (column_bl >= 0) & (column_bl < self.counted)
        x_bv = torch.zeros(len(source_bl), self.counted, device=source_bl.device)
        return x_bv.scatter_add(1, column_bl * counted_bl, counted_bl.to(x_bv.dtype))


class TopicMemory(nn.Module):
    """Topic memory mechanism and convolutional classifier body (Zeng et al. 2018, §3.2-3.3).

    The words phi of the topics become a source memory S and a target memory T. Every word of the text is matched with
    S. The weight of a topic is xi_k = theta_k + gamma sum_l sigmoid(w [S_k; U_l] + b). R_k = xi_k T_k and the text's
    embeddings U form one sequence, which is convolved with windows of one to three words and max-pooled.
    """

    def __init__(self, counted: int, e: int, d: int, *, dropout: float, gamma: float = 0.8) -> None:
        super().__init__()
        self.W_S, self.W_T = nn.Linear(counted, e), nn.Linear(counted, e)
        self.match_S, self.match_U = nn.Linear(e, 1), nn.Linear(e, 1, bias=False)
        self.windows = nn.ModuleList(nn.Conv1d(e, d, size) for size in (1, 2, 3))
        self.W_out = nn.Linear(3 * d, d)
        self.dropout = nn.Dropout(dropout)
        self.gamma = gamma

    def forward(self, text: Bank, topics: Topics) -> Tensor:
        """Bank of embeddings, topics of the posts -> (B, d)."""
        R_bke = self.read(text, topics)
        sequence_ble = torch.cat([R_bke, text.memory_bld * text.mask_bl[..., None]], 1)
        real_bl = F.pad(text.mask_bl, (R_bke.size(1), 0), value=True)
        pooled = []
        for i, window in enumerate(self.windows):
            features_bdl = window(F.pad(sequence_ble.mT, (0, i))).relu()  # a window may end in the padding
            pooled.append((features_bdl * real_bl[:, None]).amax(-1))
        output_bd: Tensor = self.W_out(self.dropout(torch.cat(pooled, -1)))
        return output_bd

    def read(self, text: Bank, topics: Topics) -> Tensor:
        """(B, K, e) R, what the text reads from the target memory."""
        S_ke, T_ke = self.W_S(topics.phi_vk.mT).relu(), self.W_T(topics.phi_vk.mT).relu()
        match_blk = torch.sigmoid(self.match_U(text.memory_bld) + self.match_S(S_ke).squeeze(-1))
        xi_bk = topics.theta_bk + self.gamma * (match_blk * text.mask_bl[..., None]).sum(1)
        R_bke: Tensor = xi_bk[..., None] * T_ke
        return R_bke
