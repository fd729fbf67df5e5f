"""Small models of many families, from their configurations; weights in which every token tells."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tesuji.learners.model.tiny import build_tokenizer

ATTENTION = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "head_dim": 8, "max_position_embeddings": 256,
}  # fmt: skip
FALCON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4}
LINEAR = {
    "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}  # fmt: skip
MAMBA = {
    "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8,
    "mamba_n_groups": 1,
}  # fmt: skip
HALF_LINEAR = {"layer_types": ["linear_attention", "full_attention"]}
HALF_WINDOW = {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]}
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {  # name: the way, type, keys
    "gpt2": ("shared", "gpt2", GPT | {"n_positions": 256}),
    "llama": ("shared", "llama", ATTENTION),
    "qwen2": ("shared", "qwen2", ATTENTION),
    "qwen3": ("shared", "qwen3", ATTENTION),
    "olmo2": ("shared", "olmo2", ATTENTION),
    "phi": ("shared", "phi", ATTENTION),
    "opt": ("shared", "opt", ATTENTION | {"ffn_dim": 48, "word_embed_proj_dim": 16}),
    "granite": (
        "shared", "granite",
        ATTENTION | {"logits_scaling": 4.0, "embedding_multiplier": 3.0},
    ),
    "cohere": ("shared", "cohere", ATTENTION | {"logit_scale": 0.25}),
    "falcon": ("shared", "falcon", FALCON),
    "gemma2": ("padded", "gemma2", ATTENTION | HALF_WINDOW | {"final_logit_softcapping": 2.0}),
    "gemma3": ("padded", "gemma3_text", ATTENTION | HALF_WINDOW),
    "mistral with a window": ("padded", "mistral", ATTENTION | {"sliding_window": 6}),
    "falcon with alibi": ("padded", "falcon", FALCON | {"alibi": True}),
    "mpt": ("padded", "mpt", {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 256}),
    "bloom": ("padded", "bloom", {"hidden_size": 32, "n_head": 4, "n_layer": 2}),
    "gpt_neo": (
        "padded", "gpt_neo",
        {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "window_size": 6,
         "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 256},
    ),
    "mamba": ("plain", "mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "lfm2": ("plain", "lfm2", ATTENTION | {"layer_types": ["conv", "full_attention"]}),
    "falcon_h1": ("plain", "falcon_h1", ATTENTION | MAMBA | {"lm_head_multiplier": 0.5}),
    "qwen3_next": (
        "plain", "qwen3_next",
        ATTENTION | LINEAR | HALF_LINEAR | {"num_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
    ),
    "qwen3_5": ("plain", "qwen3_5_text", ATTENTION | LINEAR | HALF_LINEAR),
}  # fmt: skip


def family_model(name: str, attention: str = "sdpa") -> Any:
    """A model of this family, in eval mode."""
    _, kind, keys = FAMILIES[name]
    size = -(-len(build_tokenizer()) // 8) * 8
    config = AutoConfig.for_model(kind, **keys, vocab_size=size, pad_token_id=0)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        try:
            model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
        except ValueError:
            model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data *= 3
    return model.eval()
