"""Which nodes the XNNPACK delegate of ai-edge-litert 2.3 takes, and what becomes of those it takes.

A node it takes never meets its own kernel's checks, and where XNNPACK then fails there is no way back to the kernel:
the model does not allocate.

- `claims`: the table, operator by operator, with `conditions` and `custom` for what does not fit its columns;
- `placement`: the walk over a subgraph, which also unpacks constants and follows variables;
- `failures`, with `shapes`: what fails or kills the process once a node is taken;
- `wrong_numbers`: what computes something else.
"""

from tflite_surgeon.knowledge.xnnpack.failures import Failure, failures_after_taking, refuses_bias_form
from tflite_surgeon.knowledge.xnnpack.placement import Placement, taken
from tflite_surgeon.knowledge.xnnpack.problems import after_taking
from tflite_surgeon.knowledge.xnnpack.wrong_numbers import wrong_numbers_after_taking

__all__ = [
    "Failure",
    "Placement",
    "after_taking",
    "failures_after_taking",
    "refuses_bias_form",
    "taken",
    "wrong_numbers_after_taking",
]
