"""What is done to decoded images on the device, inside the compiled step."""
