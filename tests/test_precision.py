"""The FP32 guard: no setting of PyTorch made before it leaves an operation in TF32."""

import pytest
import torch

from ganhtr.precision import OPERATIONS, require_fp32

SETTINGS = {"torch.backends": torch.backends, "torch.backends.cudnn": torch.backends.cudnn}


@pytest.fixture(autouse=True)
def single_precision_after():
    """Leave no setting of a test to other tests."""
    yield
    require_fp32()


@pytest.mark.parametrize("name", [*SETTINGS, *OPERATIONS])
def test_tf32_set_before_is_switched_off(name):
    place = (SETTINGS | OPERATIONS)[name]
    place.fp32_precision = "tf32"
    require_fp32()
    assert {each.fp32_precision for each in OPERATIONS.values()} == {"ieee"}
    assert not torch.backends.cudnn.allow_tf32  # reading it fails where flags contradict it


def test_tf32_set_by_the_older_functions_is_switched_off():
    torch.set_float32_matmul_precision("medium")
    require_fp32()
    assert {each.fp32_precision for each in OPERATIONS.values()} == {"ieee"}
    assert torch.get_float32_matmul_precision() == "highest"
