"""What can be wrong with data: near duplicates, odd ids, images and targets out of the ordinary."""
