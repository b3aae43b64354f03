"""Layers that ``torch.nn`` does not have.

The only code of GHN Studio that leaves with an export: ``codegen`` copies the
definitions a network uses, by name, into the generated file. So each uses torch and its
neighbours here, nothing else, and lines stay below 100 characters. Functions do the work on given parameters (the
hypernetwork's training calls them directly); modules own the parameters.
"""

from ghn_studio.blocks.attention import (
    ClassToken,
    LayerScale,
    MultiheadAttention,
    PatchEmbedding,
    PositionEmbedding,
    SelfAttention,
    SqueezeExcitation,
    add_position,
    multihead_attention,
    patch_embedding,
    prepend_token,
    scale_channels,
    self_attention,
    self_attention_heads,
    squeeze_excitation,
)
from ghn_studio.blocks.foreign import Foreign
from ghn_studio.blocks.layers import (
    Add,
    ChannelsFirst,
    ChannelsLast,
    Chunk,
    Concat,
    LayerNorm2d,
    Multiply,
    SpatialMean,
    StochasticDepth,
    TokenPool,
    Tokens,
    batch_norm,
    layer_norm_2d,
)
from ghn_studio.blocks.partitions import (
    RelativeAttention,
    SpaceToDepth,
    WindowDepartition,
    WindowPartition,
    relative_attention,
    square_position_index,
)
from ghn_studio.blocks.tensors import (
    Elementwise,
    Expand,
    Given,
    Learned,
    MatMul,
    Normalize,
    Pad,
    Pairwise,
    Permute,
    Reduce,
    Reshape,
    Roll,
    Select,
    Slice,
    Split,
    Squeeze,
    Stored,
    Transpose,
    Unsqueeze,
    WithNumber,
    as_it_is,
)
from ghn_studio.blocks.windows import (
    WindowAttention,
    WindowAttentionV2,
    attend_in_windows,
    position_bias,
    region_mask,
    relative_coords_table,
    relative_position_index,
    to_windows,
    window_attention,
    window_attention_v2,
)

__all__ = [
    "Add", "ChannelsFirst", "ChannelsLast", "Chunk", "ClassToken", "Concat", "Elementwise",
    "Expand", "Foreign", "Given", "LayerNorm2d", "LayerScale", "Learned", "MatMul", "MultiheadAttention",
    "Multiply", "Normalize", "Pad", "Pairwise", "PatchEmbedding", "Permute", "PositionEmbedding",
    "Reduce", "RelativeAttention", "Reshape", "Roll", "Select", "SelfAttention", "Slice",
    "SpaceToDepth", "SpatialMean", "Split", "Squeeze", "SqueezeExcitation", "StochasticDepth", "Stored",
    "TokenPool", "Tokens", "Transpose", "Unsqueeze", "WindowAttention", "WindowAttentionV2",
    "WindowDepartition", "WindowPartition", "WithNumber", "add_position", "as_it_is",
    "attend_in_windows", "batch_norm", "layer_norm_2d", "multihead_attention", "patch_embedding",
    "position_bias", "prepend_token", "region_mask", "relative_attention", "relative_coords_table",
    "relative_position_index", "scale_channels", "self_attention", "self_attention_heads",
    "square_position_index", "squeeze_excitation", "to_windows", "window_attention",
    "window_attention_v2",
]
