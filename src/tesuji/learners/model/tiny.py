"""A small model built from its shape, with a byte-level tokenizer of its own: nothing to download.

Any text can be read and written: one token a byte. The chat template only strings the messages
together, so that a prompt costs as many tokens as it has characters.
"""

from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.recipe.schema.sections import TinyModel

PAD, END = "<|pad|>", "<|end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}"
    "{{ '<|end|>' if message['role'] == 'assistant' else '\n' }}{% endfor %}"
)


def build_tokenizer():
    """A fast tokenizer with the 256 bytes, a padding token and an end-of-reply token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(bytes_)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([PAD, END])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def build_model(shape: TinyModel, seed: int):
    """A causal LM of this shape with fresh weights that follow from `seed`, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    config = tiny_config(shape, build_tokenizer())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def tiny_config(shape: TinyModel, tokenizer: Any) -> Any:
    """The configuration of a model of this shape, for this tokenizer."""
    from transformers import AutoConfig

    return AutoConfig.for_model(
        shape.architecture,
        vocab_size=-(-len(tokenizer) // 8) * 8,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_hidden_layers,
        num_attention_heads=shape.num_attention_heads,
        num_key_value_heads=shape.num_key_value_heads,
        head_dim=shape.hidden_size // shape.num_attention_heads,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=shape.max_position_embeddings,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )


def check_shape(shape: TinyModel) -> None:
    """Refuse a head size that rotary embeddings cannot take (it must be even)."""
    if shape.hidden_size // shape.num_attention_heads % 2:
        raise RecipeError(
            "hidden_size / num_attention_heads must be even (rotary embeddings pair dimensions)",
            where="model.tiny.hidden_size",
        )
