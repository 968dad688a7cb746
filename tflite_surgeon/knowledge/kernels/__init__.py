"""Models of the kernels of LiteRT and tflite-runtime 2.14: what they check before and while they run a node."""
