"""The MLX backend. Importing this package imports no MLX; `backend.MlxEngine.load` does."""
