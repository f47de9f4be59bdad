"""What photographs state: the camera's file, the transfer curve."""
