"""Data sets as published, and the training crops cut from them."""
