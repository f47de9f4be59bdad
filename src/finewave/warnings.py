"""The one category of finewave's warnings, so that users can filter them."""


class FinewaveWarning(UserWarning):
    """Something was assumed or repaired in order to go on; the message says what, and how to have it otherwise."""
