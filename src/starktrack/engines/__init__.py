"""Networks behind the protocol of `tracking.protocol`."""
