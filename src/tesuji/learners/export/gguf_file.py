"""A whole model as one GGUF file, for llama.cpp and what is built on it.

    write_gguf(model, tokenizer, Path("model-q8_0.gguf"), "q8_0", name="mine")

Written are Llama, Qwen2 and Qwen3; transformers reads GGUF and does not write it, and the package
`gguf` has names and quantisation, but no converter. What the names mean:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and convert_hf_to_gguf.py of llama.cpp.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.files import atomic_path
from tesuji.learners.export.gguf_tokens import add_tokens

FAMILIES = {"llama": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3"}
OUTTYPES = ("f32", "f16", "bf16", "q8_0")
ELSE = "export --to safetensors; llama.cpp's own convert_hf_to_gguf.py knows more kinds"


def write_gguf(model: Any, tokenizer: Any, file: Path, outtype: str, *, name: str) -> None:
    """Write the model (float32, in memory) with its matrices in `outtype`, whole or not at all.
    Matrices that q8_0's blocks of 32 do not fit are written in f16, as llama.cpp does, vectors in
    f32. Raises EngineError for another family, or what a file cannot say of it."""
    import gguf

    config = model.config
    refuse_unwritten(config, str(model.name_or_path))
    arch = gguf.MODEL_ARCH[FAMILIES[config.model_type]]
    with atomic_path(file) as aside:
        writer = gguf.GGUFWriter(aside, gguf.MODEL_ARCH_NAMES[arch])
        writer.add_type(gguf.GGUFType.MODEL)
        writer.add_name(name)
        writer.add_file_type(getattr(gguf.LlamaFileType, _file_type(outtype)))
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _add_shape(writer, config)
        add_tokens(writer, tokenizer, config.vocab_size)
        for tensor_name, data, kind in _tensors(model, arch, outtype):
            writer.add_tensor(tensor_name, data, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def refuse_unwritten(config: Any, source: str) -> None:
    """Raise EngineError for a model of another family, or with what no file says of these."""
    rope = config.rope_parameters or {} if hasattr(config, "rope_parameters") else {}
    written = config.model_type in FAMILIES
    reasons = {
        f"it is a {config.model_type}; written are {', '.join(FAMILIES)}": not written,
        f"its positions are scaled ({rope.get('rope_type')})": rope.get("rope_type", "default")
        != "default",
        "some of its layers see a window only": getattr(config, "use_sliding_window", False),
        f"it computes with {config.hidden_act}, not silu": written and config.hidden_act != "silu",
    }
    if why := next((why for why, met in reasons.items() if met), ""):
        raise EngineError(f"no GGUF is written of this model: {why}", where=source, hint=ELSE)


def _file_type(outtype: str) -> str:
    return "ALL_F32" if outtype == "f32" else f"MOSTLY_{outtype.upper()}"


def _add_shape(writer: Any, config: Any) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _tensors(model: Any, arch: Any, outtype: str) -> Iterator[tuple[str, Any, Any]]:
    """(GGUF's name, data, type) of every weight; a head that shares the embedding is left out."""
    import gguf

    config = model.config
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if new is None:
            why = f"no GGUF is written of this model: it has no name for {name}"
            raise EngineError(why, where=str(model.name_or_path), hint=ELSE)
        data = weight.detach().float().cpu().numpy()
        part = name.split(".")[-2]
        if config.model_type == "llama" and part in heads:
            data = _interleaved(data, heads[part])
        kind = _kind(data, outtype)
        yield new, gguf.quantize(data, kind), kind


def _interleaved(data: Any, heads: int) -> Any:
    """llama.cpp turns neighbouring numbers of a Llama's head together, transformers its halves."""
    rows = data.shape[0] // heads
    halves = data.reshape(heads, 2, rows // 2, *data.shape[1:])
    return halves.swapaxes(1, 2).reshape(data.shape)


def _kind(data: Any, outtype: str) -> Any:
    import gguf

    kinds = gguf.GGMLQuantizationType
    if data.ndim == 1:
        return kinds.F32
    if outtype == "q8_0" and data.shape[-1] % gguf.GGML_QUANT_SIZES[kinds.Q8_0][0]:
        return kinds.F16
    return kinds[outtype.upper()]
