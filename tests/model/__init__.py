"""A small exhaustive model of one card refund and what follows it, beside the code that it is about.

Everything that may happen between our workers, the broker and a provider is tried in every order: adapters stall and
wake, messages get lost, come late and come again, answers get lost, a provider forgets keys and takes successes back,
people act on what they saw. Each decision is the real one, of `workers.domain.refund`, on the real table of states;
the claim is that of `claiming.py`, which a test holds against the SQL. Only time is coarse: hours, with a lease of one,
a longest stall of one and keys kept for four.
"""
