"""Real Kafka and PostgreSQL from packages, for the demo, the tests and the benchmark. Linux."""
