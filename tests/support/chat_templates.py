"""Chat templates and a tokenizer of bytes that takes any, for tests."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PLAIN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_TOOLS = (
    "{%- if tools %}<|im_start|>system\nTOOLS{% for tool in tools %} {{ tool | tojson }}"
    "{% endfor %}<|im_end|>\n{% endif %}" + PLAIN_TEMPLATE
)
# As Llama 3.1 has it: a call is a bare JSON object, its answer of a role of its own.
BARE_CALLS = (
    "{% for m in messages %}<|im_start|>{{ 'ipython' if m['role'] == 'tool' else m['role'] }}\n"
    "{% if m.tool_calls %}{% set f = m.tool_calls[0].function %}"
    '{"name": "{{ f.name }}", "parameters": {{ f.arguments | tojson }}}'
    "{% else %}{{ m['content'] }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As DeepSeek and Mistral have it: arguments are a text, calls and answers have an id.
TEXT_CALLS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}"
    "{% if m['role'] == 'tool' %} {{ m.tool_call_id }}{% endif %}{{ '\n' + m['content'] }}"
    "{% for c in m.tool_calls or [] %}[{{ c.id }}]{{ c.function.name + c.function.arguments }}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


CALLS = ("<tool_call>", "</tool_call>")


def tokenizer(template: str | None, tags: Sequence[str] = CALLS) -> PreTrainedTokenizerFast:
    """Bytes, the control tokens of a chat model, whose eos is not what ends a turn, as often, and
    one token for each tag."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    core.add_tokens(list(tags))
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def qwen_template() -> str:
    """Qwen3's chat template, as the leaderboard's handler for Qwen quotes it."""
    spec = importlib.util.find_spec("bfcl_eval")
    assert spec and spec.origin
    handler = Path(spec.origin).parent / "model_handler" / "local_inference" / "qwen_fc.py"
    source = handler.read_text(encoding="utf-8")
    begin = source.index("{%- if tools %}")
    return source[begin : source.index('"""', begin)].rstrip()
