"""What catalog-service takes and gives, a module for each purpose."""
