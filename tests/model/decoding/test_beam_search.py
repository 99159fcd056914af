"""The batched search against a slow one that follows its definition word for word."""

import math
from itertools import product

import pytest
import torch

from m3h.model.data.batch import BOS_ID, EOS_ID, Batch
from m3h.model.decoding.beam_search import UNFINISHED_PENALTY, Hypotheses, SearchOptions, beam_search
from m3h.model.networks.baselines import PooledFusion
from m3h.model.networks.classifier import Aggregation, Classifier
from m3h.model.networks.decoder import EPSILON, Decoder
from m3h.model.networks.encoder import TextEncoder
from m3h.model.networks.unified import KeyphraseModel, Modules

V, OOV, D, E, POSTS, L, LABELS = 14, 4, 8, 6, 6, 9, 7
Hypothesis = tuple[tuple[int, ...], float]


def random_model(seed: int, aggregate: bool, ending: float) -> KeyphraseModel:
    """ending: added to the logit of `<eos>`, so that searches end early or late."""
    torch.manual_seed(seed)
    table_nw = torch.randint(5, V, (LABELS, 2))
    modules = Modules(
        text=TextEncoder(E, D, 2, dropout=0.0),
        fusion=PooledFusion({"text": "max"}, D),
        classifier=Classifier(D, LABELS, 2, dropout=0.0),
        decoder=Decoder(V, E, D, dropout=0.0),
        aggregation=Aggregation(table_nw, 3),
    )
    model = KeyphraseModel(V, E, modules)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.7)
    model.generator.vocabulary.bias.data[EOS_ID] += ending
    model.aggregate = aggregate
    return model.eval()


def random_posts(seed: int, lengths: list[int]) -> Batch:
    torch.manual_seed(seed)
    longest = max(lengths)
    mask_bl = torch.arange(longest).expand(len(lengths), longest) < torch.tensor(lengths)[:, None]
    copy_bl = torch.randint(5, V + OOV, mask_bl.shape) * mask_bl
    source_bl = copy_bl.masked_fill(copy_bl >= V, 3)
    return Batch(torch.arange(len(lengths)).numpy(), source_bl, copy_bl, mask_bl)


def alone(batch: Batch, b: int) -> Batch:
    length = int(batch.mask_bl[b].sum())
    parts = (part[b : b + 1, :length] for part in (batch.source_bl, batch.copy_bl, batch.mask_bl))
    return Batch(batch.rows_b[b : b + 1], *parts)


@torch.no_grad()
def literal_search(model: KeyphraseModel, post: Batch, beam: int, n_best: int, max_steps: int) -> list[Hypothesis]:
    """One post, one hypothesis at a time, each from its first word, over the whole distribution."""
    encoding = model(post)
    memory = model.build_memory(post, encoding)
    live: list[Hypothesis] = [((), 0.0)]
    finished: list[Hypothesis] = []
    done = False
    for _ in range(max_steps):
        continued: list[Hypothesis] = []
        for words, total in live:
            u = model.embed(torch.tensor([[BOS_ID, *words]]))
            output = model.generator.step_outputs(u, model.generator.gru_states(u, encoding.decoder_start()[1]), memory)
            p = model.generator.distribution(output, memory, OOV)[0, -1]
            continued += [((*words, w), total + math.log(p[w] + EPSILON)) for w in range(V + OOV)]
        continued.sort(key=lambda hypothesis: -hypothesis[1])
        continued = continued[:beam]
        finished += [(words, total / len(words)) for words, total in continued if words[-1] == EOS_ID]
        live = [(words, total) for words, total in continued if words[-1] != EOS_ID]
        done = not live or (continued[0][0][-1] == EOS_ID and len(finished) >= n_best)
        if done:
            break
    ranked = sorted(finished, key=lambda hypothesis: -hypothesis[1])
    left = sorted(((w, total / len(w)) for w, total in live), key=lambda hypothesis: -hypothesis[1])
    return [*ranked, *left][:n_best]


def n_best_of(found: Hypotheses, b: int, n_best: int) -> list[Hypothesis]:
    out = []
    for n in found.score_bn[b].argsort(descending=True, stable=True)[:n_best].tolist():
        score, words = float(found.score_bn[b, n]), found.words_bnt[b, n].tolist()
        assert math.isfinite(score)
        if score < -UNFINISHED_PENALTY / 2:
            out.append((tuple(words), None))
        else:
            out.append((tuple(words[: words.index(EOS_ID) + 1]), score))
    return out


@pytest.mark.parametrize("aggregate", [False, True])
@pytest.mark.parametrize("ending", [-6.0, 0.0, 3.0])
@pytest.mark.parametrize("beam", [1, 3, 8])
def test_the_search_finds_what_a_literal_one_finds(aggregate: bool, ending: float, beam: int) -> None:
    n_best, max_steps = min(beam, 4), 5
    model = random_model(11, aggregate, ending)
    posts = random_posts(5, [L, 4, 1, 7, L, 2])
    found = beam_search(model, posts, SearchOptions(beam, n_best, max_steps))
    for b in range(POSTS):
        expected = literal_search(model, alone(posts, b), beam, n_best, max_steps)
        got = n_best_of(found, b, n_best)
        assert [words[: len(wanted)] for (words, _), (wanted, _) in zip(got, expected, strict=True)] == [
            words for words, _ in expected
        ]
        for (_, score), (_, wanted) in zip(got, expected, strict=True):
            assert score is None or score == pytest.approx(wanted, abs=1e-4)


def test_a_post_s_list_does_not_depend_on_its_neighbours() -> None:
    model = random_model(2, aggregate=True, ending=1.0)
    posts = random_posts(9, [L, 4, 1, 7, L, 2])
    together = beam_search(model, posts, SearchOptions(beam=6, n_best=3, max_steps=5))
    for b in range(POSTS):
        lone = beam_search(model, alone(posts, b), SearchOptions(beam=6, n_best=3, max_steps=5))
        assert [words for words, _ in n_best_of(lone, 0, 3)] == [words for words, _ in n_best_of(together, b, 3)]


@pytest.mark.parametrize("length_power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("aggregate", [False, True])
def test_a_beam_that_cannot_overflow_finds_what_trying_everything_finds(aggregate: bool, length_power: float) -> None:
    model, post, steps = random_model(7, aggregate, ending=0.0), random_posts(8, [5]), 3
    words = V + OOV
    found = beam_search(model, post, SearchOptions(words**steps, words**steps, steps, length_power))
    expected = sorted(
        ((total / len(words) ** length_power, words) for words, total in everything(model, post, steps)), reverse=True
    )
    order = found.score_bn[0].argsort(descending=True)[:50].tolist()
    for n, (score, phrase) in zip(order, expected[:50], strict=True):
        assert float(found.score_bn[0, n]) == pytest.approx(score, abs=1e-4)
        assert float(found.sum_bn[0, n]) == pytest.approx(score * len(phrase) ** length_power, abs=1e-4)
    best = found.words_bnt[0, order[0]].tolist()
    assert tuple(best[: len(expected[0][1])]) == expected[0][1]


@torch.no_grad()
def everything(model: KeyphraseModel, post: Batch, steps: int) -> list[Hypothesis]:
    """Every phrase of at most so many words, `<eos>` among them, with its log P; the last step is left to `<eos>`."""
    starts = [words for n in range(steps) for words in product([w for w in range(V + OOV) if w != EOS_ID], repeat=n)]
    encoding = model(post)
    memory = model.build_memory(post, encoding)
    out = []
    for n in range(steps):
        words_nt = torch.tensor([[BOS_ID, *words] for words in starts if len(words) == n])
        many = torch.zeros(len(words_nt), dtype=torch.long)
        u = model.embed(words_nt)
        s = model.generator.gru_states(u, encoding.decoder_start()[1][many])
        output = model.generator.step_outputs(u, s, memory.select(many))
        log_p = (model.generator.distribution(output, memory.select(many), OOV) + EPSILON).log()
        targets = torch.cat([words_nt[:, 1:], torch.full((len(words_nt), 1), EOS_ID)], 1)
        total = log_p.gather(-1, targets[..., None]).sum((1, 2))
        out += list(zip(map(tuple, targets.tolist()), total.tolist(), strict=True))
    return out


@torch.no_grad()
def literal_released_search(model: KeyphraseModel, batch: Batch, rules: SearchOptions) -> list[list[Hypothesis]]:
    """As the released code searches: the whole batch goes on until every post is done."""
    encoding = model(batch)
    memory = model.build_memory(batch, encoding)
    live: list[list[Hypothesis]] = [[((), 0.0)] for _ in range(len(batch.rows_b))]
    finished: list[list[Hypothesis]] = [[] for _ in live]
    done = [False] * len(live)
    for _ in range(rules.max_steps):
        for b, hypotheses in enumerate(live):
            continued: list[Hypothesis] = []
            row = torch.tensor([b])
            for words, total in hypotheses:
                read_back = [BOS_ID, *(EOS_ID if word >= V else word for word in words)]
                u = model.embed(torch.tensor([read_back]))
                s = model.generator.gru_states(u, encoding.decoder_start()[1][row])
                output = model.generator.step_outputs(u, s, memory.select(row))
                p = model.generator.distribution(output, memory.select(row), OOV)[0, -1]
                continued += [((*words, w), total + math.log(p[w] + EPSILON)) for w in range(V + OOV)]
            continued = sorted(continued, key=lambda hypothesis: -hypothesis[1])[: rules.beam]
            finished[b] += [(words, total / len(words)) for words, total in continued if words[-1] == EOS_ID]
            live[b] = [(words, total) for words, total in continued if words[-1] != EOS_ID]
            tops = bool(continued) and continued[0][0][-1] == EOS_ID
            done[b] = done[b] or not live[b] or (tops and len(finished[b]) >= rules.n_best)
        if all(done):
            break
    lists = []
    for ended, left in zip(finished, live, strict=True):
        filled = [(words, total / len(words)) for words, total in left[: max(0, rules.n_best - len(ended))]]
        lists.append(sorted([*ended, *filled], key=lambda hypothesis: -hypothesis[1])[: rules.n_best])
    return lists


@pytest.mark.parametrize("ending", [-6.0, 0.0, 3.0])
@pytest.mark.parametrize("seed", [11, 12])
def test_the_released_search_is_followed_to_its_quirks(ending: float, seed: int) -> None:
    model, rules = random_model(seed, True, ending), SearchOptions(6, 4, 5, released=True)
    posts = random_posts(5, [L, 4, 1, 7, L, 2])
    found = beam_search(model, posts, rules)
    for b, expected in enumerate(literal_released_search(model, posts, rules)):
        order = found.score_bn[b].argsort(descending=True, stable=True)[: rules.n_best].tolist()
        got = [(found.words_bnt[b, n].tolist(), float(found.score_bn[b, n])) for n in order]
        assert [words[: len(wanted)] for (words, _), (wanted, _) in zip(got, expected, strict=True)] == [
            list(words) for words, _ in expected
        ]
        assert [score for _, score in got] == pytest.approx([score for _, score in expected], abs=1e-4)


def test_a_released_list_depends_on_its_neighbours_and_ours_does_not() -> None:
    posts = random_posts(9, [L, 4, 1, 7, L, 2])
    differs = {True: 0, False: 0}
    for seed in range(6):
        model = random_model(seed, aggregate=True, ending=2.0)
        for released in differs:
            rules = SearchOptions(6, 3, 5, released=released)
            together = beam_search(model, posts, rules)
            for b in range(POSTS):
                lone = beam_search(model, alone(posts, b), rules)
                best = [found.score_bn[i].sort(descending=True).values[:3] for found, i in ((together, b), (lone, 0))]
                differs[released] += not torch.allclose(*best, atol=1e-5)
    assert differs[False] == 0
    assert differs[True] > 0


def test_a_copied_unknown_word_is_read_back_as_unknown() -> None:
    model = random_model(3, aggregate=False, ending=0.0)
    assert torch.equal(model.embed(torch.tensor([V, V + OOV - 1])), model.embed(torch.tensor([3, 3])))


def test_a_beam_wider_than_the_vocabulary_is_no_error() -> None:
    model = random_model(4, aggregate=False, ending=0.0)
    found = beam_search(model, random_posts(1, [3, 2]), SearchOptions(beam=60, n_best=5, max_steps=3))
    assert found.score_bn.isfinite().any(1).all()


def test_an_unknown_word_remembers_where_the_decoder_looked() -> None:
    model = random_model(6, aggregate=False, ending=-9.0)
    model.generator.vocabulary.bias.data[3] += 30.0  # always `<unk>`
    model.generator.switch.bias.data.fill_(30.0)
    post = random_posts(3, [L])
    encoding = model(post)
    u = model.embed(torch.tensor([[BOS_ID]]))
    output = model.generator.step_outputs(
        u, model.generator.gru_states(u, encoding.decoder_start()[1]), model.build_memory(post, encoding)
    )
    found = beam_search(model, post, SearchOptions(beam=1, n_best=1, max_steps=1))
    assert found.words_bnt[0, 0, 0] == 3
    assert found.position_bnt[0, 0, 0] == output.alpha_btl[0, 0].argmax()
