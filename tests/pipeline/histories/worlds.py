"""Random histories of a small dataset: commands, outages, folders that change, and kills, one after the other.

A seed decides all of one history. After each command the laws hold, and what was kept is kept and shows what it showed.
At the end the dataset has the bytes of one build of all its dumps.
"""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.suppression_list import FORGOTTEN_FILE
from m3h.pipeline.dataset.workspace import Workspace
from m3h.schemas.manifest import MANIFEST, Manifest
from tests.commands import files_of
from tests.kills import Victim
from tests.pipeline.failing_host import OUTAGES, FailingHost
from tests.pipeline.fakes import picture, small_dump
from tests.pipeline.finished import differing, is_conserved, shown
from tests.pipeline.tars import pair, write_set
from tests.pipeline.warm import Warm

PARTS = frozenset({"part0.jsonl", "part1.jsonl", "part2.jsonl"})
POSTS = 5
"""Dumps of a history, and how many records each has. The last one is broken until the dump is corrected."""

QUIET = ["--workers", 1, "--progress", "none"]
LIVES = {"build": 260, "retry": 220, "refresh": 130, "forget": 120, "compact": 85, "verify": 60, "use": 6, "gc": 6}
"""About how many changes of the file system a command makes. A kill comes before one of them."""


@dataclass
class World:
    """A dataset and its sources. Subclasses say where its pictures come from.

    dumps: names of the dumps that were added. corrected: those of them that were replaced by corrected ones.
    gone: ids that were forgotten. counts: commands, kills, and what was refused.
    """

    m3h: Warm
    folder: Path
    chance: random.Random
    dumps: list[str] = field(default_factory=list)
    corrected: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    shards: tuple[int, int] = (2, 4)
    confidence: int = 0
    division: str = "m3h"

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    # sources

    def sources(self) -> list[object]:
        """Options that say where pictures are."""
        raise NotImplementedError

    def pristine(self) -> list[object]:
        """The same, for a build of pictures that nothing ever happened to."""
        raise NotImplementedError

    def trouble(self) -> None:
        """Something happens to the sources."""

    def healed(self) -> list[object]:
        """Options of a retry that has every picture again."""
        raise NotImplementedError

    def dump(self, name: str, corrected: bool) -> Path:
        return self.folder / ("corrected" if corrected else "raw") / name

    # commands

    def rules(self) -> list[object]:
        images, posts = self.shards
        return [
            *("--features", "ocr", *QUIET, "--set", f"features.ocr.min_confidence={self.confidence}"),
            *("clean.min_hashtag_count=1", "clean.near_text=0", "clean.near_images=0", "clean.drop_retweets=false"),
            *("clean.unique_texts=false", "clean.unique_images=false"),  # fewer steps, so that a run takes less time
            *(f"shards.images={images}", f"shards.posts={posts}", f"split.key={self.division}"),
        ]

    def add(self) -> None:
        if left := sorted(PARTS - set(self.dumps)):
            self.add_all([self.chance.choice(left)])

    def add_all(self, names: list[str]) -> None:
        self.dumps += names
        dumps = [self.dump(name, corrected=False) for name in names]
        self.do("build", "--dumps", *dumps, "--dataset", self.dataset, *self.sources(), *self.rules())

    def correct(self) -> None:
        if left := sorted(set(self.dumps) - self.corrected):
            self.correct_all([self.chance.choice(left)])

    def correct_all(self, names: list[str], *more: object) -> None:
        self.corrected |= set(names)
        dumps = [self.dump(name, corrected=True) for name in names]
        self.do("retry", "--dataset", self.dataset, "--dumps", *dumps, *more, *QUIET)

    def retry(self) -> None:
        self.do("retry", "--dataset", self.dataset, *QUIET)

    def forget(self) -> None:
        """A post of the dataset, or one that may still come."""
        post = str(1000 + self.chance.randrange(len(PARTS) * POSTS))
        if post not in self.gone:
            self.gone.add(post)
            (self.folder / "ids").write_text(f"{post}\n")
            self.do("forget", "--dataset", self.dataset, "--ids", self.folder / "ids", "--missing-ok")

    def refresh(self) -> None:
        self.confidence = self.chance.choice((0, 30, 60))
        self.do("refresh", "--dataset", self.dataset, *QUIET, "--set", f"features.ocr.min_confidence={self.confidence}")

    def use(self) -> None:
        """Another version becomes current, and is completed."""
        versions = Manifest.read(self.dataset).features["ocr"].versions
        version = self.chance.choice(sorted(versions))
        self.do("use", "--dataset", self.dataset, "--feature", "ocr", "--fingerprint", version, sound=False)
        self.do("refresh", "--dataset", self.dataset, *QUIET)
        self.confidence = int(versions[version].settings["min_confidence"])

    def gc(self) -> None:
        self.do("gc", "--dataset", self.dataset)

    def compact(self) -> None:
        self.shards = self.chance.choice(((2, 4), (3, 5), (64, 10_000)))
        sets = [f"shards.images={self.shards[0]}", f"shards.posts={self.shards[1]}"]
        self.do("compact", "--dataset", self.dataset, "--progress", "none", "--set", *sets)

    def change_rules(self) -> None:
        """Another division of the posts and other shards, by a build that adds nothing."""
        self.division = self.chance.choice(("m3h", "other", "third"))
        self.shards = self.chance.choice(((2, 4), (3, 5)))
        dump = self.dump(self.dumps[0], self.dumps[0] in self.corrected)
        self.do("build", "--dumps", dump, "--dataset", self.dataset, *self.sources(), *self.rules())

    def repair(self) -> None:
        """A damaged shard, a missing table, a stray file."""
        manifest = Manifest.read(self.dataset)
        for name in [*self.chance.sample(manifest.features["ocr"].current_version.shards, 1), "hashtags.tsv"]:
            (self.dataset / name).write_bytes(b"damaged")
        (self.dataset / "stray").write_text("of nobody")
        self.do("verify", "--repair", "--dataset", self.dataset, "--workers", 1, whole=False)

    def commands(self) -> list[Callable[[], None]]:
        """What may happen next, the likelier the more often it is here."""
        cheap = [self.forget, self.use, self.gc, self.compact, self.repair, self.change_rules]
        return [*cheap, self.refresh, self.add, self.add, self.correct, self.retry, *[self.trouble] * 3]

    # a history

    def do(self, *words: object, sound: bool = True, whole: bool = True) -> None:
        """A command, killed up to twice on the way, to its end.

        sound: whether the laws hold after it. whole: whether they hold before it.
        """
        self.counts["commands"] += 1
        before = shown(self.dataset) if (self.dataset / MANIFEST).is_file() else {}
        victim = Victim(self.m3h.zygote, words, self.dataset)
        for _ in range(self.chance.choice((0, 0, 0, 1, 2))):
            if not victim.run(self.chance.randint(1, LIVES[str(words[0])])):
                break
            self.counts["kills"] += 1
            if before and whole and not Workspace(self.dataset).is_installing:
                assert verify(self.dataset).breaches == [], words
        else:
            assert not victim.run()
        after = shown(self.dataset)
        kept = {post: image for post, image in before.items() if post not in self.gone}
        assert {post: after.get(post) for post in kept} == kept, words
        assert self.gone.isdisjoint(after)
        if sound:
            assert verify(self.dataset).breaches == [], words
            assert is_conserved(self.dataset)

    def refused(self, *words: object) -> None:
        """A command that cannot work as things are says one line, and changes nothing."""
        before = files_of(self.dataset)
        said = self.m3h.run(*words)
        assert (said.code, len(said.errors)) == (2, 1), said.printed
        assert differing(before, files_of(self.dataset)) == []
        self.counts["refused"] += 1

    def live(self, commands: int) -> None:
        """Begin, and let so many things happen."""
        self.add()
        for _ in range(commands):
            self.chance.choice(self.commands())()

    def end(self) -> None:
        """All dumps are added and corrected, and all that failed is done; one build would have the same bytes."""
        if left := sorted(PARTS - set(self.dumps)):
            self.add_all(left)
        self.correct_all(sorted(PARTS), *self.healed())
        self.gc()
        once = self.folder / "once"
        once.mkdir()
        if self.gone:
            shutil.copyfile(self.dataset / FORGOTTEN_FILE, once / FORGOTTEN_FILE)
        dumps = [self.dump(name, corrected=True) for name in sorted(self.dumps)]
        self.m3h.must("build", "--dumps", *dumps, "--dataset", once, *self.pristine(), *self.rules())
        self.same_ending(once)
        assert differing(files_of(self.dataset), files_of(once)) == []

    def same_ending(self, once: Path) -> None:
        """What else has to be done with both."""


def write_dumps(folder: Path, lines: list[str]) -> None:
    """The dumps of a history, raw and corrected."""
    for part, file in enumerate(sorted(PARTS)):
        mine = lines[part * POSTS : (part + 1) * POSTS]
        for name, records in (("raw", [*mine[:-1], mine[-1][:-9]]), ("corrected", mine)):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / file).write_text("".join(f"{record}\n" for record in records))


class FolderWorld(World):
    """Pictures in a folder, which moves and changes. One picture of each dump comes late."""

    def begin(self) -> "FolderWorld":
        dump, self.whole = small_dump(self.folder / "source", len(PARTS) * POSTS)
        lines = dump.read_text().splitlines()
        self.names: dict[str, str] = {str(record["id"]): record["image"] for record in map(json.loads, lines)}
        write_dumps(self.folder, lines)
        self.pictures = shutil.copytree(self.whole, self.folder / "pictures0")
        for part in range(len(PARTS)):
            (self.pictures / f"p{part * POSTS}.jpg").unlink()
        self.moves = 0
        return self

    def sources(self) -> list[object]:
        return ["--images", self.pictures]

    def pristine(self) -> list[object]:
        return ["--images", self.whole]

    def healed(self) -> list[object]:
        return ["--images", self.whole]

    def trouble(self) -> None:
        self.chance.choice((self.spoil, self.spoil, self.spoil, self.move, self.come_late, self.look_again))()

    def spoil(self) -> None:
        """Pictures of kept posts are removed, replaced or damaged."""
        for post in self.chance.sample(sorted(shown(self.dataset)), len(shown(self.dataset)) // 2):
            path = self.pictures / self.names[post]
            match self.chance.randrange(3):
                case 0:
                    path.unlink(missing_ok=True)
                case 1:
                    picture(path, seed=self.chance.randrange(1000, 2000))
                case _:
                    path.write_bytes(b"<html>")

    def move(self) -> None:
        """Without its new place no command works; a build that adds nothing may name it."""
        self.moves += 1
        self.pictures = self.pictures.rename(self.folder / f"pictures{self.moves}")
        self.refused("retry", "--dataset", self.dataset, *QUIET)
        name = self.dumps[0]
        dumps = ["--dumps", self.dump(name, name in self.corrected)]
        self.do("build", *dumps, "--dataset", self.dataset, *self.sources(), *self.rules())

    def come_late(self) -> None:
        """A picture is put into its place."""
        name = f"p{self.chance.randrange(len(PARTS)) * POSTS}.jpg"
        shutil.copyfile(self.whole / name, self.pictures / name)

    def look_again(self) -> None:
        """In a folder that has all pictures as they were."""
        self.do("retry", "--dataset", self.dataset, *self.healed(), *QUIET)


class CrawledWorld(World):
    """Pictures of a host that fails from time to time."""

    def begin(self, host: FailingHost) -> "CrawledWorld":
        self.host = host
        host.heal()
        lines = (host.folder.parent / "dump.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        write_dumps(
            self.folder, [json.dumps({"image_url": host.url(record.pop("image")), **record}) for record in records]
        )
        return self

    def sources(self) -> list[object]:
        return ["--crawl"]

    def pristine(self) -> list[object]:
        return ["--crawl"]

    def rules(self) -> list[object]:
        return [*super().rules(), *self.host.rules()]

    def trouble(self) -> None:
        """The host fails in another way, or is well again; perhaps all is asked for anew."""
        self.host.outage = self.chance.choice([None, *(answer for answer, _, _ in OUTAGES.values())])
        if self.chance.random() < 0.5:
            self.recrawl(self.dataset)

    def recrawl(self, dataset: Path) -> None:
        self.do("retry", "--dataset", dataset, "--recrawl", *QUIET)

    def healed(self) -> list[object]:
        self.host.heal()
        return []

    def same_ending(self, once: Path) -> None:
        self.recrawl(self.dataset)
        self.m3h.must("retry", "--dataset", once, "--recrawl", *QUIET)


class EmbeddedWorld(World):
    """Pictures in the dumps themselves, which are archives. One picture of each is damaged until it is corrected."""

    def begin(self) -> "EmbeddedWorld":
        dump, self.whole = small_dump(self.folder / "source", len(PARTS) * POSTS)
        records = [json.loads(line) for line in dump.read_text().splitlines()]
        for part, file in enumerate(sorted(PARTS)):
            mine = records[part * POSTS : (part + 1) * POSTS]
            pairs = [pair(str(r["id"]), (self.whole / r["image"]).read_bytes(), r) for r in mine]
            write_set(self.folder / "corrected" / file, pairs)
            (picture_name, data), (text_name, text) = pairs[0][0], pairs[-1][1]
            pairs[0][0], pairs[-1][1] = (picture_name, data[: len(data) // 2]), (text_name, text[:-9])
            write_set(self.folder / "raw" / file, pairs)
        self.others = self.folder / "others"
        for record in records:
            picture(self.others / f"{record['id']}.jpg", seed=1000 + record["id"])
        return self

    def sources(self) -> list[object]:
        return []

    def pristine(self) -> list[object]:
        return []

    def healed(self) -> list[object]:
        return []

    def trouble(self) -> None:
        """A folder is named that has other pictures of the same names."""
        self.do("retry", "--dataset", self.dataset, "--images", self.others, *QUIET)
