"""How batches of output topics are compressed. A final says much the same as the one before it: four to six times
fewer bytes for the broker to take, keep and hand on, for a microsecond of ours.

Levels are those that cost least. The changelog is compressed by the broker, as its topic says.

Source: https://kafka.apache.org/documentation/#recordbatch (attributes, bits 0 to 2)
"""

from __future__ import annotations

from functools import partial

from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode

from finalizer.codecs.record_batch import Packing
from finalizer.shell.settings import Compression

PACKINGS = {
    Compression.NONE: None,
    Compression.GZIP: Packing(1, partial(gzip_encode, compresslevel=1)),
    Compression.SNAPPY: Packing(2, snappy_encode),
    Compression.LZ4: Packing(3, partial(lz4_encode, level=1)),
    Compression.ZSTD: Packing(4, partial(zstd_encode, level=1)),
}
