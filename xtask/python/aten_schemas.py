"""Writes the table of ATen overloads, one per line, from the operator registry of the installed torch.

    python xtask/python/aten_schemas.py > crates/compiler/src/dialect/aten.schemas

A line is our own notation: the target as an archive spells it, then the arguments in order with their defaults.
`x!` is written by the call, `x~` may share its memory with the results (all of them), `x[]` is a list of tensors.
"""

import sys

import torch

# Beside every overload that core ATen names and every one that returns a view: what exports of models contain.
NAMED = """
linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution convolution_backward
batch_norm layer_norm group_norm instance_norm native_batch_norm native_layer_norm native_group_norm rms_norm
_native_batch_norm_legit _native_batch_norm_legit_no_training _native_batch_norm_legit_functional
local_response_norm
dropout alpha_dropout feature_dropout native_dropout
relu relu6 gelu silu sigmoid log_sigmoid tanh hardtanh hardsigmoid hardswish hardshrink softshrink leaky_relu elu selu
celu mish softplus softsign threshold prelu rrelu glu logit
softmax _softmax log_softmax _log_softmax special_softmax special_log_softmax
scaled_dot_product_attention _scaled_dot_product_flash_attention_for_cpu _native_multi_head_attention
matmul mm bmm addmm addmv addr addbmm baddbmm mv dot outer ger einsum tensordot chain_matmul bilinear inner
kron cross linalg_cross linalg_vector_norm linalg_matrix_norm norm frobenius_norm linalg_norm _weight_norm cdist
cosine_similarity pairwise_distance linalg_matmul linalg_vecdot vdot
add sub subtract mul multiply div divide true_divide floor_divide rsub pow float_power fmod remainder atan2 hypot
minimum maximum min max fmin fmax logaddexp logaddexp2 xlogy copysign heaviside gcd lcm lerp addcmul addcdiv
abs absolute neg negative positive sign sgn ceil floor round trunc fix frac sqrt rsqrt square exp exp2 expm1 log log2
log10 log1p sin cos tan asin acos atan sinh cosh asinh acosh atanh arctan arctan2 erf erfc erfinv special_erf reciprocal lgamma digamma
isnan isinf isfinite nan_to_num signbit sinc deg2rad rad2deg
clamp clamp_min clamp_max clip
eq ne lt le gt ge equal not_equal less less_equal greater greater_equal logical_and logical_or logical_not logical_xor
bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift __and__ __or__ __xor__
__lshift__ __rshift__ __iand__ __ior__ __ixor__ isclose allclose
sum mean prod amax amin aminmax argmax argmin any all var std var_mean std_mean logsumexp nansum nanmean count_nonzero
median nanmedian mode cumsum cumprod cummax cummin logcumsumexp topk sort argsort kthvalue diff trapz
cat concat concatenate stack hstack vstack dstack column_stack split chunk tensor_split hsplit vsplit dsplit unbind
split_with_sizes
reshape view _unsafe_view view_as reshape_as flatten unflatten squeeze unsqueeze transpose permute movedim moveaxis swapaxes
swapdims t numpy_T mT expand expand_as broadcast_to broadcast_tensors repeat repeat_interleave tile flip fliplr flipud
rot90 roll contiguous clone alias detach lift_fresh lift_fresh_copy resolve_conj resolve_neg as_strided unfold
slice select narrow index index_select gather take take_along_dim masked_select masked_fill where nonzero diagonal
diag diag_embed tril triu tril_indices triu_indices trace block_diag
slice_scatter select_scatter diagonal_scatter scatter scatter_add scatter_reduce index_put _unsafe_index
_unsafe_index_put index_add index_copy index_fill index_reduce masked_scatter put as_strided_scatter fill fill_ zero
zero_ copy copy_ one_hot embedding embedding_bag _embedding_bag bucketize searchsorted
pad constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
replication_pad3d _pad_circular
max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices max_pool1d_with_indices avg_pool1d
avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d
_adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d max_unpool2d fractional_max_pool2d
pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle im2col col2im grid_sampler grid_sampler_2d
grid_sampler_3d affine_grid_generator
upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
_upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
_upsample_bilinear2d_aa _upsample_bicubic2d_aa
lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell
arange linspace logspace full zeros ones empty eye full_like zeros_like ones_like empty_like new_full new_zeros
new_ones new_empty new_empty_strided empty_strided empty_permuted scalar_tensor meshgrid cartesian_prod rand randn
rand_like randn_like randint randperm bernoulli multinomial normal uniform
to _to_copy type_as to_dense item _local_scalar_dense is_nonzero
_assert_tensor_metadata _assert_scalar _assert_async sym_size sym_stride sym_numel sym_storage_offset
sym_constrain_range sym_constrain_range_for_size size numel
real imag complex polar view_as_real view_as_complex conj conj_physical angle stft istft fft_fft fft_rfft fft_irfft
fft_ifft _fft_r2c _fft_c2r _fft_c2c hann_window hamming_window
mse_loss l1_loss smooth_l1_loss cross_entropy_loss nll_loss binary_cross_entropy_with_logits
""".split()


def overloads():
    """Every overload of the registry that a saved program may hold, by its target's name."""
    views = set()
    wanted = set(NAMED) | {name + "_" for name in NAMED if not name.endswith("_")}
    for name in torch._C._dispatch_get_all_op_names():
        namespace, _, rest = name.partition("::")
        packet, _, overload = rest.partition(".")
        if namespace != "aten":
            continue
        op = getattr(getattr(torch.ops.aten, packet), overload or "default")
        if any(a.is_out for a in op._schema.arguments) or any(a.type.kind() == "AnyListType" for a in op._schema.arguments):
            continue
        is_view = any(a.alias_info and not a.alias_info.is_write for a in op._schema.arguments)
        if packet in wanted or torch.Tag.core in op.tags or (is_view and not packet.startswith(("_", "sparse", "fw_"))):
            views.add((f"aten.{packet}.{overload or 'default'}", op))
    return sorted(views, key=lambda pair: pair[0])


def spelled(value):
    """A default as our notation writes it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, torch.memory_format):
        return f'"{str(value).removeprefix("torch.").removesuffix("_format")}"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(spelled(v) for v in value) + "]"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    raise SystemExit(f"no notation for the default {value!r}")


def line(target, op):
    """One overload in our notation."""
    arguments = []
    for argument in op._schema.arguments:
        mark = ""
        if argument.alias_info:
            mark = "!" if argument.alias_info.is_write else "~"
        kind = str(argument.type)
        if kind in ("List[Tensor]", "List[Optional[Tensor]]"):
            mark = "[]" + mark
        default = "=" + spelled(argument.default_value) if argument.has_default_value() else ""
        arguments.append(f"{argument.name}{mark}{default}")
    return f"{target}({', '.join(arguments)})"


def main():
    print("# Written by xtask/python/aten_schemas.py, which says how to read it.")
    for target, op in overloads():
        print(line(target, op))


if __name__ == "__main__":
    sys.exit(main())
