"""Run on demand: what is measured, not tested."""
