"""One machine: a configuration file, an Envoy as a child process, and the engine between them."""
