"""`python -m tests.docs.generate` makes the generated blocks of README.md anew."""

from __future__ import annotations

import sys

from tests.docs import examples, figures, tables
from tests.docs.page import README, differing, filled

BLOCKS = {
    "bench-asgi": figures.asgi,
    "bench-client": figures.client,
    "bench-loads": figures.loads,
    "bench-memory": figures.memory,
    "bench-profile": figures.profile,
    "bench-scale": figures.scale,
    "causes": tables.causes,
    "collector-in": lambda: tables.deployed("collector-in.yaml"),
    "collector-out": lambda: tables.deployed("collector-out.yaml"),
    "commands": tables.commands,
    "example-dead-letter": examples.dead_letter,
    "example-final": examples.final,
    "example-rejected": examples.rejected,
    "example-sent": examples.sent,
    "example-sizes": examples.sizes,
    "example-tail": examples.tail,
    "house": tables.house,
    "law": tables.law,
    "metrics": tables.metrics,
    "options": tables.options,
    "pauses": tables.pauses,
    "promises": tables.promises,
    "reasons": tables.reasons,
    "settings": tables.settings,
}


def main() -> None:
    """Write the blocks that differ, and say which."""
    text = README.read_text()
    stale = differing(text, BLOCKS)
    README.write_text(filled(text, BLOCKS))
    sys.stdout.write(f"{README.name}: {', '.join(stale) or 'nothing'} made anew\n")


if __name__ == "__main__":
    main()
