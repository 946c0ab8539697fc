"""Reading and writing files that may be damaged, odd or hostile."""
