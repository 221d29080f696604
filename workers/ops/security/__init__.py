"""Who may: sign-in, sessions, forged requests, headers."""
