"""Engines behind one interface: see `base`."""
