"""Load, check, repair and rewrite .tflite models.

    import tflite_surgeon as ts

    model = ts.load("net.tflite")
    findings = ts.check(model)
    verdicts = ts.verdicts(model)
    outcome = ts.fix(model)
    report = ts.save(outcome.model, "net.fixed.tflite")

Every table and enum of the schema is a name here too: `ts.FullyConnectedOptions()`, `ts.TensorType.INT8`. Names are
imported when they are first used: `tflite-surgeon --help` needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tflite_surgeon.edits.engine import Outcome as Outcome
    from tflite_surgeon.edits.engine import fix as fix
    from tflite_surgeon.edits.engine import fix_bias_scale as fix_bias_scale
    from tflite_surgeon.edits.journal import Journal as Journal
    from tflite_surgeon.edits.journal import journal as journal
    from tflite_surgeon.edits.journal import write_journal as write_journal
    from tflite_surgeon.edits.plan import EditPlan as EditPlan
    from tflite_surgeon.edits.undoing import Undone as Undone
    from tflite_surgeon.edits.undoing import undo as undo
    from tflite_surgeon.errors import DecodeError as DecodeError
    from tflite_surgeon.errors import EncodeError as EncodeError
    from tflite_surgeon.errors import RepairError as RepairError
    from tflite_surgeon.errors import SaveError as SaveError
    from tflite_surgeon.errors import SurgeonError as SurgeonError
    from tflite_surgeon.errors import UndoError as UndoError
    from tflite_surgeon.errors import UnusableFileError as UnusableFileError
    from tflite_surgeon.flatbuffer.patch import Patch as Patch
    from tflite_surgeon.model.bundle import Section as Section
    from tflite_surgeon.model.external import ExternalData as ExternalData
    from tflite_surgeon.model.external import external_data as external_data
    from tflite_surgeon.model.files import load as load
    from tflite_surgeon.model.files import loads as loads
    from tflite_surgeon.model.files import sections as sections
    from tflite_surgeon.model.objects import BadReference as BadReference
    from tflite_surgeon.model.objects import Buffer as Buffer
    from tflite_surgeon.model.objects import Metadata as Metadata
    from tflite_surgeon.model.objects import Model as Model
    from tflite_surgeon.model.objects import Node as Node
    from tflite_surgeon.model.objects import Operator as Operator
    from tflite_surgeon.model.objects import OperatorCode as OperatorCode
    from tflite_surgeon.model.objects import QuantizationParameters as QuantizationParameters
    from tflite_surgeon.model.objects import SignatureDef as SignatureDef
    from tflite_surgeon.model.objects import SubGraph as SubGraph
    from tflite_surgeon.model.objects import Tensor as Tensor
    from tflite_surgeon.model.objects import TensorMap as TensorMap
    from tflite_surgeon.model.saving import SaveReport as SaveReport
    from tflite_surgeon.model.saving import dumps as dumps
    from tflite_surgeon.model.saving import save as save
    from tflite_surgeon.rules.registry import Finding as Finding
    from tflite_surgeon.rules.registry import Severity as Severity
    from tflite_surgeon.rules.registry import check as check
    from tflite_surgeon.rules.verdicts import Verdict as Verdict
    from tflite_surgeon.rules.verdicts import verdicts as verdicts
    from tflite_surgeon.verification.comparing import VerifySettings as VerifySettings
    from tflite_surgeon.verification.comparing import verify as verify
    from tflite_surgeon.verification.result import Tolerances as Tolerances
    from tflite_surgeon.verification.result import Verification as Verification
    from tflite_surgeon.views.detail import find_part as find_part
    from tflite_surgeon.views.diff.comparing import diff as diff
    from tflite_surgeon.views.diff.result import Comparison as Comparison
    from tflite_surgeon.views.diff.result import Difference as Difference
    from tflite_surgeon.views.graph import Graph as Graph
    from tflite_surgeon.views.graph import graph_of as graph_of
    from tflite_surgeon.views.inputs_outputs import inputs_outputs as inputs_outputs
    from tflite_surgeon.views.listing import list_buffers as list_buffers
    from tflite_surgeon.views.listing import list_operators as list_operators
    from tflite_surgeon.views.listing import list_tensors as list_tensors
    from tflite_surgeon.views.ranges import ranges as ranges
    from tflite_surgeon.views.summary import Summary as Summary
    from tflite_surgeon.views.summary import summarise as summarise

__version__ = "0.1.0"

_HOMES = {
    "edits.engine": ("Outcome", "fix", "fix_bias_scale"),
    "edits.journal": ("Journal", "journal", "write_journal"),
    "edits.plan": ("EditPlan",),
    "edits.undoing": ("Undone", "undo"),
    "errors": (
        "DecodeError",
        "EncodeError",
        "RepairError",
        "SaveError",
        "SurgeonError",
        "UndoError",
        "UnusableFileError",
    ),
    "flatbuffer.patch": ("Patch",),
    "model.bundle": ("Section",),
    "model.external": ("ExternalData", "external_data"),
    "model.files": ("load", "loads", "sections"),
    "model.objects": (
        "BadReference",
        "Buffer",
        "Metadata",
        "Model",
        "Node",
        "Operator",
        "OperatorCode",
        "QuantizationParameters",
        "SignatureDef",
        "SubGraph",
        "Tensor",
        "TensorMap",
    ),
    "model.saving": ("SaveReport", "dumps", "save"),
    "rules.registry": ("Finding", "Severity", "check"),
    "rules.verdicts": ("Verdict", "verdicts"),
    "views.detail": ("find_part",),
    "verification.comparing": ("VerifySettings", "verify"),
    "verification.result": ("Tolerances", "Verification"),
    "views.diff.comparing": ("diff",),
    "views.diff.result": ("Comparison", "Difference"),
    "views.graph": ("Graph", "graph_of"),
    "views.inputs_outputs": ("inputs_outputs",),
    "views.listing": ("list_buffers", "list_operators", "list_tensors"),
    "views.ranges": ("ranges",),
    "views.summary": ("Summary", "summarise"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    value = getattr(import_module(f"{__name__}.{home}"), name) if home else _from_schema(name)
    globals()[name] = value
    return value


def _from_schema(name: str) -> Any:
    """The class of a table or enum of the schema, such as Conv2DOptions or TensorType."""
    if not name.startswith("_"):
        from tflite_surgeon.flatbuffer import schema, tables

        if name in schema.TABLES:
            import_module(f"{__name__}.model.objects")  # Declares the classes that have behaviour of their own.
            return tables.table_class(name)
        if name in schema.ENUMS:
            return schema.enum_class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
