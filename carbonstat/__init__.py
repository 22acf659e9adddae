"""A sample service in three flavours: the same answer, at a different precision and for different energy."""
