"""Loading of trained models, those for any sensor with the sensor that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from finewave.zoo import model as zoo_model

if TYPE_CHECKING:
    from finewave.physics.sensors import Sensor
    from finewave.zoo.model import Model


def load_model(
    which: str | Path,
    *,
    precision: str = "auto",
    sensor: str | Path | Sensor | None = None,
    wavelengths: Any = None,
) -> Model:
    """Load a trained network with its card.

    Parameters
    ----------
    which : str or Path
        A name from ``list_models(trained=True)``, a folder with ``model.safetensors`` and ``card.json``, a
        ``.safetensors`` file with ``card.json`` beside it, or a model on the Hugging Face Hub, ``"hf:owner/name"`` or
        ``"hf:owner/name@revision"``, which is fetched once and then used from the cache, without a network too.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of inner features, see `Model`.
    sensor : str, Path or Sensor, optional
        Of weights for any sensor (``any-sensor-...``): whose bands go in, see `get_sensor`; by default the sensor of
        the card.
    wavelengths : str, Path, sequence of float or Sensor, optional
        Of the same: the bands of the result in nm, ``"430:860:5"`` for instance, or a sensor's; see
        `finewave.physics.requested_bands`.

    Returns
    -------
    Model
        In float32, on the CPU, in evaluation mode.

    Raises
    ------
    InputError
        A ``ValueError``, if there is no such name, folder, file, repository or revision, the Hub is out of reach and
        the model not in the cache, or the weights do not fit their card: the message names the first key, shape or
        checksum that differs. Or the weights are for one sensor, or do not cover what is requested.
    """
    model = zoo_model.load_model(which, precision=precision)
    if sensor is None and wavelengths is None:
        return model
    from finewave.zoo.any_sensor import for_sensor

    return for_sensor(model, sensor, wavelengths)
