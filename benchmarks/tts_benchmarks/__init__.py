"""Benchmarks: problems, graders and statistics, each run by `tts bench NAME`."""
