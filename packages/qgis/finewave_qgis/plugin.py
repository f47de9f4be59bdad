"""The plugin, which adds a provider of algorithms to Processing."""

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsApplication, QgsProcessingProvider

from .algorithms import Anchors, Fit, Predict
from .command import SETTING

GROUP = "finewave"


class FinewaveProvider(QgsProcessingProvider):
    """The group of algorithms ``finewave:``."""

    def id(self):
        """Return the prefix of the algorithms' names."""
        return "finewave"

    def name(self):
        """Return the name in the toolbox."""
        return "finewave"

    def supportedOutputVectorLayerExtensions(self):
        """Return the kinds of files that finewave writes places to; the first one is the default."""
        return ["geojson", "gpx", "csv"]

    def defaultVectorFileExtension(self, has_geometry=True):
        """Return the first of them."""
        return self.supportedOutputVectorLayerExtensions()[0]

    def load(self):
        """Add the setting for the command, and the algorithms."""
        setting = Setting(GROUP, SETTING, "Command finewave, with its path if it is not found", "")
        ProcessingConfig.settingIcons[GROUP] = self.icon()
        ProcessingConfig.addSetting(setting)
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self):
        """Remove the setting."""
        ProcessingConfig.removeSetting(SETTING)

    def loadAlgorithms(self):
        """Add the algorithms."""
        for algorithm in (Predict, Fit, Anchors):
            self.addAlgorithm(algorithm())


class FinewavePlugin:
    """What QGIS loads and unloads."""

    def __init__(self):
        self.provider = None

    def initProcessing(self):
        """Add the provider; `qgis_process` calls this alone."""
        self.provider = FinewaveProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        """Add the provider."""
        self.initProcessing()

    def unload(self):
        """Remove the provider."""
        QgsApplication.processingRegistry().removeProvider(self.provider)
