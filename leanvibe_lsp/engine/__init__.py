"""Local models: how they are found, proven, loaded and asked. One thread touches a model."""
