"""A tiny Llama as a GGUF file, as llama.cpp's converter writes one: names and order of tensors, the
rows of q and k in pairs for its rotary embedding, a byte-level vocabulary, ChatML."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quantize
from tokenizers import pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

LAYERS, WIDTH, HEADS, KV_HEADS = 2, 32, 4, 2
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *BYTES, "ab"]
NAMES = {  # transformers' → llama.cpp's
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tiny_llama(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(TOKENS),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def write_gguf(
    path: Path,
    model: LlamaForCausalLM | None = None,
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    *,
    architecture: str = "llama",
    pre: str = "smollm",
    eos: str = "<|im_end|>",
    without: Collection[str] = (),
    more: dict[str, Any] | None = None,
    rope_freqs: bool = False,
) -> Path:
    """Write it; matrices in `kind`, all but the tensors `without` ("*": none), with `more`
    metadata."""
    model = model or tiny_llama()
    path.parent.mkdir(exist_ok=True)
    writer = GGUFWriter(path, architecture)
    _write_shape(writer)
    _write_tokenizer(writer, pre, eos)
    for key, value in (more or {}).items():
        add = writer.add_string if isinstance(value, str) else writer.add_uint32
        add(key, value)
    for name, value in model.state_dict().items():
        if name != "lm_head.weight" and not {theirs := _their(name), "*"} & {*without}:
            _write_tensor(writer, theirs, value, kind)
    if rope_freqs:
        writer.add_tensor("rope_freqs.weight", torch.ones(WIDTH // HEADS // 2).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_shape(writer: GGUFWriter) -> None:
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(64)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(TOKENS))


def _write_tokenizer(writer: GGUFWriter, pre: str, eos: str) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    control = [TokenType.CONTROL if token[:2] == "<|" else TokenType.NORMAL for token in TOKENS]
    writer.add_token_types(control)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(TOKENS.index("<|im_start|>"))
    writer.add_eos_token_id(TOKENS.index(eos))
    writer.add_unk_token_id(0)
    writer.add_chat_template(CHATML)


def _their(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


def _write_tensor(
    writer: GGUFWriter, name: str, value: torch.Tensor, kind: GGMLQuantizationType
) -> None:
    array = value.float().numpy()
    for part, heads in (("attn_q", HEADS), ("attn_k", KV_HEADS)):
        if part in name:  # the two halves of a head become pairs of neighbours
            halves = array.reshape(heads, 2, array.shape[0] // heads // 2, array.shape[1])
            array = halves.swapaxes(1, 2).reshape(array.shape)
    if array.ndim == 1:
        kind = GGMLQuantizationType.F32
    writer.add_tensor(name, quantize(array, kind), raw_dtype=kind)
