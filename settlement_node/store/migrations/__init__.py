"""The schema's history: one frozen script per release that changed it, run by `store.migrate`."""
