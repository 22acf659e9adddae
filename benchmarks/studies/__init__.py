"""Studies of quality: how much is emitted, and whether promises hold. `python -m benchmarks.studies [NAME ...]`."""
