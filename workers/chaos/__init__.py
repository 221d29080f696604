"""Proofs that what is decided stays right, whatever crashes: real processes, killed while traffic flows."""
