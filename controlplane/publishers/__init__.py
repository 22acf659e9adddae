"""Pure functions from a `RoutingIntent` to what a data plane understands, one package per data plane."""
