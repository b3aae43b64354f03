"""How near a network lies to those its hypernetwork learnt from: a word in colour, and what it means."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from ghn_studio.ghn.familiarity import FAR, IN_DISTRIBUTION, UNUSUAL, Familiarity
from ghn_studio.gui import icons
from ghn_studio.gui.look import RATIO, colour, label, set_property

#: Colour and icon of each verdict: never colour alone.
_KINDS = {IN_DISTRIBUTION: ("ok", "check"), UNUSUAL: ("warning", "warning"), FAR: ("error", "error")}

MEANINGS = {
    IN_DISTRIBUTION: "Like the networks the hypernetwork learnt from: expect its usual accuracy.",
    UNUSUAL: "Rarer than most networks the hypernetwork learnt from: its accuracy may be lower than usual.",
    FAR: "Unlike everything the hypernetwork learnt from: rely on the prediction only as far as you measured it.",
}
UNKNOWN = "Not yet compared with the networks this hypernetwork learnt from; Explain does that."
RANDOM = "Nothing was predicted: a random start is equally far from everything."


class FamiliarityBadge(QFrame):
    """A pill with icon and verdict; hidden where there is no verdict."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("familiarity")
        self._icon, self.text = label(""), label("", "strong")
        self._familiarity: Familiarity | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 12, 2)
        row.setSpacing(6)
        row.addWidget(self._icon)
        row.addWidget(self.text)
        self.hide()

    @property
    def verdict(self) -> str:
        """The word on show; empty if there is none."""
        return self._familiarity.verdict if self._familiarity else ""

    def show_familiarity(self, familiarity: Familiarity | None) -> None:
        """Show a verdict; None hides the badge."""
        self._familiarity = familiarity
        self.setVisible(familiarity is not None)
        if familiarity is None:
            return
        token, icon = _KINDS.get(familiarity.verdict, ("warning", "warning"))
        set_property(self, "kind", token)
        set_property(self.text, "role", token)
        self.text.setText(familiarity.verdict.capitalize())
        self._icon.setPixmap(icons.pixmap(icon, 14, colour(token).name(), RATIO))
        tip = f"{MEANINGS.get(familiarity.verdict, '')}\n{position(familiarity)}"
        self.setToolTip(tip)
        self.setAccessibleName(f"{familiarity.verdict}. {tip}")

    def restyle(self) -> None:
        """Draw again in the colours of the current theme."""
        if self._familiarity is not None:
            self.show_familiarity(self._familiarity)


def meaning(familiarity: Familiarity | None, predicted: bool) -> str:
    """One sentence about a verdict, or about why there is none."""
    if familiarity is None:
        return UNKNOWN if predicted else RANDOM
    return MEANINGS.get(familiarity.verdict, "")


def position(familiarity: Familiarity) -> str:
    """The percentile in words."""
    return f"{familiarity.percentile:.0f} % of the networks it learnt from lie nearer to the others than this one."
