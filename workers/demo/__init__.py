"""Annul running whole on a local stack, and traffic for it: `annul up` and `annul demo`."""
