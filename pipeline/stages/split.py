"""Split 80/10/10 by a keyed hash of the post's group, so that no picture, text or near copy is in two splits."""

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.splits import in_split, shared_traits
from m3h.pipeline.rules import SplitRules
from m3h.pipeline.stages.groups import ByGroup
from m3h.pipeline.stages.routing import PostsAndLinks
from m3h.schemas.posts import Post


@dataclass
class Split(beam.PTransform[PostsAndLinks, PCollection[Post]]):
    """(posts, links of near copies) -> Posts with group and split. A post whose source gave it a split keeps it."""

    rules: SplitRules
    in_rounds: bool = False

    @no_annotations
    def expand(self, posts_and_links: PostsAndLinks) -> PCollection[Post]:
        """No post is dropped."""
        rules = self.rules
        routed = posts_and_links | ByGroup(
            shared_traits, lambda post, group: in_split(post, group, rules), self.in_rounds
        )
        kept: PCollection[Post] = routed.keep
        return kept
