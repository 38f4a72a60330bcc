"""Layers: Module, Parameter and Buffer, layers and blocks with PyTorch's names, activations, initialisers, helpers that build networks."""

from tinyae.nn import initialisers
from tinyae.nn.autoregressive import MaskedLinear, autoregressive_masks
from tinyae.nn.convolution import AvgPool1d, AvgPool2d, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, MaxPool1d, MaxPool2d, Upsample
from tinyae.nn.layers import (
    ELU,
    GELU,
    Dropout,
    Embedding,
    Flatten,
    Gated,
    LeakyReLU,
    Linear,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    Unflatten,
    mlp,
)
from tinyae.nn.module import Buffer, Module, Parameter
from tinyae.nn.networks import conv_decoder, conv_encoder
from tinyae.nn.normalisation import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from tinyae.nn.summary import summary

__all__ = [
    "ELU", "GELU", "AvgPool1d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Buffer", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d",
    "Dropout", "Embedding", "Flatten", "Gated", "GroupNorm", "LayerNorm", "LeakyReLU", "Linear", "MaskedLinear", "MaxPool1d", "MaxPool2d",
    "Module", "Parameter", "ReLU", "Residual", "Sequential", "SiLU", "Sigmoid", "Softplus", "Tanh", "Unflatten", "Upsample",
    "autoregressive_masks", "conv_decoder", "conv_encoder", "initialisers", "mlp", "summary",
]  # fmt: skip
