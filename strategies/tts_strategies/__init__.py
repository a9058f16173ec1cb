"""Search strategies: one paper, one file."""
