from __future__ import annotations

import pytest

from leanvibe_lsp.engine.ledger import Ledger
from leanvibe_lsp.engine.memory import Budget
from leanvibe_lsp.errors import ModelError

MIB = 1 << 20


@pytest.mark.parametrize("cap", [10 * MIB, 0])
def test_two_that_do_not_fit_together_are_not_loaded_together(cap: int) -> None:
    """What is about to be loaded counts, with a cap and without; what never came, or is gone, does not."""
    ledger = Ledger(lambda held, coming: Budget(cap, 10 * MIB, 0, held, coming))
    ledger.reserve("a", "a on mlx", 6 * MIB)
    with pytest.raises(ModelError, match="room for 4 MiB"):
        ledger.reserve("b", "b on mlx", 6 * MIB)
    ledger.reserve("a", "a on mlx", 7 * MIB)  # its own place is not in its way
    ledger.release("a")
    ledger.release("a")
    ledger.reserve("b", "b on mlx", 10 * MIB)


def test_what_is_loaded_counts_as_it_is() -> None:
    """With a cap, the bytes that the loaded model says; without, it is missing from what is available."""
    capped = Ledger(lambda held, coming: Budget(10 * MIB, 0, 0, held, coming))
    capped.reserve("a", "a on mlx", 8 * MIB)
    capped.hold("a", 3 * MIB)
    with pytest.raises(ModelError, match=r"room for 7 MiB: engine\.memory_mib allows 10 MiB, of which 3 MiB are taken"):
        capped.reserve("b", "b on mlx", 8 * MIB)
    free = Ledger(lambda held, coming: Budget(0, 7 * MIB, 0, held, coming))
    free.hold("a", 3 * MIB)
    free.reserve("b", "b on mlx", 7 * MIB)
    with pytest.raises(ModelError, match="7 MiB are for a model that is being loaded"):
        free.reserve("c", "c on mlx", 1 * MIB)
