"""What users write, checked: YAML in, values out, every problem at once with its place."""
