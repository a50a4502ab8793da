"""The law: what is known of a span, when it is due, and what its end means.

Speaks spans, evidence, causes and terms; touches only its arguments.
Never a clock, a log, an encoding, the environment or a framework: time is an argument, in integer nanoseconds.
"""
