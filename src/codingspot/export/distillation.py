"""Training a student on its teacher's outputs, by transformers' Trainer.

The loss of a token is T^2 KL(teacher || student), both distributions at temperature T (Hinton et al. 2015, arXiv
1503.02531), plus a weight times the cross-entropy of the text. Logits are computed in chunks of positions, the
student's again in the backward pass, so that no batch's are ever all in memory.
"""

from __future__ import annotations

from typing import Any

import accelerate as accelerate  # the Trainer needs it
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch.utils.data import TensorDataset
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from codingspot.export.export import Tell, to_nobody
from codingspot.export.kinds import DistilledExport
from codingspot.models import OutputHead

_IGNORED = -100


def distillation_loss(
    student: Float[Tensor, "positions vocabulary"],
    teacher: Float[Tensor, "positions vocabulary"],
    targets: Int64[Tensor, " positions"],
    temperature: float,
    cross_entropy: float,
) -> Float[Tensor, ""]:
    """The loss from logits, summed over the positions whose target isn't -100, in nats."""
    counted = targets != _IGNORED
    own, other = ((each.float() / temperature).log_softmax(-1) for each in (student, teacher))
    divergence = F.kl_div(own, other, log_target=True, reduction="none").sum(-1)[counted].sum()
    text = F.cross_entropy(student.float(), targets, ignore_index=_IGNORED, reduction="sum")
    return temperature**2 * divergence + cross_entropy * text


class DistillationTrainer(Trainer):
    """transformers' Trainer of a student on its teacher's outputs.

    Args:
        teacher: of the same vocabulary, on the student's device; its weights stay as they are.
        temperature, cross_entropy: of the loss.
        **given: what a Trainer takes; a batch's ``input_ids`` are all that is read of it.
    """

    def __init__(self, teacher: PreTrainedModel, temperature: float, cross_entropy: float, **given: Any) -> None:
        super().__init__(**given)
        self._teacher, self._student = OutputHead(teacher), OutputHead(given["model"])
        self._settings = temperature, cross_entropy

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """The mean loss of a batch's predicted tokens."""
        del model, return_outputs, num_items_in_batch
        tokens = inputs["input_ids"]
        with torch.no_grad():
            others = self._teacher.states(tokens).flatten(0, 1)
        states = self._student.states(tokens).flatten(0, 1)
        targets = F.pad(tokens[:, 1:], (0, 1), value=_IGNORED).flatten()
        sums = [
            checkpoint(self._loss, states[part], others[part], targets[part], use_reentrant=False)
            for part in self._student.chunks(states)
        ]
        mean: Tensor = torch.stack(sums).sum() / (tokens.shape[0] * (tokens.shape[1] - 1))
        return mean

    def _loss(self, states: Tensor, others: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            teacher = self._teacher.logits(others)
        return distillation_loss(self._student.logits(states), teacher, targets, *self._settings)


class _Told(TrainerCallback):
    """Tells the share of the steps after each."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        del args, control
        self._tell("training the student", state.global_step / state.max_steps)


def distil(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    sequences: Int64[Tensor, "sequences length"],
    settings: DistilledExport,
    scratch: str,
    tell: Tell = to_nobody,
) -> None:
    """Train the student in place; ``scratch`` is a folder that the Trainer may write to.

    ``tell`` hears the share of the steps that are done.
    """
    arguments = TrainingArguments(
        scratch,
        max_steps=settings.steps,
        per_device_train_batch_size=settings.sequences,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.steps // 10,
        weight_decay=0.0,
        seed=settings.seed,
        use_cpu=student.device.type == "cpu",
        dataloader_pin_memory=False,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    trainer = DistillationTrainer(
        teacher,
        settings.temperature,
        settings.cross_entropy,
        model=student,
        args=arguments,
        train_dataset=TensorDataset(sequences),
        data_collator=lambda rows: {"input_ids": torch.stack([row for (row,) in rows])},
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Told(tell))
    trainer.train()
    student.train(False)
