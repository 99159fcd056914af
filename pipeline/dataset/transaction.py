"""How every command changes a dataset: one command at a time, always in the same order of steps, safe against kills.

A command stages files below `Change.next`, where no reader looks. It publishes them together with the manifest that
describes them. What differs between commands is stated by a `Command`, never by another order of steps.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from m3h.pipeline.dataset import retired
from m3h.pipeline.dataset.derived import write_derived
from m3h.pipeline.dataset.losses import Losses, losses
from m3h.pipeline.dataset.publish import remove_unlisted
from m3h.pipeline.dataset.suppression_list import FORGOTTEN_FILE
from m3h.pipeline.dataset.workspace import Workspace, record_files
from m3h.pipeline.rules import SafetyRules
from m3h.schemas.errors import M3hError, UsageError
from m3h.schemas.files import publish_json, read_json, validating
from m3h.schemas.inside import has_file, refuse_strange
from m3h.schemas.manifest import MANIFEST, FileEntry, Manifest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Command:
    """How a command treats unfinished work in a dataset's folder, and what it may remove.

    journal: whether the command knows the new manifest before it moves files. Then it writes the manifest to a journal
    first. If it is killed after that, only the same command can finish the work.
    resumes: fields of the signature of unfinished work. The command resumes work with one of them, or discards it where
    it is not the same work.
    resumes_all: whether it does so with all unfinished work that is in no journal.
    removes_unlisted: whether it removes all files of features and pictures that the new manifest does not list.
    takes_away: whether it is there to remove posts, so that no share of them is too large.
    retires: whether files that it replaces or removes are kept for a while for those who have the dataset open. If not,
    all that other commands kept is removed, too.
    """

    name: str
    journal: bool = False
    resumes: tuple[str, ...] = ()
    resumes_all: bool = False
    removes_unlisted: bool = False
    takes_away: bool = False
    retires: bool = True


BUILD = Command("build", resumes_all=True, removes_unlisted=True)
REFRESH = Command("refresh", resumes=("refresh",), removes_unlisted=True)
REPAIR = Command("verify --repair", resumes=("repair",), removes_unlisted=True)
COMPACT = Command("compact", journal=True, removes_unlisted=True)
FORGET = Command("forget", journal=True, removes_unlisted=True, takes_away=True, retires=False)
USE = Command("use")
GC = Command("gc", retires=False)

JOURNALED = (FORGET, COMPACT)


class Change:
    """A change of a dataset that is under way.

    known: the manifest before the change; None where there is none yet.
    prepared: content of the journal, written by this call or by one that was killed; None where there is none.
    """

    def __init__(self, workspace: Workspace, command: Command, known: Manifest | None, *, max_loss: float) -> None:
        self.workspace = workspace
        self.known = known
        self._max_loss = max_loss
        self._allowed: Losses | None = None
        self._command = command
        self._stays_open = False
        self.prepared: dict[str, Any] | None = None
        if command.journal and self.journal.is_file():
            self.prepared = _read_journal(self.journal)

    @property
    def retires(self) -> bool:
        """Whether files that go are kept for a while.

        Not where something was forgotten: a dump that is added may name further versions of it, which go with these
        files.
        """
        return self._command.retires and not (self.known and FORGOTTEN_FILE in self.known.files)

    @property
    def dataset(self) -> Path:
        """The dataset's folder."""
        return self.workspace.dataset

    @property
    def journal(self) -> Path:
        """The path of the command's journal."""
        return self.workspace.journal(self._command.name)

    @property
    def next(self) -> Path:
        """The folder for files that will be moved into the dataset. They have the names that they will have there."""
        return self.workspace.next

    def prepare(self, manifest: Manifest, **more: object) -> None:
        """Write the journal of a command that has one.

        Args:
            manifest: What is to be published.
            **more: JSON values that the command needs to finish, by name.
        """
        publish_json(self.journal, {**more, "manifest": asdict(manifest)})
        self.prepared = read_json(self.journal)

    def publish_prepared(self) -> Manifest:
        """Publish the manifest of the journal."""
        with validating(self.journal) as path:
            manifest = Manifest.of((self.prepared or {})["manifest"], path)
        return self.publish(manifest)

    @property
    def loses_too_much(self) -> bool:
        """Whether the dataset would lose more by the staged records than the command may take away."""
        return self._losses().exceed(self._max_loss)

    def _losses(self) -> Losses:
        """Nothing where no records are staged, or the command is there to remove them."""
        if self.known is None or self._command.takes_away or not record_files(self.next):
            return Losses()
        return losses(self.dataset, self.known, self.next)

    def refuse_losses(self) -> None:
        """Look once at what the dataset would lose by the staged records, which are final now.

        Raises:
            M3hError: It is more than the command may take away. The dataset stays as it is, and the staged files stay
                for a call that may.
        """
        if self._allowed is not None:
            return
        found = self._losses()
        if found.exceed(self._max_loss):
            raise M3hError(
                f"{self.dataset}: this would take away {found}, more than safety.max_loss={self._max_loss:g} allows. "
                "Nothing was changed. If that is wanted, run it again with --set safety.max_loss=1."
            )
        if found.posts or found.pictures:
            log.warning("note: %d posts leave: this takes away %s.", found.posts, found)
        self._allowed = found

    def publish(self, manifest: Manifest | Callable[[], Manifest]) -> Manifest:
        """Move the staged files into place, write card, Croissant and manifest, and remove the files that it
        no longer lists.

        Every step may be done twice.

        Args:
            manifest: The new manifest, or a function that makes it once the files are in their places.

        Raises:
            M3hError: The dataset would lose more than the command may take away. Nothing is moved then.
        """
        self.refuse_losses()
        known = self.known.files if self.known else {}
        kept = retired.keep(self.dataset, known, self._at_stake(known))
        self.workspace.install()
        described = manifest() if callable(manifest) else manifest
        leaving = known.keys() - described.files.keys()
        if self.retires:
            retired.keep(self.dataset, known, leaving)
        self.workspace.schedule_removal(leaving)
        write_derived(self.dataset, described)
        described.write(self.dataset)
        retired.let_go(self.dataset, known, described.files, kept=kept)
        self.workspace.remove_scheduled()
        if self._command.removes_unlisted:
            remove_unlisted(self.dataset, described)
        return described

    def _at_stake(self, known: Mapping[str, FileEntry]) -> list[str]:
        """Listed files that may be replaced before the new manifest is there: all but rows of features that stay."""
        if not self.retires:
            return []
        staged = self.workspace.staged
        return [name for name in known if name in staged or not PurePosixPath(name).match("features/*/*/shard-*")]

    def stay_open(self) -> None:
        """Say that work is left to do. The change then counts as unfinished until the same command is called again."""
        self._stays_open = True

    def close(self) -> None:
        """End the change. Unless it stays open, the workspace is removed."""
        if not self._stays_open:
            self.workspace.finish()


@contextmanager
def transaction(
    dataset: Path,
    command: Command,
    known: Manifest | None,
    *,
    work: Mapping[str, Any] | None = None,
    max_loss: float = SafetyRules().max_loss,
) -> Iterator[Change]:
    """Change a dataset while no other command can. After a body without errors no working files are left.

    After an error or a kill the dataset is as it was, or the same command finishes the change.

    Args:
        dataset: The dataset's folder.
        command: The command that changes it.
        known: The manifest that the caller has read. None where there was none.
        work: Identifies new rows that will be computed, so that the same command can resume the work. None where
            nothing is computed.
        max_loss: Share of the posts or pictures that the change may take away.

    Raises:
        IntegrityError: Something else than files and folders lies in the dataset. Nothing was touched.
        UsageError: Another command is running here, has changed the dataset since `known` was read, or has left
            unfinished work that this command must not touch.
    """
    refuse_strange(dataset)
    workspace = Workspace(dataset)
    with workspace.locked():
        change = Change(workspace, command, known, max_loss=max_loss)
        _refuse_changed(dataset, known)
        _refuse_interrupted(dataset, command)
        if change.prepared is None:
            _refuse_unfinished(workspace, command, known, work=work)
        Manifest.settle(dataset)
        workspace.remove_scheduled()
        workspace.remove_temp_files()
        (retired.remove_expired if change.retires else retired.remove_all)(dataset)
        if work is not None:
            workspace.begin(dict(work))
        elif change.prepared is None:
            workspace.discard_staged()
        if workspace.is_installing:
            workspace.install()
        yield change
        change.close()


def is_interrupted(dataset: Path, command: Command) -> bool:
    """Whether a call of a command with a journal was killed, so that the same command has to finish it."""
    return Workspace(dataset).journal(command.name).is_file()


def has_begun(dataset: Path, command: Command) -> bool:
    """Whether a dataset's folder holds unfinished work of this command."""
    return not Workspace(dataset).signature.keys().isdisjoint(command.resumes)


def _read_journal(path: Path) -> dict[str, Any]:
    with validating(path):
        return dict(read_json(path))


def _refuse_changed(dataset: Path, known: Manifest | None) -> None:
    now = Manifest.read(dataset) if has_file(dataset, MANIFEST) else None
    if now != known:
        raise UsageError(f"{dataset}: another command has changed it meanwhile; run this one again.")


def _refuse_interrupted(dataset: Path, command: Command) -> None:
    for journaled in JOURNALED:
        if journaled is not command and is_interrupted(dataset, journaled):
            raise UsageError(f"{dataset}: {journaled.name} was interrupted halfway; run {journaled.name} again first.")


def _refuse_unfinished(
    workspace: Workspace, command: Command, known: Manifest | None, *, work: Mapping[str, Any] | None
) -> None:
    """Keep computed rows that are in no manifest yet, and files that already replaced others."""
    may_resume = command.resumes_all or has_begun(workspace.dataset, command)
    is_other_work = workspace.signature != work
    if workspace.is_unfinished and (not may_resume or (is_other_work and workspace.is_half_installed(known))):
        raise UsageError(
            f"{workspace.dataset}: an unfinished build lies in {workspace.folder}; run its command again first."
        )
