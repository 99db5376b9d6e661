"""Benchmarks: one file a question, our part and its peer in the same run, medians and ratios."""
