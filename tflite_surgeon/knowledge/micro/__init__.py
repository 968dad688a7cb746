"""Models of TFLM's kernels."""
