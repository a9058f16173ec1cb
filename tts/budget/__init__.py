"""Budgets: what may be spent, what is held, what is gone."""
