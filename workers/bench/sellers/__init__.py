"""`annul bench sellers`: updates of sellers' counts per second, ours beside three others over the same records."""
