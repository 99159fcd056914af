"""The released code's model at its real size: training pairs a second, and searched posts a second beside a plain loop.

    python -m benchmarks.model_speed --threads 1 2
    python -m benchmarks.model_speed --threads 1 --profile

Seeded random posts with the released data's shape: 45,006 words, 4,262 labels, 27 tokens a post on average, 49 x 512
grids, batched by the trainer. A step is all of one: loss, gradients, clipping, Adam. The plain loop searches one post
and one hypothesis at a time over the whole distribution, as one writes it first; both must find the same phrases.
Random weights hardly ever end a phrase, so every search takes all its steps: trained models are faster. The searches
take turns; rates are medians over the rounds, `cpu` those per second of processor time, which others disturb less.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from m3h.model.config import Config
from m3h.model.data.batch import BOS_ID, EOS_ID, UNK_ID, Batch
from m3h.model.data.encoding import Encoded, batches_by_length, shuffled_batches
from m3h.model.data.pictures import Cells
from m3h.model.data.posts import Posts
from m3h.model.data.ragged import Ragged
from m3h.model.decoding.beam_search import UNFINISHED_PENALTY, Hypotheses, SearchOptions, beam_search
from m3h.model.networks.decoder import EPSILON
from m3h.model.networks.factory import PAPER_SIZES, build_model
from m3h.model.networks.unified import KeyphraseModel
from m3h.model.systems import get_system
from m3h.model.training.allocator import keep_large_blocks
from m3h.model.training.loss import joint_loss

CONFIG = Config(system="released")
OPTIONS = SearchOptions(CONFIG.beam, CONFIG.n_best, CONFIG.max_steps)
V = PAPER_SIZES.words
OOV = 2
WORDS_OF_A_PHRASE = (0.42, 0.37, 0.15, 0.06)
"""Of one to four words: 1.85 on average."""


def random_data(posts: int, rng: np.random.Generator) -> Encoded:
    """Posts with one keyphrase each: lengths like the released posts', words as frequent as their rank says."""
    lengths = np.clip(rng.gamma(4.0, 27 / 4, posts).astype(int), 2, 86)
    copies = [np.minimum(rng.zipf(1.2, length) + 4, V + OOV - 1) for length in lengths]
    phrases = [np.minimum(rng.zipf(1.2, n) + 4, V - 1) for n in rng.choice([1, 2, 3, 4], posts, p=WORDS_OF_A_PHRASE)]
    none: list[list[str]] = [[] for _ in range(posts)]
    return Encoded(
        posts=Posts([""] * posts, none, none, none, none, list(range(posts))),
        sources=none,
        oov=none,
        source=Ragged.from_rows([np.where(copy < V, copy, UNK_ID).tolist() for copy in copies]),
        copy=Ragged.from_rows([copy.tolist() for copy in copies]),
        pair_post=np.arange(posts),
        labels=rng.integers(1, PAPER_SIZES.labels, posts),
        targets=Ragged.from_rows([[*phrase, EOS_ID] for phrase in phrases]),
        cells={"vision": Cells(torch.from_numpy(rng.standard_normal((posts, 49, 512), np.float32)).half())},
    )


def fresh_model() -> KeyphraseModel:
    """The model at its real size, every label two random words."""
    torch.manual_seed(0)
    label_words_nw = torch.randint(5, V, (PAPER_SIZES.labels, 2))
    return build_model(CONFIG, PAPER_SIZES, get_system(CONFIG.system).inputs, label_words_nw=label_words_nw)


def train(data: Encoded, batches: list[np.ndarray]) -> Iterator[None]:
    """A step of each batch."""
    model = fresh_model().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=CONFIG.learning_rate, fused=True)
    for rows in batches:
        optimizer.zero_grad()
        joint_loss(model, data.pairs_batch(rows), CONFIG.gamma).joint.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CONFIG.clip)
        optimizer.step()
        yield


@torch.inference_mode()
def plain_search(model: KeyphraseModel, post: Batch) -> list[tuple[int, ...]]:
    """One post, one hypothesis at a time, over the whole distribution."""
    encoding = model(post)
    memory = model.build_memory(post, encoding)
    live: list[tuple[tuple[int, ...], float, torch.Tensor]] = [((), 0.0, encoding.decoder_start()[1])]
    ended: list[tuple[tuple[int, ...], float]] = []
    for step in range(OPTIONS.max_steps):
        continued = []
        for words, total, state_bd in live:
            word = words[-1] if words else BOS_ID
            u_bte = model.generator.gru_inputs(model.embed(torch.tensor([[word]])), memory)
            s_btd = model.generator.gru_states(u_bte, state_bd)
            p_x = model.generator.distribution(model.generator.step_outputs(u_bte, s_btd, memory), memory, OOV)[0, 0]
            best = (p_x + EPSILON).log().topk(OPTIONS.beam)
            for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                continued.append(((*words, index), total + value, s_btd[:, 0]))
        continued = sorted(continued, key=lambda hypothesis: -hypothesis[1])[: OPTIONS.beam]
        ended += [(words, total / (step + 1)) for words, total, _ in continued if words[-1] == EOS_ID]
        live = [hypothesis for hypothesis in continued if hypothesis[0][-1] != EOS_ID]
        if not live or (continued[0][0][-1] == EOS_ID and len(ended) >= OPTIONS.n_best):
            break
    left = [(words, total / OPTIONS.max_steps - UNFINISHED_PENALTY) for words, total, _ in live]
    return [words for words, _ in sorted([*ended, *left], key=lambda hypothesis: -hypothesis[1])[: OPTIONS.n_best]]


def phrases(found: Hypotheses, b: int) -> list[tuple[int, ...]]:
    """What `search` ranks first of a post."""
    best = found.score_bn[b].argsort(descending=True, stable=True)[: OPTIONS.n_best]
    out = []
    for words in found.words_bnt[b, best].tolist():
        out.append(tuple(words[: words.index(EOS_ID) + 1] if EOS_ID in words else words))
    return out


def sharp_model() -> KeyphraseModel:
    """Ready to search; surer of itself than fresh weights are, so that no two phrases are as likely."""
    model = fresh_model().eval()
    model.aggregate = True
    for layer in (model.generator.vocabulary, model.generator.hidden[0]):
        next(layer.parameters()).data.mul_(3)  # its weights
    return model


class Clock:
    """Seconds by the wall and of this process's processors since it was made."""

    def __init__(self) -> None:
        self.began = self._now()

    def _now(self) -> np.ndarray:
        return np.array([time.perf_counter(), time.process_time()])

    def rates(self, number: int) -> np.ndarray:
        """So many things a second, by both."""
        return number / (self._now() - self.began)


def training_speed(data: Encoded, batch_size: int, steps: int) -> np.ndarray:
    """Pairs a second over so many batches, in the trainer's own order; the first step is not counted."""
    batches = shuffled_batches(data.source.lengths(), batch_size, np.random.default_rng(1))[: steps + 1]
    ticking = train(data, batches)
    next(ticking)
    clock = Clock()
    for _ in ticking:
        pass
    return clock.rates(sum(map(len, batches[1:])))


def search_speeds(data: Encoded, posts: int, plain_posts: int, rounds: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(rounds, 2) posts a second by the batched search, `size` together, and by the plain one.

    SystemExit where they find other phrases.
    """
    model, found = sharp_model(), {}
    batches = list(batches_by_length(data.source.lengths()[:posts], size))
    beam_search(model, data.posts_batch(batches[0]), OPTIONS)
    picked = np.array_split(np.linspace(0, posts - 1, plain_posts).astype(int), rounds)
    ours, plain = [], []
    for rows_of_round in picked:
        clock = Clock()
        for rows in batches:
            several = beam_search(model, data.posts_batch(rows), OPTIONS)
            found.update({row: phrases(several, b) for b, row in enumerate(rows)})
        ours.append(clock.rates(posts))
        clock = Clock()
        expected = {row: plain_search(model, data.posts_batch(np.array([row]))) for row in rows_of_round}
        plain.append(clock.rates(len(rows_of_round)))
        wrong = [row for row, words in expected.items() if found[row] != words]
        if wrong:
            raise SystemExit(f"posts {wrong}: the two searches differ")
    return np.array(ours), np.array(plain)


def by_clock(rates: np.ndarray, digits: int) -> dict[str, float]:
    """For people."""
    return dict(zip(("wall", "cpu"), rates.round(digits).tolist(), strict=True))


def print_profile(data: Encoded, batch_size: int) -> None:
    """Where the time of a training step and of a batch's search goes."""
    rows = next(batches_by_length(data.source.lengths(), batch_size))
    ticking, model = train(data, [rows] * 3), sharp_model()
    posts = data.posts_batch(rows[: CONFIG.search_batch])
    for title, run in (("training", lambda: next(ticking)), ("search", lambda: beam_search(model, posts, OPTIONS))):
        run()
        with profile(activities=[ProfilerActivity.CPU], acc_events=True) as recorded:
            run()
        events = sorted(recorded.key_averages(), key=lambda event: -event.self_cpu_time_total)
        total = sum(event.self_cpu_time_total for event in events)
        print(f"{title}, the longest posts: {total / 1e3:.0f} ms")
        for event in events[:10]:
            print(f"  {100 * event.self_cpu_time_total / total:5.1f} %  {event.count:5}  {event.key}")


def main() -> None:
    """One line of JSON for each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--posts", type=int, default=128, help="searched in batches")
    parser.add_argument(
        "--plain-posts", type=int, default=12, help="of them, searched one by one, in all rounds together"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    keep_large_blocks()
    data = random_data(arguments.batch_size * 32, np.random.default_rng(0))
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        pairs = training_speed(data, arguments.batch_size, arguments.steps)
        how = (arguments.posts, arguments.plain_posts, arguments.rounds, arguments.batch_size)
        ours, plain = search_speeds(data, *how)
        medians = {"pairs": pairs, "posts": np.median(ours, 0), "plain_posts": np.median(plain, 0)}
        speeds = {name: by_clock(rates, 2) for name, rates in medians.items()}
        ratio = by_clock(np.median(ours / plain, 0), 1)
        print(json.dumps({"threads": threads, **speeds, "ratio": ratio, "load": os.getloadavg()[0]}))
        if arguments.profile:
            print_profile(data, arguments.batch_size)


if __name__ == "__main__":
    main()
