"""Measuring a worker on a real broker: loads, what a run took, and what its output must be.

It touches Kafka, processes and the clock; it starts the worker as its users do, and looks at it from outside. Never a
rule about spans, and never a figure of a run that lost or doubled one.
"""
