"""Decide about posts by their groups: by one process that holds what all posts share, or in rounds by many."""

from collections.abc import Callable
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.groups import Verdict, groups
from m3h.pipeline.stages.group_rounds import GroupsInRounds, Traits
from m3h.pipeline.stages.routing import ApplyDecisions, GlobalFilter, PostsAndLinks, Routed
from m3h.schemas.posts import Post


@dataclass
class ByGroup(beam.PTransform[PostsAndLinks, Routed]):
    """(posts, links) -> those that are kept, and Dropped.

    traits: Post -> its age, and what it may share. apply: (Post, the name of its group) -> Post or Dropped.
    """

    traits: Traits
    apply: Callable[[Post, str], Verdict]
    in_rounds: bool = False

    @no_annotations
    def expand(self, posts_and_links: PostsAndLinks) -> Routed:
        """Both ways find the same groups."""
        if not self.in_rounds:
            return posts_and_links | "at once" >> GlobalFilter(self.traits, groups, self.apply)
        posts, _ = posts_and_links
        apply = self.apply
        found = posts_and_links | "groups" >> GroupsInRounds(self.traits)
        return (posts, found) | "apply" >> ApplyDecisions(lambda post, group: apply(post, *group))
