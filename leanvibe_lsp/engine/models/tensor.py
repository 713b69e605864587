"""What a file says about one tensor, and one thing that is wrong with a model's files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor in a file. `shape` is row-major (rows first); `offset` counts from the start of the file, in bytes."""

    dtype: str  # the file format's own name: "Q4_1", "F16" in both, "U32" in safetensors
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """`subject` is a tensor or a file; `expected` and `found` are short texts for a person."""

    subject: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.subject}: expected {self.expected}, found {self.found}"
