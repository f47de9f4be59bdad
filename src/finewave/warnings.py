"""The category of all finewave warnings, so that users can filter them."""


class FinewaveWarning(UserWarning):
    """Something was assumed or repaired; the message says what, and how to change it."""
