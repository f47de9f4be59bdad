"""The algorithms: predict, fit, and places to measure spectra at."""

from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from . import command

ABOUT_MODELS = (
    "<p><b>Model</b>: a name of the list (sentinel2-enmap, landsat8-enmap, jssunet-photo-x4, ...), or the path of a "
    "folder that <i>Fit a model</i> has made{}. The command <i>finewave models</i> lists the same names with sensor, "
    "scale and score.</p>"
)
ABOUT_SCALE = (
    "<p><b>Value of reflectance 1</b>: 10000 for most satellite products. Not needed where the file says it, nor for "
    "photographs.</p>"
)
LABEL_SCALE = "Value of reflectance 1 (e.g. 10000)"


def model_parameter(label):
    """Return the parameter for a model; forms list the names, and take others."""
    parameter = QgsProcessingParameterString("MODEL", label)
    parameter.setMetadata({"widget_wrapper": {"class": "finewave_qgis.forms.ModelWrapper"}})
    return parameter


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
        """Return a number, or its default if a call leaves it out; None if it is left empty, or has no default."""
        value = parameters.get(name, self.parameterDefinition(name).defaultValue())
        return None if value is None else self.parameterAsDouble(parameters, name, context)

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

    def add_advanced(self, *parameters):
        """Add parameters to the part of the form that is folded away."""
        for parameter in parameters:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
            self.addParameter(parameter)


class Predict(FinewaveAlgorithm):
    """``finewave predict``."""

    NAME, TITLE = "predict", "Super-resolution (predict)"
    ABOUT = (
        "<p>Applies a model to a raster: finer pixels, more bands, or both. Bands are found by their wavelengths or "
        f"names.</p>{ABOUT_MODELS.format(', or of an exported network (.onnx)')}{ABOUT_SCALE}"
        "<p><b>Guide</b>: of fusion models, the raster with finer pixels and fewer bands.</p>"
        "<p><b>Measured spectra</b>: places with spectra measured on the ground, which correct the result.</p>"
        "<p>A run that was cancelled resumes when it is started again with the same output file.</p>"
    )

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        number = QgsProcessingParameterNumber.Double
        self.add(
            QgsProcessingParameterRasterLayer("INPUT", "Input layer"),
            model_parameter("Model (name, folder, or .onnx file)"),
            QgsProcessingParameterRasterLayer("GUIDE", "Guide layer (fusion models only)", optional=True),
            QgsProcessingParameterNumber("FULL_SCALE", LABEL_SCALE, number, optional=True, minValue=0),
        )
        self.add_advanced(
            QgsProcessingParameterFile(
                "ANCHORS", "Measured spectra", optional=True, fileFilter="Places with spectra (*.csv *.geojson *.gpkg)"
            ),
            QgsProcessingParameterString(
                "OPTIONS", "Further options of finewave predict (e.g. --clip 0 1 --tile 256)", optional=True
            ),
        )
        self.add(QgsProcessingParameterRasterDestination("OUTPUT", "Result"))

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

    NAME, TITLE = "fit", "Fit a model to hyperspectral layers"
    ABOUT = (
        "<p>Trains a model on hyperspectral layers, as they would look to a multispectral sensor. Blocks of them are "
        "held out; the log ends with the scores there.</p>"
        "<p><b>Sensor</b>: a name that the command <i>finewave sensors</i> lists, or the path of a .csv or .yaml file. "
        "Without it the model makes pixels finer and keeps the bands.</p>"
        "<p><b>Scale factor</b>: how many times smaller the side of a pixel becomes; 1 for more bands only.</p>"
        "<p><b>Model folder</b>: choose one that stays, not a temporary one. <i>Super-resolution</i> takes its path as "
        "the model. A run that was cancelled resumes when it is started again with the same folder.</p>"
    )

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        self.add(
            QgsProcessingParameterMultipleLayers("INPUT", "Hyperspectral layers", QgsProcessing.TypeRaster),
            QgsProcessingParameterString("SENSOR", "Multispectral sensor (e.g. sentinel2a)", optional=True),
            QgsProcessingParameterString("BANDS", "Bands of the sensor (e.g. B2,B3,B4; empty: all)", optional=True),
            QgsProcessingParameterNumber("SCALE", "Scale factor", defaultValue=2, minValue=1),
            QgsProcessingParameterNumber(
                "MINUTES",
                "Time of training in minutes",
                QgsProcessingParameterNumber.Double,
                defaultValue=10.0,
                optional=True,
                minValue=0,
            ),
        )
        self.add_advanced(
            QgsProcessingParameterString(
                "OPTIONS", "Further options of finewave fit (e.g. --full-scale 10000)", optional=True
            ),
        )
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", "Model folder"))

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

    NAME, TITLE = "anchors", "Where to measure spectra (anchors)"
    ABOUT = (
        "<p>Proposes places where spectra measured on the ground correct a model's result most. Add the spectra to the "
        "file, and give it to <i>Super-resolution</i> as measured spectra.</p>"
        f"{ABOUT_MODELS.format('')}{ABOUT_SCALE}"
    )

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        number = QgsProcessingParameterNumber.Double
        self.add(
            QgsProcessingParameterRasterLayer("INPUT", "Input layer"),
            model_parameter("Model (name or folder)"),
            QgsProcessingParameterNumber("COUNT", "Number of places", defaultValue=8, minValue=1),
            QgsProcessingParameterNumber("FULL_SCALE", LABEL_SCALE, number, optional=True, minValue=0),
            QgsProcessingParameterVectorDestination("OUTPUT", "Places", QgsProcessing.TypeVectorPoint),
        )

    def processAlgorithm(self, parameters, context, feedback):
        """Run it."""
        output = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        arguments = command.anchors_arguments(
            self.file_of(parameters, "INPUT", context),
            output,
            self.parameterAsString(parameters, "MODEL", context),
            self.parameterAsInt(parameters, "COUNT", context),
            self.number_of(parameters, "FULL_SCALE", context),
        )
        self.call(arguments, feedback)
        return {"OUTPUT": output}
