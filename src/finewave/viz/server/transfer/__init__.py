"""Files that come to the viewer and leave it."""
