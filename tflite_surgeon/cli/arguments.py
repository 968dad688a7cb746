"""Arguments that commands share."""

from __future__ import annotations

MODEL_HELP = "A .tflite file, C source with one as an array, FILE#SECTION for one in a container, - for standard input."
