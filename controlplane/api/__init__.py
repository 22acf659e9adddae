"""What the control plane tells over HTTP: status for people and programs, metrics for Prometheus, health."""
