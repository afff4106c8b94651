"""Operators that a .pt2 file may name: functions of tensors and numbers alone.

torch has operators that open files (`aten.from_file`, `aten.save`), change storages under a tensor (`aten.set_`) or the
state of the process. Only what computes is listed; a name that is missing here is refused, not looked up.
"""

from __future__ import annotations

import re

_NAMES = """
_adaptive_avg_pool2d _adaptive_avg_pool3d _assert_tensor_metadata _conj _convolution _log_softmax
_native_batch_norm_legit _native_batch_norm_legit_functional _native_batch_norm_legit_no_training
_native_multi_head_attention _prelu_kernel _scaled_dot_product_flash_attention_for_cpu _softmax _to_copy
_transformer_encoder_layer_fwd _trilinear _unsafe_index _unsafe_index_put _unsafe_view _upsample_bicubic2d_aa
_upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d _weight_norm
_weight_norm_interface abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv addcmul addmm addmv addr
affine_grid_generator alias alias_copy all alpha_dropout amax amin aminmax angle any arange arccos arccosh arcsin
arcsinh arctan arctan2 arctanh argmax argmin argsort as_strided asin asinh atan atan2 atanh atleast_1d atleast_2d
atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bilinear bitwise_and bitwise_left_shift bitwise_not
bitwise_or bitwise_right_shift bitwise_xor blackman_window bmm broadcast_tensors broadcast_to bucketize cat cdist ceil
celu chain_matmul channel_shuffle chunk clamp clamp_max clamp_min clip clone col2im column_stack complex concat
concatenate conj conj_physical constant_pad_nd contiguous conv1d conv2d conv3d conv_tbc conv_transpose1d
conv_transpose2d conv_transpose3d convolution copy copysign cos cosh cosine_similarity cross cummax cummin cumprod
cumsum deg2rad dequantize detach detach_copy diag diag_embed diagonal diagonal_copy diff dist div divide dot dropout
dsplit dstack einsum elu embedding embedding_bag empty empty_like empty_permuted empty_strided eq equal erf erfc erfinv
exp exp2 expand expand_as expand_copy expm1 eye fake_quantize_per_channel_affine fake_quantize_per_tensor_affine
feature_alpha_dropout feature_dropout fft_fft fft_fft2 fft_fftfreq fft_fftn fft_fftshift fft_hfft fft_ifft fft_ifft2
fft_ifftn fft_ifftshift fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn fill fix
flatten flip fliplr flipud float_power floor floor_divide fmax fmin fmod frac frobenius_norm full full_like gather ge
gelu ger glu greater greater_equal grid_sampler grid_sampler_2d grid_sampler_3d group_norm gru gru_cell gt
hamming_window hann_window hardshrink hardsigmoid hardswish hardtanh heaviside hstack hsplit huber_loss hypot im2col
imag index index_add index_copy index_fill index_put index_reduce index_select inner instance_norm isclose isfinite
isin isinf isnan isneginf isposinf isreal kaiser_window kron kthvalue l1_loss layer_norm ldexp le leaky_relu lerp less
less_equal lift lift_fresh lift_fresh_copy linalg_cross linalg_det linalg_diagonal linalg_inv linalg_matmul
linalg_matrix_norm linalg_matrix_power linalg_multi_dot linalg_norm linalg_vecdot linalg_vector_norm linear linspace
log log10 log1p log2 log_sigmoid log_softmax logaddexp logaddexp2 logcumsumexp logical_and logical_not logical_or
logical_xor logit logspace logsumexp lstm lstm_cell lt masked_fill masked_scatter masked_select matmul max max_pool1d
max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d
maximum mean median meshgrid min minimum mish mm moveaxis movedim mse_loss msort mul multiply mv nan_to_num nanmean
nansum narrow narrow_copy native_batch_norm native_dropout native_group_norm native_layer_norm ne neg negative new_empty
new_empty_strided new_full new_ones new_zeros nll_loss nll_loss2d nll_loss_forward nonzero nonzero_numpy norm
not_equal nuclear_norm one_hot ones ones_like outer pad pairwise_distance permute permute_copy pixel_shuffle
pixel_unshuffle polar positive pow prelu prod quantize_per_channel quantize_per_tensor rad2deg randn randn_like
rand rand_like range ravel real reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 remainder
renorm repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape reshape_as resolve_conj
resolve_neg rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell roll rot90 round rrelu rsqrt rsub scalar_tensor
scaled_dot_product_attention scatter scatter_add scatter_reduce searchsorted select select_copy select_scatter selu
sgn sigmoid sign signbit silu sin sinc sinh slice slice_copy slice_scatter smooth_l1_loss softmax softplus softshrink
sort special_digamma special_entr special_erf special_erfc special_erfcx special_erfinv special_exp2 special_expit
special_expm1 special_i0 special_log1p special_log_softmax special_logit special_logsumexp special_round special_sinc
special_softmax special_xlog1py special_xlogy split split_copy split_with_sizes split_with_sizes_copy sqrt square
squeeze squeeze_copy stack std std_mean stft sub subtract sum swapaxes swapdims t t_copy take take_along_dim tan tanh
tensor_split tensordot threshold tile to topk trace transpose transpose_copy trapezoid tril tril_indices triu
triu_indices true_divide trunc type_as unbind unbind_copy unflatten unfold unfold_copy unsafe_chunk unsafe_split
unsafe_split_with_sizes unsqueeze unsqueeze_copy upsample_bicubic2d upsample_bilinear2d upsample_linear1d
upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d vander var var_mean view view_as
view_as_complex view_as_real view_copy vsplit vstack where xlogy zero zeros zeros_like
"""

ATEN_OPERATORS = frozenset(_NAMES.split())
"""Names without their overload; the form that works in place, with `_` at its end, is allowed along with each."""

_ATEN = "torch.ops.aten."
_GETITEM = "_operator.getitem"
_OVERLOAD = re.compile(r"\w+", re.ASCII)


def is_listed_operator(target: str) -> bool:
    """Tells whether a node of a .pt2 file may call something of this name; which overloads there are, torch knows.

    Args:
        target: As the file writes it, such as `torch.ops.aten.add.Tensor`.
    """
    name, _, overload = target.removeprefix(_ATEN).partition(".")
    return target == _GETITEM or (
        target.startswith(_ATEN)
        and name.removesuffix("_") in ATEN_OPERATORS
        and _OVERLOAD.fullmatch(overload) is not None
    )


def is_allowed_operator(target: str) -> bool:
    """Tells whether a node of a .pt2 file may call this, as `is_listed_operator`; imports torch."""
    if target == _GETITEM or not is_listed_operator(target):
        return target == _GETITEM
    import torch

    name, _, overload = target.removeprefix(_ATEN).partition(".")
    packet = getattr(torch.ops.aten, name, None)
    # an attribute of the packet that is no overload (`add.__class__`) is not an operator
    return packet is not None and overload in packet.overloads()
