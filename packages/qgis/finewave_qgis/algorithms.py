"""The algorithms: predict, fit, and places to measure spectra at."""

from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from . import command

ABOUT_MODELS = (
    "A model is a name that `finewave models` lists (sentinel2-enmap, jssunet-photo-x4, ...), a folder that Fit wrote, "
    "or an exported network (.onnx)."
)


class FinewaveAlgorithm(QgsProcessingAlgorithm):
    """What the algorithms share: names, texts, and how the program is run."""

    NAME = TITLE = ABOUT = ""

    def name(self):
        """Return the name after ``finewave:``."""
        return self.NAME

    def displayName(self):
        """Return the name in the toolbox."""
        return self.TITLE

    def shortHelpString(self):
        """Return the text beside the form."""
        return self.ABOUT

    def createInstance(self):
        """Return a new algorithm of this kind."""
        return type(self)()

    def file_of(self, parameters, name, context):
        """Return the path of a raster layer; None if there is none."""
        layer = self.parameterAsRasterLayer(parameters, name, context)
        if layer is None:
            return None
        return self.path_of(layer)

    def path_of(self, layer):
        """Return the path of a layer that is a file."""
        if layer.dataProvider() is None or layer.dataProvider().name() != "gdal":
            raise QgsProcessingException(f"the layer {layer.name()} is not a file; save it as a file first")
        return layer.source()

    def number_of(self, parameters, name, context):
        """Return a number; None if it is left empty."""
        return None if parameters.get(name) is None else self.parameterAsDouble(parameters, name, context)

    def call(self, arguments, feedback):
        """Run finewave, or raise what Processing shows."""
        setting = ProcessingConfig.getSetting(command.SETTING) or ""
        try:
            command.run([command.program(setting), *arguments], feedback.pushInfo, feedback.isCanceled)
        except command.CommandError as error:
            raise QgsProcessingException(str(error)) from error

    def add(self, *parameters):
        """Add parameters."""
        for parameter in parameters:
            self.addParameter(parameter)


class Predict(FinewaveAlgorithm):
    """``finewave predict``."""

    NAME, TITLE = "predict", "Predict (super-resolution)"
    ABOUT = f"Applies a model to a raster: finer pixels, more bands, or both. {ABOUT_MODELS}"

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        number = QgsProcessingParameterNumber.Double
        self.add(
            QgsProcessingParameterRasterLayer("INPUT", "Raster"),
            QgsProcessingParameterString("MODEL", "Model"),
            QgsProcessingParameterRasterLayer("GUIDE", "Guide, for fusion", optional=True),
            QgsProcessingParameterNumber("FULL_SCALE", "Number that represents 1", number, optional=True, minValue=0),
            QgsProcessingParameterFile(
                "ANCHORS", "Spots with spectra", optional=True, fileFilter="Spots (*.csv *.geojson *.gpkg)"
            ),
            QgsProcessingParameterString("OPTIONS", "Further options, as of finewave predict", optional=True),
            QgsProcessingParameterRasterDestination("OUTPUT", "Result"),
        )

    def processAlgorithm(self, parameters, context, feedback):
        """Run it."""
        output = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        try:
            arguments = command.predict_arguments(
                self.file_of(parameters, "INPUT", context),
                output,
                self.parameterAsString(parameters, "MODEL", context),
                self.file_of(parameters, "GUIDE", context),
                self.number_of(parameters, "FULL_SCALE", context),
                self.parameterAsString(parameters, "ANCHORS", context),
                self.parameterAsString(parameters, "OPTIONS", context),
            )
        except command.CommandError as error:
            raise QgsProcessingException(str(error)) from error
        self.call(arguments, feedback)
        return {"OUTPUT": output}


class Fit(FinewaveAlgorithm):
    """``finewave fit``."""

    NAME, TITLE = "fit", "Fit a model to hyperspectral scenes"
    ABOUT = (
        "Trains a model for a sensor on hyperspectral rasters, of which blocks are held out for the scores in the log. "
        "Predict takes the folder as its model. If it was cancelled, the same call resumes."
    )

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        self.add(
            QgsProcessingParameterMultipleLayers("INPUT", "Hyperspectral rasters", QgsProcessing.TypeRaster),
            QgsProcessingParameterString("SENSOR", "Sensor of the multispectral bands", optional=True),
            QgsProcessingParameterString("BANDS", "Only these bands of it (B2,B3,...)", optional=True),
            QgsProcessingParameterNumber("SCALE", "How many times finer; 1: spectra alone", defaultValue=1, minValue=1),
            QgsProcessingParameterNumber(
                "MINUTES", "Minutes of training", QgsProcessingParameterNumber.Double, optional=True, minValue=0
            ),
            QgsProcessingParameterString("OPTIONS", "Further options, as of finewave fit", optional=True),
            QgsProcessingParameterFolderDestination("OUTPUT", "Folder of the model"),
        )

    def processAlgorithm(self, parameters, context, feedback):
        """Run it."""
        output = self.parameterAsString(parameters, "OUTPUT", context)
        layers = self.parameterAsLayerList(parameters, "INPUT", context)
        try:
            arguments = command.fit_arguments(
                [self.path_of(each) for each in layers],
                output,
                self.parameterAsInt(parameters, "SCALE", context),
                self.parameterAsString(parameters, "SENSOR", context),
                self.parameterAsString(parameters, "BANDS", context),
                self.number_of(parameters, "MINUTES", context),
                self.parameterAsString(parameters, "OPTIONS", context),
            )
        except command.CommandError as error:
            raise QgsProcessingException(str(error)) from error
        self.call(arguments, feedback)
        return {"OUTPUT": output}


class Anchors(FinewaveAlgorithm):
    """``finewave anchors``."""

    NAME, TITLE = "anchors", "Places to measure spectra at"
    ABOUT = f"Points where spectra measured on the ground correct a result most, for Predict. {ABOUT_MODELS}"

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        self.add(
            QgsProcessingParameterRasterLayer("INPUT", "Raster"),
            QgsProcessingParameterString("MODEL", "Model"),
            QgsProcessingParameterNumber("COUNT", "Number of places", defaultValue=8, minValue=1),
            QgsProcessingParameterNumber(
                "FULL_SCALE",
                "Number that represents 1",
                QgsProcessingParameterNumber.Double,
                optional=True,
                minValue=0,
            ),
            QgsProcessingParameterFileDestination("OUTPUT", "Places", "GeoJSON (*.geojson);;GPX (*.gpx);;CSV (*.csv)"),
        )

    def processAlgorithm(self, parameters, context, feedback):
        """Run it."""
        output = self.parameterAsFileOutput(parameters, "OUTPUT", context)
        arguments = command.anchors_arguments(
            self.file_of(parameters, "INPUT", context),
            output,
            self.parameterAsString(parameters, "MODEL", context),
            self.parameterAsInt(parameters, "COUNT", context),
            self.number_of(parameters, "FULL_SCALE", context),
        )
        self.call(arguments, feedback)
        return {"OUTPUT": output}
