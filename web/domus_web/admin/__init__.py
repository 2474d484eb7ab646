"""The operator panel's lists: one file for each model."""
