"""Worker `ops`: the dashboard that operators see consumers and money in, and repair from."""
