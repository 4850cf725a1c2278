"""Machine-checked steps of proofs, one module per plugin, importable as `theorylab_proofs`."""
