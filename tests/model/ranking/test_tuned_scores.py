"""Scores by a tuned encoder, and the features that are made of them."""

import math

import numpy as np
import pytest
import torch

from m3h.model.ranking.label_clues import TUNED_CLUES, tuned_features
from m3h.model.ranking.tuned_scores import IMPOSSIBLE, TunedScores


def test_each_post_is_judged_by_its_own_encoder_by_hand() -> None:
    scores = TunedScores(
        torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]]),
        torch.tensor([[[9.0, 9.0], [1.0, 2.0]], [[9.0, 9.0], [3.0, 4.0]]]),
        torch.tensor([[0.0, 0.5], [0.0, -0.5]]),
        torch.tensor([0, 1, 1]),
        [(torch.tensor([1]), torch.tensor([7.0])), (torch.tensor([]).long(), torch.tensor([]))] * 2,
    )
    meaning, bonus = scores.part(slice(0, 3))
    assert meaning.tolist() == [[IMPOSSIBLE, 1.5], [IMPOSSIBLE, 2.5], [IMPOSSIBLE, 7.5]]
    assert bonus.tolist() == [[0, 7], [0, 0], [0, 7]]
    torch.testing.assert_close(scores.part(slice(1, 2)), (meaning[1:2], bonus[1:2]))


def test_tuned_features_by_hand() -> None:
    """Meaning alone gives the labels 1 and 2 the chances 1/4 and 3/4; the bonus makes them 3/4 and 1/4."""
    meaning = np.array([IMPOSSIBLE, 0.0, math.log(3)], np.float32)
    bonus = np.array([0.0, math.log(9), 0.0], np.float32)
    found = tuned_features((meaning, bonus), np.array([1, 2]))
    first = dict(zip(TUNED_CLUES, found[0].tolist(), strict=True))
    assert first == {
        "tuned log probability": pytest.approx(math.log(0.75)),
        "tuned probability": pytest.approx(0.75),
        "tuned log rank": 0.0,
        "tuned meaning": 0.0,
        "tuned meaning log probability": pytest.approx(math.log(0.25)),
        "tuned bonus": pytest.approx(math.log(9)),
    }
    assert found[1, TUNED_CLUES.index("tuned log rank")] == pytest.approx(math.log(2))
    assert not tuned_features(None, np.array([1, 2])).any()
