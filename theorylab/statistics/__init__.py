"""Decision procedures: every verdict of theorylab that rests on random numbers is decided here, and nowhere else."""
