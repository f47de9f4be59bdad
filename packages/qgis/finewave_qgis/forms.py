"""The field for a model in forms: names to choose from, and free text for a folder or a file."""

from processing.core.ProcessingConfig import ProcessingConfig
from processing.gui.wrappers import WidgetWrapper
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox

from . import command


class ModelWrapper(WidgetWrapper):
    """A list of the models with weights that can be typed into."""

    def createWidget(self):
        """Return the field; it is only for text where finewave is not found."""
        field = QComboBox()
        field.setEditable(True)
        field.setInsertPolicy(QComboBox.NoInsert)
        field.addItem("")
        for name, facts in command.models(ProcessingConfig.getSetting(command.SETTING) or ""):
            field.addItem(name)
            field.setItemData(field.count() - 1, facts, Qt.ToolTipRole)
        field.currentTextChanged.connect(lambda text: self.widgetValueHasChanged.emit(self))
        return field

    def value(self):
        """Return the name or the path."""
        return self.widget.currentText().strip()

    def setValue(self, value):
        """Show a name or a path."""
        self.widget.setEditText("" if value is None else str(value))
