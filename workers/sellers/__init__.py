"""Worker `sellers`: the table of every seller's statistics."""
