"""Shadow mode debugging: from a trace to a proved fix."""
