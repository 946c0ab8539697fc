"""What tools and tests share: seeded weights, photographs, the cases of networks, and what their references gave."""
