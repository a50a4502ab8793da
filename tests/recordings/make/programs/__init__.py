"""Programs whose traffic is recorded. They run in environments of their own, so here they are not type-checked."""
