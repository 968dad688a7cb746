"""The command `io`."""

from __future__ import annotations

from tflite_surgeon.cli.inputs import read_model
from tflite_surgeon.cli.outputs import UNUSABLE, print_error
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.report.console import Printer
from tflite_surgeon.report.inputs_outputs import interface_as_json, print_code, print_interface
from tflite_surgeon.views.inputs_outputs import inputs_outputs


def run(path: str, as_json: bool, code: str | None) -> int:
    """Print what goes into a model and what comes out; returns the exit code."""
    try:
        with read_model(path) as model:
            interface = inputs_outputs(model)
    except SurgeonError as error:
        print_error(path, error)
        return UNUSABLE
    if as_json:
        print(interface_as_json(path, interface))
    elif code is not None:
        print_code(Printer(), interface, path, code)
    else:
        print_interface(Printer(), path, interface)
    return 0
