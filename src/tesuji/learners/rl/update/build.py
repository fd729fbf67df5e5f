"""The learner of a recipe: actor, critic, optimizer and learning rate, over Accelerate."""

from typing import Any

import torch

from tesuji.learners.fsdp import fsdp_in_use, part
from tesuji.learners.model.load import Policy
from tesuji.learners.rl.update.actor_critic import ActorCritic, critic_parameters, policy_parameters
from tesuji.learners.rl.update.learning_rate import LearningRate
from tesuji.learners.rl.update.loss import LossOptions
from tesuji.learners.rl.update.optimizer_step import Learner
from tesuji.learners.trainer.muon import muon
from tesuji.learners.zero import in_use, refuse_other_engine, step_config
from tesuji.recipe.schema.rl import PpoStage, RLStage


def build_learner(
    stage: RLStage, policy: Policy, *, temperature: float, critic: Policy | None = None
) -> Learner:
    """Everything an update needs. A whole model in bfloat16 is trained in float32 under autocast:
    steps of 1e-6 would be lost in bfloat16."""
    model = policy.model
    in_bf16 = model.dtype == torch.bfloat16 and not hasattr(model, "peft_config")
    accelerator = _accelerator(stage, model)
    if in_bf16:
        model.float()
    if stage.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    actor = ActorCritic(
        model,
        temperature=temperature,
        critic=critic.model if critic else None,
        with_values=isinstance(stage, PpoStage),
        value_grad=stage.value_grad if isinstance(stage, PpoStage) else 0.0,
        entropy_grad=max(stage.entropy_coef, stage.entropy_coef_final or 0.0) > 0,
        in_bf16=in_bf16,
    )
    if fsdp_in_use():
        part(actor)
    optimizer = _optimizer(stage, actor)
    learning_rate = LearningRate(stage, optimizer)
    learner = Learner(
        accelerator=accelerator,
        actor=_prepared(accelerator, actor, optimizer),
        optimizer=optimizer,
        learning_rate=learning_rate,
        micro_batch_tokens=stage.micro_batch_tokens,
        share_prompts=stage.share_prompts,
        max_grad_norm=stage.max_grad_norm,
        in_bf16=in_bf16,
    )
    learner.gather()
    return learner


def _accelerator(stage: RLStage, model: Any) -> Any:
    from accelerate import Accelerator, DeepSpeedPlugin

    if (section := in_use()) is None:
        return Accelerator(cpu=model.device.type == "cpu")
    config = step_config(section, stage.max_grad_norm)
    return Accelerator(deepspeed_plugin=DeepSpeedPlugin(hf_ds_config=config))


def _prepared(accelerator: Any, actor: ActorCritic, optimizer: Any) -> Any:
    """The actor as all processes learn with it: as it is (FSDP2's parts too), in DDP, or in an
    engine of DeepSpeed."""
    if in_use() is not None:
        engine, _ = accelerator.prepare(actor, optimizer)
        refuse_other_engine(engine)
        return engine
    by_itself = accelerator.num_processes == 1 or fsdp_in_use()
    return actor if by_itself else accelerator.prepare(actor)


def loss_options(stage: RLStage, step: int, beta: float) -> LossOptions:
    """The loss's options at this step; during critic warm-up only the value loss is left."""
    ppo = stage if isinstance(stage, PpoStage) else None
    warming = ppo is not None and step <= ppo.critic_warmup_steps
    return LossOptions(
        clip_range=stage.clip_range,
        clip_range_high=stage.clip_range_high or stage.clip_range,
        dual_clip=stage.dual_clip,
        beta=beta if stage.kl_in == "loss" and not warming else 0.0,
        vf_coef=ppo.vf_coef if ppo else 0.0,
        clip_range_vf=ppo.clip_range_vf if ppo else None,
        entropy_coef=_entropy_coef(stage, step),
        policy_coef=0.0 if warming else 1.0,
    )


def _entropy_coef(stage: RLStage, step: int) -> float:
    if stage.entropy_coef_final is None:
        return stage.entropy_coef
    done = min(1.0, (step - 1) / max(1, stage.max_steps - 1))
    return stage.entropy_coef + done * (stage.entropy_coef_final - stage.entropy_coef)


def named_parameters(actor: ActorCritic) -> dict[str, torch.nn.Parameter]:
    """Every trained parameter by name, the policy's first."""
    return dict([*policy_parameters(actor), *critic_parameters(actor)])


def _optimizer(stage: RLStage, actor: ActorCritic) -> Any:
    critic = [parameter for _, parameter in critic_parameters(actor)]
    head = stage.value_learning_rate if isinstance(stage, PpoStage) else 0.0
    groups: list[dict[str, Any]] = [{"params": critic, "lr": head}] if critic else []
    if stage.optimizer == "muon":
        return muon(stage, actor.model, groups)
    policy = [parameter for _, parameter in policy_parameters(actor)]
    return torch.optim.AdamW(
        [{"params": policy}, *groups],
        lr=stage.peak_rate,
        betas=stage.adam_betas(),
        weight_decay=stage.weight_decay,
        fused=True,
    )
