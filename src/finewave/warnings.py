"""The category of all finewave warnings, so that users can filter them."""


class FinewaveWarning(UserWarning):
    """Something was assumed or repaired; the message says what, and how to change it."""


class RadianceWarning(FinewaveWarning):
    """A product holds radiance; where a model is known, its card says whether that matters."""
