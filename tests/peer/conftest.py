"""Shared by the peer tests."""

import sys

import pytest


@pytest.fixture
def call(monkeypatch):
    """call(export_model, argument, ...) -> exit code of the script's main, without a new interpreter."""

    def call_main(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        return module.run(module.main)

    return call_main
