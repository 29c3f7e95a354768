"""One control as an ipywidget: it shows every step and follows the explorer without answering back."""

import ipywidgets as widgets
import pytest

from workbench.explorers._control_widgets import _format, control_widget, move
from workbench.explorers._controls import Control

ANGLE = Control("angle", "Angle", "float", 0.0, "Turns it.", (-1.0, 1.0), 0.1)


@pytest.mark.parametrize(
    ("control", "kind"),
    [
        (ANGLE, widgets.FloatSlider),
        (Control("n", "N", "int", 2, "How many.", (1, 9), 1), widgets.IntSlider),
        (Control("c", "C", "choice", "a", "Which.", options=(("A", "a"), ("B", "b"))), widgets.Dropdown),
        (Control("s", "S", "switch", True, "Whether."), widgets.Checkbox),
    ],
)
def test_every_kind_has_a_widget_with_name_words_and_value(control, kind):
    widget = control_widget(control, control.default)
    assert type(widget) is kind
    assert (widget.description, widget.tooltip, widget.value) == (control.label, control.doc, control.default)
    assert not widget.description_allow_html


def test_a_widget_follows_value_and_limits_and_sends_nothing_where_it_is_there_already():
    widget, sent = control_widget(ANGLE, 0.0), []
    widget.observe(lambda change: sent.append(change["name"]))
    move(widget, ANGLE, 0.1 + 0.2)
    move(widget, ANGLE, 0.3)
    assert sent == ["value"]
    move(widget, Control("angle", "Angle", "float", 0.0, "Turns it.", (2.0, 5.0), 0.1), 3.0)
    assert (widget.min, widget.max, widget.value) == (2.0, 5.0, 3.0)


@pytest.mark.parametrize(("step", "format_"), [(1.0, ".0f"), (0.5, ".1f"), (0.25, ".2f"), (0.05, ".2f"), (10.0, ".0f")])
def test_a_readout_shows_enough_decimals_for_one_step(step, format_):
    assert _format(Control("a", "A", "float", 0.0, "Doc.", (0.0, 1.0), step)) == format_
