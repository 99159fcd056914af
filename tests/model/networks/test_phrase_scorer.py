"""Which phrase of a text is its keyphrase: the equation by hand, chances that sum to one, and padding."""

import pytest
import torch
from torch import Tensor

from m3h.model.networks.encoder import Bank
from m3h.model.networks.phrase_scorer import PhraseScorer

V = 5
WORDS = torch.tensor([[-1, 0, 0, 1, 2, -1]])
SPANS = torch.tensor([[[0, 1], [0, 3], [1, 3], [2, 3]]])


@pytest.fixture
def scorer() -> PhraseScorer:
    torch.manual_seed(3)
    scorer = PhraseScorer(V, dropout=0.2).eval()
    for weight in scorer.parameters():
        torch.nn.init.normal_(weight)
    return scorer


def scores(scorer: PhraseScorer, state_blv: Tensor, mask_bl: Tensor, word_bl: Tensor, spans: Tensor) -> Tensor:
    return scorer(Bank(state_blv, mask_bl), word_bl, spans, torch.ones(spans.shape[:2], dtype=torch.bool))


def test_the_scores_of_phrases_by_the_equation(scorer: PhraseScorer) -> None:
    state_lv = torch.randn(6, V)
    words = [state_lv[1:3].mean(0), state_lv[3], state_lv[4]]
    text, zero = state_lv.mean(0), torch.zeros(V)

    def logit(start: int, end: int) -> Tensor:
        inside = torch.stack(words[start:end]).mean(0)
        before = words[start - 1] if start else zero
        after = words[end] if end < len(words) else zero
        hidden = scorer.inside(inside) + scorer.before(before) + scorer.after(after) + scorer.text(text)
        return (scorer.output(hidden.relu()) + scorer.bias_l[end - start]).squeeze()

    logits = torch.stack([scorer.none(text).squeeze(), *(logit(start, end) for start, end in SPANS[0].tolist())])
    found = scores(scorer, state_lv[None], torch.ones(1, 6, dtype=torch.bool), WORDS, SPANS)
    torch.testing.assert_close(found[0], logits.log_softmax(0))


def test_padding_of_pieces_and_of_phrases_changes_nothing(scorer: PhraseScorer) -> None:
    state_blv, mask_bl = torch.randn(1, 6, V), torch.ones(1, 6, dtype=torch.bool)
    alone = scores(scorer, state_blv, mask_bl, WORDS, SPANS)
    torch.testing.assert_close(alone.exp().sum(), torch.tensor(1.0))
    padded = Bank(torch.cat([state_blv, torch.randn(1, 3, V)], 1), torch.arange(9)[None] < 6)
    word_bl = torch.cat([WORDS, torch.tensor([[4, 4, -1]])], 1)
    span_bk2, mask_bk = torch.cat([SPANS, torch.zeros(1, 2, 2, dtype=torch.long)], 1), torch.arange(6)[None] < 4
    found = scorer(padded, word_bl, span_bk2, mask_bk)
    torch.testing.assert_close(found[:, :5], alone)
    assert not found[:, 5:].exp().any()


def test_a_text_without_phrases_has_none(scorer: PhraseScorer) -> None:
    none = torch.zeros(1, 0, 2, dtype=torch.long)
    found = scores(scorer, torch.randn(1, 2, V), torch.ones(1, 2, dtype=torch.bool), torch.full((1, 2), -1), none)
    assert found.tolist() == [[0.0]]
