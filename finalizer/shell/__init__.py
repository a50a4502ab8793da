"""The only room with Kafka, Faust, the wall clock and the environment.

Carries raw records to the road and its decisions to the broker: frames, partitions, restore, writer, expiry, metrics.
Never decides about a span: that is `finalizer.pipeline` and below.
"""
