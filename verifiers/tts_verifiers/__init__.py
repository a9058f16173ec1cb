"""Verifiers: who judges the steps of a solution."""
