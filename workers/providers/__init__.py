"""Payment providers: the port, an adapter each, and simulated servers that speak their protocols."""
