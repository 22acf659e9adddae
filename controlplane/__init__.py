"""Drives: reads carbon and counts, asks the scheduler, and makes the mesh follow."""
