"""What fuzzing begins with: a few small inputs of each kind, from the recordings and from our own vectors.

`python -m tests.fuzz.seeds` writes them anew, as the files that libFuzzer reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from finalizer.codecs.evidence import encode, encode_mark
from finalizer.codecs.foreign import decoder_of
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import encode_proto
from finalizer.codecs.state import VERSION
from finalizer.core.model import Evidence
from finalizer.core.sources import Vouched
from finalizer.shell import control
from tests.codecs.history import changelog
from tests.codecs.otlp_making import dotnet_json, full, span, strict_json, traces
from tests.codecs.spans import T0, UPLOAD, end, heartbeat, record, start
from tests.codecs.test_golden import LOST, OUTPUTS
from tests.codecs.test_zipkin import WHOLE
from tests.fuzz.road import BREAK
from tests.fuzz.targets import SOURCE, TAGS
from tests.policy.written import FULL
from tests.recordings.reading import recordings

CORPUS = Path(__file__).with_name("corpus")
LONGEST = 1500
"""Bytes of a seed: short ones are changed faster."""


def written() -> dict[str, list[bytes]]:
    """The seeds of each target."""
    native = [json.dumps(UPLOAD).encode(), start(), heartbeat(progress=0.5, seq=2), end(reason="partial"), *_natives()]
    logs, spans = list(_recorded("otlp_logs")), list(_recorded("otlp_spans"))
    spans += [strict_json(traces(full())), traces(full()).SerializeToString(), dotnet_json(traces(span()))]
    zipkin = [json.dumps([WHOLE]).encode()]
    return {
        "native": native,
        "partial_log": logs,
        "otlp_spans": spans,
        "zipkin": zipkin,
        "evidence": list(_evidence([*native[:3], *native[-1:]], logs[:2])),
        "changelog": list(_changelog()),
        "control": [control.encode(control.Release(release="all", group="app", for_seconds=60.0, by="me"))],
        "policy": [FULL.encode(), b"terms: {silence: 1h}\n"],
        "outputs": list(_outputs()),
        "road": list(_stories(logs, spans, zipkin)),
    }


def _natives() -> Iterator[bytes]:
    yield record("lifecycle", state="background")
    yield start(links=[{"trace_id": "a" * 32, "span_id": "b" * 16}], events=[{"time_unix_nano": T0, "name": "e"}])
    yield end(status={"code": "error", "message": "m"}, start_time_unix_nano=str(T0), op_id="o")


def _recorded(topic: str) -> Iterator[bytes]:
    """The smallest record of each way on which each program's traffic came."""
    for one in recordings():
        values = sorted((record.value for record in one.records if record.topic == topic), key=len)
        yield from (value for value in values[:1] if len(value) <= LONGEST)


def _evidence(natives: Sequence[bytes], logs: Sequence[bytes]) -> Iterator[bytes]:
    for value in natives:
        yield encode(NativeDecoder().decode(value, SOURCE), stamped=True)
    for value in logs:
        [part, *_] = decoder_of("partial_log")(value, SOURCE)
        assert isinstance(part, Evidence)
        yield encode(part, stamped=False)
    yield encode_mark([Vouched("otlp_logs", 3, T0, caught_up=True, deaf=((T0 - 9, T0 - 5),), lost=2)])


def _changelog() -> Iterator[bytes]:
    for key, value in changelog(f"v{VERSION}")[::3]:
        kind = [tag[:1] for tag in TAGS].index(key[:1])
        yield bytes([kind]) + (value or b"")


def _outputs() -> Iterator[bytes]:
    yield from OUTPUTS.values()
    yield encode_proto(LOST)


def _stories(logs: Sequence[bytes], spans: Sequence[bytes], zipkin: Sequence[bytes]) -> Iterator[bytes]:
    begins, beats, ends = b"n" + start(), b"n" + heartbeat(), b"n" + end()
    yield BREAK.join([begins, beats, b"t\x05", b"!", ends])
    yield BREAK.join([begins, b"t\x30", b"n" + end(reason="abandoned"), b"!", ends])
    yield BREAK.join([ends, b"t\x05", begins, b"n" + record("lifecycle", state="background"), b"t\x20", beats])
    yield BREAK.join([b"p" + logs[0], b"t\x01", b"s" + spans[0], b"z" + zipkin[0], b"t\x05"])


def main() -> None:
    """Write them, and leave what stands beside them."""
    for name, seeds in written().items():
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (folder / f"seed-{number:02}").write_bytes(seed)


if __name__ == "__main__":
    main()
