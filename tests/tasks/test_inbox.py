"""The inbox: words are numbered, kept in order, applied once, and readable by their owner alone."""

import multiprocessing
import stat
from pathlib import Path

import pytest

from core.facts import Action
from tasks import inbox


def test_words_come_out_in_the_order_in_which_they_went_in(tmp_path: Path) -> None:
    """Two words to one bot are applied in their order, with who said them and why."""
    numbers = [inbox.submit(tmp_path, "g1", word, "anna", "news") for word in ("pause", "resume")]
    found = inbox.pending(tmp_path)
    assert [command.command_id for command in found] == numbers
    assert numbers[1] == numbers[0] + 1
    assert [(c.bot_id, c.action, c.who, c.note) for c in found] == [
        ("g1", Action.PAUSE, "anna", "news"),
        ("g1", Action.RESUME, "anna", "news"),
    ]


def test_a_word_stays_until_it_is_said_to_be_applied(tmp_path: Path) -> None:
    """Reading changes nothing; saying twice that a word was applied is as good as once."""
    first = inbox.submit(tmp_path, "g1", "halt", "anna", "")
    second = inbox.submit(tmp_path, "g1", "release", "anna", "")
    assert inbox.pending(tmp_path) == inbox.pending(tmp_path)
    for _ in range(2):
        inbox.applied(tmp_path, [first])
        assert [command.command_id for command in inbox.pending(tmp_path)] == [second]


def test_an_inbox_that_nobody_has_used_is_empty(tmp_path: Path) -> None:
    """Asking does not make a file."""
    assert inbox.pending(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("bot", "action", "who", "reason"),
    [
        ("g1", "explode", "anna", "no word of control; use one of pause, resume, halt"),
        ("", "pause", "anna", "bot is empty"),
        ("g1", "pause", " ", "who is empty"),
        ("g1", "close-lot", "anna", "needs the lot"),
    ],
)
def test_a_word_that_means_nothing_is_refused(bot: str, action: str, who: str, reason: str, tmp_path: Path) -> None:
    """The refusal says what would be accepted, and nothing is stored."""
    with pytest.raises(inbox.ControlRefused, match=reason):
        inbox.submit(tmp_path, bot, action, who, "")
    assert inbox.pending(tmp_path) == []


def test_a_lot_is_named_with_its_word(tmp_path: Path) -> None:
    """close-lot carries the lot."""
    inbox.submit(tmp_path, "g1", "close-lot", "anna", "", "12-0")
    assert inbox.pending(tmp_path)[0].argument == "12-0"


def test_only_the_owner_may_read_the_inbox(tmp_path: Path) -> None:
    """The file, and its log while it is open, are closed to everybody else: whoever writes here moves money."""
    inbox.submit(tmp_path, "g1", "pause", "anna", "")
    with inbox._open(tmp_path):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_a_lost_inbox_gives_out_no_number_twice(tmp_path: Path) -> None:
    """The store remembers numbers as applied: a new inbox must not begin where the old one began."""
    for path in (tmp_path / "a", tmp_path / "b"):
        inbox.submit(path, "g1", "pause", "anna", "")
    first = inbox.pending(tmp_path / "a")[0].command_id
    assert first > 1_700_000_000
    assert inbox.pending(tmp_path / "b")[0].command_id >= first


def _submit_ten(folder: str) -> None:
    for _ in range(10):
        inbox.submit(folder, "g1", "pause", "anna", "")


def test_several_processes_may_write_at_once(tmp_path: Path) -> None:
    """A UI, a script and a person lose no word to each other."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_submit_ten, args=(str(tmp_path),)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    numbers = [command.command_id for command in inbox.pending(tmp_path)]
    assert len(numbers) == len(set(numbers)) == 30
