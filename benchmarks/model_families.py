"""Which causal language models of the installed transformers can be trained, and in which way.

Builds a small model of each from its configuration, prompts longer than its windows, and asks
Tesuji's own check (`players/sampling/support_check.py`). Prints a table in Markdown: the way, the
largest difference in log-prob between what is used and the model's plain forward pass over one
text, and why the model is not run in a quicker way.

    python benchmarks/model_families.py                # about six minutes on one core
    python benchmarks/model_families.py llama mamba gemma2 --attention eager
"""

import argparse
import warnings
from collections import Counter
from collections.abc import Sequence

import transformers
from _small_models import small_model
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tesuji.players.sampling.support_check import support_of


def look(name: str, attention: str) -> tuple[str, str, str]:
    """Way, worst difference and reason of one family."""
    try:
        model = small_model(name, attention)
    except Exception as error:  # whatever a family's own code raises
        return "not built", "", str(error).strip().splitlines()[-1].strip()[:100]
    support = support_of(model)
    worst = f"{support.worst:.0e}" if support.worst else ""
    more = "" if support.train_mode else "; train mode draws at random: updated in eval mode"
    detail = f" ({support.detail})" if support.detail else ""
    return support.way, worst, (support.reason + detail + more).replace("|", "/").replace("`", "")


def main(names: Sequence[str], attention: str) -> None:
    """Print the table, and how many families each way has."""
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity(transformers.utils.logging.CRITICAL)
    ways: Counter[str] = Counter()
    print("| `model_type` | way | off by | why not a quicker way |\n|---|---|---|---|")
    for name in names or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        way, worst, reason = look(name, attention)
        ways[way] += 1
        print(f"| `{name}` | {way} | {worst} | {reason} |", flush=True)
    total = ", ".join(f"{count} {way}" for way, count in ways.most_common())
    print(f"\ntransformers {transformers.__version__}, {attention} attention: {total}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="model types; default: all there are")
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    chosen = parser.parse_args()
    main(chosen.names, chosen.attention)
