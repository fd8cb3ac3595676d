"""Solutions for other programs: functions of NumPy, programs of torch.export, ONNX models."""

from kanpde.exports.numpy_function import to_numpy, write_numpy
from kanpde.exports.onnx_model import to_onnx
from kanpde.exports.torch_program import to_torch

__all__ = ["to_numpy", "to_onnx", "to_torch", "write_numpy"]
