"""What several test packages share. Nothing in here holds an assertion about the product."""
