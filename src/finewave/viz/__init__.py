"""What is looked at: figures, reports, pages in a browser."""
