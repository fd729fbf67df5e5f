"""A small model of every causal language model that transformers knows, from its configuration.

Sizes are set wherever a configuration has them, also in configurations inside it; windows are 8
tokens, so that a prompt is soon longer. Weights are wide enough that every token matters.
"""

from typing import Any

import torch

VOCABULARY = 264
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "n_embd": 32, "d_model": 32, "emb_dim": 32,
    "n_embed": 32, "embedding_size": 32, "word_embed_proj_dim": 32, "dim_model": 32,
    "num_hidden_layers": 4, "n_layer": 4, "n_layers": 4, "num_layers": 4, "decoder_layers": 2,
    "encoder_layers": 2, "num_decoder_layers": 2, "num_encoder_layers": 2, "num_blocks": 4,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_decoder_attention_heads": 4,
    "num_encoder_attention_heads": 4, "num_key_value_heads": 4, "num_kv_heads": 4,
    "head_dim": 8, "d_kv": 8, "dim_head": 8, "global_head_dim": 8, "swa_head_dim": 8,
    "intermediate_size": 48, "ffn_dim": 48, "n_inner": 48, "d_inner": None, "dff": 48,
    "decoder_ffn_dim": 48, "encoder_ffn_dim": 48, "dim_ff": 48, "ffn_hidden_size": 48,
    "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16,
    "moe_shared_expert_intermediate_size": 16, "expert_intermediate_size": 16,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "moe_num_experts": 4,
    "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "moe_k": 2, "moe_topk": 2,
    "first_k_dense_replace": 1, "first_k_dense": 1, "q_lora_rank": 16, "kv_lora_rank": 16,
    "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8, "qk_head_dim": 16,
    "rotary_dim": 8, "max_position_embeddings": 512, "n_positions": 512, "n_ctx": 512,
    "context_length": 512, "max_seq_len": 512, "max_sequence_length": 512,
    "sliding_window": 8, "sliding_window_size": 8, "window_size": 8, "attention_window_size": 8,
    "attention_chunk_size": 8, "local_attention": 8, "max_window_layers": 2,
    "state_size": 8, "ssm_state_size": 8, "mamba_d_state": 8, "mamba_d_ssm": 64,
    "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_dt_rank": 4,
    "time_step_rank": 4, "mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 1,
    "n_mamba_heads": 2, "mamba_headdim": 8, "mamba_ngroups": 1, "lru_width": 32,
    "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "attention_hidden_size": 32, "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": VOCABULARY, "laurel_rank": 8, "num_kv_shared_layers": 0,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "image_token_id": 5,
    "use_cache": True, "decoder_start_token_id": 1,
    "adapter_in_dim": 32, "adapter_input_size": 32, "hidden_size_global": 32,
    "encoder_hash_byte_group_vocab": 64, "tie_word_embeddings": True,
    "dropout": 0.0, "is_decoder": True, "is_encoder_decoder": False,
}  # fmt: skip


LAYERS = 4  # of each kind at least one, where there are several kinds
KINDS = ("layer_types", "layers_block_type", "mlp_layer_types")
ROPE = {
    kind: {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
    for kind in ("full_attention", "sliding_attention")
}
INDEXER = {
    "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8,
    "indexer_compress_ratio": 2, "ngram_vocab_size_base": 64, "split_ngram_parts": 1,
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {  # what a configuration's own checks ask for
    "bamba": {"attn_layer_indices": [1, 3]},
    "dbrx": {
        "tie_word_embeddings": False, "ffn_config": {"ffn_hidden_size": 48},
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
    },
    "dots1": {"n_shared_experts": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {"linear_num_heads": 4, "linear_head_dim": 8},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "cohere_compass_text": {"rope_parameters": ROPE},
    "mimo_v2_flash": {"head_dim": 24, "v_head_dim": 16, "num_key_value_heads": 1},
    "qwen4_exp_text": INDEXER,
    "reformer": {"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [16, 32]},
    "xlstm": {"chunk_size": 16, "qk_dim_factor": 1.0},
    "zaya": {"num_experts_per_tok": 1, "num_key_value_heads": 2},
    "zamba": {
        "attn_layer_period": 2, "attn_layer_offset": 1, "attention_hidden_size": 64,
        "attention_head_dim": 16,
    },
    "zamba2": {"attention_hidden_size": 64, "attention_head_dim": 16, "mamba_headdim": 32},
}  # fmt: skip


def small_model(name: str, attention: str = "sdpa", scale: float = 3.0) -> Any:
    """The causal LM of this `model_type` in float32, its weights `scale` times what they begin
    with. Raises whatever the family's code raises where it cannot be built so."""
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    torch.manual_seed(1)
    config = small_config(CONFIG_MAPPING[name], **OWN.get(name, {}))
    options: dict[str, Any] = {"dtype": torch.float32}
    try:
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention, **options)
    except ValueError as error:
        if "does not support an attention implementation" not in str(error):
            raise
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", **options)
    if name == "xmod":
        model.set_default_language("en_XX")
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data *= scale
    return model.eval()


def small_config(kind: Any, **own: Any) -> Any:
    """The configuration of this class with small sizes, and keys of its `own`."""
    plain = kind()
    keys = {key: value for key, value in SIZES.items() if _has(plain, key)}
    for key in KINDS:
        some = vars(plain).get(key)
        if isinstance(some, list):
            kinds = list(dict.fromkeys(some))
            keys[key] = [kinds[place % len(kinds)] for place in range(LAYERS)]
    for name, inner in vars(plain).items():
        if type(inner).__name__.endswith("Config") and hasattr(inner, "to_dict"):
            own_inner = OWN.get(inner.model_type, {})
            keys[name] = small_config(type(inner), **own_inner).to_dict()
    return kind(**{k: v for k, v in (keys | own).items() if v is not None})


def _has(config: Any, key: str) -> bool:
    return key in vars(config) or key in getattr(type(config), "attribute_map", {})
