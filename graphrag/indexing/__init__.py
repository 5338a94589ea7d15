"""Stages, the runner that decides which of them have work, estimates and progress."""
