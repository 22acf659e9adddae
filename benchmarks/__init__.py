"""Speed of the hot paths, each beside a peer or a limit measured in the same run."""
