"""How likely code deserves a reviewer's eyes: features of its tree, a small linear model, reasons in words."""

from __future__ import annotations

from leanvibe_lsp.tiers.risk.assessment import assess as assess
