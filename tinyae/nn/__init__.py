"""Layers: Module and Parameter, linear layers, activations, initialisers."""

from tinyae.nn import initialisers
from tinyae.nn.layers import Linear, ReLU, Sequential, Sigmoid, Softplus, Tanh, mlp
from tinyae.nn.module import Module, Parameter

__all__ = ["Linear", "Module", "Parameter", "ReLU", "Sequential", "Sigmoid", "Softplus", "Tanh", "initialisers", "mlp"]
