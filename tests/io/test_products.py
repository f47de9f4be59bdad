"""What every product's module has."""

from __future__ import annotations

from pathlib import Path

import pytest

from finewave.errors import InputError
from finewave.io.open_save import open_scene
from finewave.io.products import PRODUCTS, Product, module_of, product_of


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda each: each.module)
def test_product_is_known_by_what_only_it_has(product: Product, tmp_path: Path) -> None:
    module = module_of(product)
    assert callable(module.open_file)
    for name in ("scene.tif", "scene.h5", "scene.nc", "T31_B02.tif", "folder/B02.tif"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
        assert not module.matches(file), name
        assert not module.matches(file.parent), name


def test_path_that_is_not_there_is_no_product(tmp_path: Path) -> None:
    assert product_of(tmp_path / "S2A_none.SAFE") is None
    with pytest.raises(InputError, match="no such file"):
        open_scene(tmp_path / "S2A_none.SAFE")
