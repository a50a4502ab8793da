"""Bytes to evidence, finals and dead letters to bytes: native JSON, OTLP, changelog values.

Speaks formats; touches only its arguments. What cannot be used is told as `errors.Unusable`, never in another way.
Never policy, time, Kafka or a framework: a codec gives the same answer for the same bytes, always.
"""
