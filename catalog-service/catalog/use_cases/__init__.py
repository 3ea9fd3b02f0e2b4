"""What catalog-service does, a function each and a module for each purpose."""
