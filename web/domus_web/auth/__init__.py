"""Who is there: log-in, log-out, sign-up, password."""
