"""Module docs."""
import os
from a import (
    b,
)


class Parser(Base):
    """Reads things.

        Indented.
    """

    limit = 3

    @property
    def size(self) -> int:
        # no docstring
        return 1

    async def parse(
        self,
        text: str,  # what to read
        *,
        sep: str = ", )",
    ) -> list[int]:
        """Read é😀 `text`."""
        def inner(x): return x
        import late
        return [inner(1)]


# Doubles a number.
# Really.
def double(x): return 2 * x
