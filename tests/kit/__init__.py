"""What tests share: builders of everything the rules take, and stores that live in memory."""
