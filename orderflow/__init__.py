"""Algorithmic order router for many exchanges."""
