"""Benchmarks: ours and a peer in one run, paired, the output checked. Timings are measured here, never in tests."""
