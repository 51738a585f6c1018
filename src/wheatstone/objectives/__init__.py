"""Losses: tensors in, terms `(sum, count, weight)` out; one file a system, on shared terms."""
