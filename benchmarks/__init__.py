"""Drills and measurements of the running product. Nothing here is imported by it."""
