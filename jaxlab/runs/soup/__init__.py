"""Model soups: parameters averaged."""
