"""The search: spaces, searcher, trials, study folders. Run from the checkout, not packaged."""
