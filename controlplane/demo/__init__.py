"""Recorded days in two minutes: real requests, a real Envoy, and an honest table at the end."""
