"""Load, check, repair and rewrite .tflite models.

import tflite_surgeon as ts

model = ts.load("net.tflite")
findings = ts.check(model)
outcome = ts.fix(model)
report = ts.save(outcome.model, "net.fixed.tflite")
"""

from tflite_surgeon.edits.engine import Outcome, fix
from tflite_surgeon.edits.plan import EditPlan
from tflite_surgeon.errors import (
    DecodeError,
    EncodeError,
    RepairError,
    SaveError,
    SurgeonError,
    UnusableFileError,
)
from tflite_surgeon.flatbuffer.patch import Patch
from tflite_surgeon.model.files import load, loads
from tflite_surgeon.model.objects import (
    BadReference,
    Buffer,
    Metadata,
    Model,
    Node,
    Operator,
    OperatorCode,
    QuantizationParameters,
    SignatureDef,
    SubGraph,
    Tensor,
    TensorMap,
)
from tflite_surgeon.model.saving import SaveReport, dumps, save
from tflite_surgeon.rules.registry import Finding, Severity, check

__version__ = "0.1.0"

__all__ = [
    "BadReference",
    "Buffer",
    "DecodeError",
    "EditPlan",
    "EncodeError",
    "Finding",
    "Metadata",
    "Model",
    "Node",
    "Operator",
    "OperatorCode",
    "Outcome",
    "Patch",
    "QuantizationParameters",
    "RepairError",
    "SaveError",
    "SaveReport",
    "Severity",
    "SignatureDef",
    "SubGraph",
    "SurgeonError",
    "Tensor",
    "TensorMap",
    "UnusableFileError",
    "check",
    "dumps",
    "fix",
    "load",
    "loads",
    "save",
]
