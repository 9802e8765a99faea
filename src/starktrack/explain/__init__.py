"""Pictures of what the network looks at."""
