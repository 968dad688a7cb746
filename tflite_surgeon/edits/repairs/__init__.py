"""What repairs the findings of each rule."""
