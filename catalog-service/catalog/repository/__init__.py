"""Every statement that touches catalog-service's tables, a module for each purpose."""
