"""The benchmark: ratios measured side by side in one run, on real Kafka and a fully durable PostgreSQL."""
