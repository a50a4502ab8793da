"""A made world: broker, workers and clients in virtual time, all faults, and an oracle that knows what truly happened.

It runs the course of a partition and its changelog as `shell` does. All chance comes from the seed: the same plan makes
the same world. Never Kafka, a clock, the network or a file; never `finalizer.shell`.
"""
