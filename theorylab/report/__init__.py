"""Reports: the same verdicts for people and for machines. Nothing is computed here."""
