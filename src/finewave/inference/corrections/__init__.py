"""Changes of a result that hold it to its observation or its light."""
