"""Plugin of QGIS: finewave as algorithms of Processing."""


def classFactory(iface):
    """Return the plugin, as QGIS asks for it."""
    from .plugin import FinewavePlugin

    return FinewavePlugin()
