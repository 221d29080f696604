"""What the dashboard says, in English and French: one module a page, each text under one key in both languages."""
