"""The wire-compatible subset of Envoy's messages that move with traffic; `make proto` compiles it."""
