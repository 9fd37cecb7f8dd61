"""What the mesh knows, written as CSV: readings and days of heat, page by page, in memory that does not grow."""
