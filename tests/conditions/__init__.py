"""Every condition that runtimes put to a model: the smallest model just inside it, and just outside."""
