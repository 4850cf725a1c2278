"""Solvers: Numba kernels behind functions that validate, allocate and certify."""
