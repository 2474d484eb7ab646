"""Mails to customers: what is told when, in which words, and whether it arrived."""
