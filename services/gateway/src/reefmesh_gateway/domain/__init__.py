"""Values and rules of the gateway, without input or output."""
