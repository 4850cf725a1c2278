"""From a request to verdicts: plan, execute, confirm, judge. A stage imports records, never a later stage."""
