"""Who is told what: facts that Annul publishes become notices, and notices become texts in French or English."""
