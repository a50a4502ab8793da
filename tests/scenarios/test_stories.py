"""The promises, one story each (`runner` says how to read and write them)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.runner import Story

STORIES = sorted(Path(__file__).parent.glob("*.yaml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path) -> None:
    """What is written is what the story says: these records, so many, with these fields, and nothing else."""
    Story(path).tell()


def test_each_story_has_a_promise_of_its_own() -> None:
    """A file without a promise, or with another one's, defends nothing."""
    sentences = [Story(path).sentence for path in STORIES]
    assert STORIES
    assert len(set(sentences)) == len(sentences)
