"""The way of a message, once for all workers: decode, load, decide, record, emit, commit."""
