"""What real clients put on the wire, and what truly happened.

One folder for each program: `expected.json` is what the program knew about its own spans, each `*.jsonl` its traffic on
one way to Kafka. They are made by `python -m tests.recordings.make` and read by `tests.recordings.reading`.
"""
