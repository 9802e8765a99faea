"""What a network looks at: attention, corner maps, and pictures of them."""
