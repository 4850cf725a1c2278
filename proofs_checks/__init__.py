"""Machine-checked steps of proofs, one module per plugin, importable as `theorylab_proofs`.

Each step takes a number k: 1 for the step itself, its twin for a falsified one that must be refuted. Symbols are made where they are used.
"""
