"""Measuring methods on benchmarks, and the figures to compare with."""
