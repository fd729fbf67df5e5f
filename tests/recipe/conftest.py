from pathlib import Path

import pytest
from recipe_files import SMALL, write


@pytest.fixture
def small(tmp_path) -> Path:
    return write(tmp_path / "small.yaml", SMALL)
