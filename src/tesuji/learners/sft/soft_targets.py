"""TRL's SFTTrainer with a distribution as the target of each reply token.

Replies stand at the right end of every row (left padding), so that logits are computed for reply
tokens only: for games, where prompts are long and moves are short, that is most of the work
saved. Models that must not see padding before a text have it behind. With one right reply a prompt
the loss equals TRL's own (a test holds this).
"""

from collections.abc import Sequence
from typing import Any

import torch
from trl import SFTTrainer

from tesuji.learners.sft.tokens import TokenRow
from tesuji.learners.trainer.trainer import refuse_nan


def to_columns(row: TokenRow) -> dict[str, Any]:
    """A row as the data set stores it; targets as two lists of lists, one entry a reply token."""
    return {
        "input_ids": [*row.prompt_ids, *row.reply_ids],
        "reply_length": len(row.reply_ids),
        "target_ids": [list(target) for target in row.targets],
        "target_shares": [list(target.values()) for target in row.targets],
    }


class SoftCollator:
    """Pads rows to the left, or (`behind`) to the right; packs targets as sparse (row, position,
    token, share) entries."""

    def __init__(self, pad_token_id: int, *, behind: bool = False) -> None:
        self.pad, self.behind = pad_token_id, behind

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Tensors of a batch: ids, mask and positions (B, T); labels (B, 1 + R), right-aligned;
        `target_at` (N, 3) and `target_shares` (N,) for the R reply positions.

        The labels' first column is always -100: transformers counts tokens from the second on.
        With padding behind, `reply_at` (B, R) says where each reply position is predicted.
        """
        width = max(len(row["input_ids"]) for row in rows)
        reply = max(row["reply_length"] for row in rows)
        ids = [self._padded(row["input_ids"], width, self.pad) for row in rows]
        mask = [self._padded([1] * len(row["input_ids"]), width, 0) for row in rows]
        labels = [
            [-100] * (1 + reply - r["reply_length"]) + list(r["input_ids"])[-r["reply_length"] :]
            for r in rows
        ]
        entries = [
            (index, reply - row["reply_length"] + place, token, share)
            for index, row in enumerate(rows)
            for place, (tokens, shares) in enumerate(
                zip(row["target_ids"], row["target_shares"], strict=True)
            )
            for token, share in zip(tokens, shares, strict=True)
        ]
        attention = torch.tensor(mask)
        if self.behind:
            ends = torch.tensor([len(row["input_ids"]) for row in rows]).unsqueeze(1)
            where = {"reply_at": (ends - 1 + torch.arange(-reply, 0)).clamp(min=0)}
        else:
            where = {"position_ids": (attention.cumsum(-1) - 1).clamp(min=0)}
        return {
            "input_ids": torch.tensor(ids),
            "attention_mask": attention,
            **where,
            "labels": torch.tensor(labels),
            "target_at": torch.tensor([entry[:3] for entry in entries]),
            "target_shares": torch.tensor([entry[3] for entry in entries], dtype=torch.float32),
        }

    def _padded(self, row: Sequence[int], width: int, pad: int) -> list[int]:
        padding = [pad] * (width - len(row))
        return [*row, *padding] if self.behind else [*padding, *row]


class SoftTargetTrainer(SFTTrainer):
    """SFTTrainer whose loss is the cross-entropy to `target_shares`."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """TRL's draft is not written: the model's own card is made from the run."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Mean over reply tokens (of the whole optimizer step) of the cross-entropy, fp32."""
        labels, at, shares = (inputs.pop(k) for k in ("labels", "target_at", "target_shares"))
        labels = labels[:, 1:]
        outputs, logits = _reply_logits(model, inputs, labels.shape[1])
        log_probs = torch.log_softmax(logits.float(), dim=-1)
        taught = labels != -100
        tokens = taught.sum() if num_items_in_batch is None else num_items_in_batch
        loss = -(shares * log_probs[at[:, 0], at[:, 1], at[:, 2]]).sum() / tokens
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # DDP averages the gradients again
        refuse_nan(loss, self.state.global_step, "sft")
        self._note(log_probs.detach(), taught, at)
        return (loss, outputs) if return_outputs else loss

    @torch.no_grad()
    def _note(self, log_probs: torch.Tensor, taught: torch.Tensor, at: torch.Tensor) -> None:
        """TRL's own training metrics, over reply tokens; any token that is taught is right."""
        mode = "train" if self.model.training else "eval"
        entropy = -(log_probs.exp() * log_probs).sum(-1)[taught].mean()
        hit = log_probs.argmax(-1)[at[:, 0], at[:, 1]] == at[:, 2]
        self._metrics[mode]["entropy"].append(entropy.item())
        self._metrics[mode]["mean_token_accuracy"].append((hit.sum() / taught.sum()).item())
        # TRL counts tokens in an attribute that no checkpoint holds; the trainer's state is saved.
        self._metrics[mode]["num_tokens"] = [float(self.state.num_input_tokens_seen)]


def _reply_logits(model: Any, inputs: dict[str, Any], count: int) -> tuple[Any, torch.Tensor]:
    """The model's outputs, and its logits (B, R, V) for R reply positions."""
    at = inputs.get("reply_at")
    if at is None:
        outputs = model(**inputs, logits_to_keep=count + 1, use_cache=False)
        return outputs, outputs.logits[:, :-1]
    outputs = model(input_ids=inputs["input_ids"], use_cache=False)
    places = at.unsqueeze(-1).expand(-1, -1, outputs.logits.shape[-1])
    return outputs, outputs.logits.gather(1, places)
