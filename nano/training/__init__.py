"""How the shipped weights were made. Needs torch; not installed."""
