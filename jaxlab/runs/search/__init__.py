"""A search as a run: trials that are runs, a ledger of them, and who takes which next."""
