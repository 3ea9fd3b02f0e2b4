"""catalog-service over HTTP, a module for each kind of caller."""
