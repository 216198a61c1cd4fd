"""Wrong edits of the engine, of functional gradients and of a run's state."""

from tests.edits import Edits

EDITS: Edits = {
    ("engine/loop.py", "engine/test_engine.py"): [
        (
            "accumulate(gradients, loss / parts, run.d_parameters, parts)",
            "accumulate(gradients, loss, run.d_parameters, parts)",
        ),
        ("accumulate(gradients, loss / parts, parameters, parts)", "accumulate(gradients, loss, parameters, parts)"),
        ("run.counters.num_real += experiment.batch_size", "run.counters.num_real += count"),
        ('rate(experiment.g_optimizer, run, own="g_updates")', 'rate(experiment.g_optimizer, run, own="d_updates")'),
        ('rate(experiment.d_optimizer, run, own="d_updates")', 'rate(experiment.d_optimizer, run, own="g_updates")'),
        ("MOVES_GENERATOR) and not isinstance(following, MOVES_GENERATOR)", "MOVES_GENERATOR)"),
        ("keep_buffers=experiment.keep_d_buffers", "keep_buffers=False"),
        ("run.regularizer.constrain(run.discriminator)", "pass"),
        (
            'run.meters.add("d_penalty", penalty)\n    return loss + penalty',
            'run.meters.add("d_penalty", penalty)\n    return loss',
        ),
        (
            'run.meters.add("g_penalty", penalty)\n    return loss + penalty',
            'run.meters.add("g_penalty", penalty)\n    return loss + step.weight * penalty',
        ),
        ("run.passes.generator_loss(step.weight,", "run.passes.generator_loss(1.0,"),
        ("counters.g_num_real += experiment.generator_reals", "counters.g_num_real += count"),
        ("experiment.augmentation.observe(real_logits", "experiment.augmentation.observe(fake_logits"),
        ("num_real // every > run.logged_at // every", "num_real > run.logged_at"),
        ("latents=fake.latents", "latents=None"),
    ],
    ("engine/loop.py", "task/test_denoising.py"): [
        (
            "generate=lambda z: fake_again(run, fake.draws, z, fake.condition)",
            "generate=lambda z: run.passes.make(z, fake.condition)",
        ),
    ],
    ("engine/loop.py", "losses/test_triplet_training.py"): [
        ('run.earlier.keep("generator", real.samples, fake)', "pass"),
    ],
    ("engine/passes.py", "losses/test_triplet_training.py"): [
        ("real.roll(1, 0), (real", "real, (real"),
    ],
    ("engine/updates.py", "engine/test_engine.py"): [
        ("else a + b for a, b", "else b for a, b"),
        ('group["lr"] = lr', "pass"),
        (
            "return torch.stack(torch._foreach_norm(present)).norm()",
            "return torch.stack(torch._foreach_norm(present)).sum()",
        ),
        ("gradient.stride() != parameter.stride()", "False"),
        ("config.lr * config.rule.at", "config.lr + 0 * config.rule.at"),
    ],
    ("engine/passes.py", "engine/test_engine.py engine/test_functional_gradient.py task/test_denoising.py"): [
        ("self.loss.generator(*outputs, weight=weight).mean()", "self.loss.generator(*outputs, weight=weight).sum()"),
        ("(output.logits for output in outputs)).mean()", "(output.logits for output in outputs)).sum()"),
        ("lambda beside: self.augmented(change(beside))", "lambda beside: change(beside)"),
        ("augmented if random is None else Shared(augmented, random)", "augmented"),
    ],
    ("engine/functional.py", "engine/test_functional_gradient.py"): [
        ("loss / len(chosen), run.g_parameters", "loss / len(part), run.g_parameters"),
        ("* DECAY**fit.decays", "* DECAY ** (fit.decays > 0)"),
        ("now > fit.last and", "now < fit.last and"),
        (".clamp(-1, 1).view(", ".view("),
        ("run.passes.stored_outputs, pushes)", "run.passes.stored_outputs, max(pushes - 1, 0))"),
        ("chosen = order[:", "chosen = order.sort()[0][:"),
        ("in order.split(run.experiment.batch_size)", "in order.sort()[0].split(run.experiment.batch_size)"),
        ('in_mode(run.generator, "eval")', 'in_mode(run.generator, "train")'),
        ("by = by._replace(step_size=step.step_size)", "by = by._replace(step_size=1.0)"),
        ("PROJECTION_STD * torch.randn", "torch.randn"),
        ("run.fit or PoolFit(", "PoolFit("),
        ("fit.decays < MOST_DECAYS", "True"),
    ],
    ("chain.py", "engine/test_functional_gradient.py test_push.py"): [
        ("before = {} if self.generator is not None else self.stored", "before = self.stored"),
        ("0.5 * (upcast(samples) - targets).square().sum()", "0.5 * (upcast(samples) - targets).square().mean()"),
        ("in before.items() if other < level", "in before.items()"),
        ("frozen(by.discriminator, keep_buffers=True)", "frozen(by.discriminator, keep_buffers=False)"),
        (
            "Stored(deepcopy(discriminator).requires_grad_(False), step_size)",
            "Stored(deepcopy(discriminator).requires_grad_(False), 1.0)",
        ),
        ("self.push.d_norm_mode)", '"eval")'),
        ("self.generator = deepcopy(generator).requires_grad_(False).eval()", "self.generator = generator"),
        ("range(0, len(samples), self.chunk)", "range(0, len(samples) - 1, self.chunk)"),
    ],
    ("engine/run.py", "engine/test_engine.py engine/test_functional_gradient.py"): [
        ("self.averaged_at = now", "pass"),
        ("self.data_position += count * ranks.count", "self.data_position += 0"),
        ("self.random[name].set_state(saved)", "pass"),
        ('self.averaged_at = state["averaged_at"]', "pass"),
        ('self.cursor.seek(*state["cursor"])', "pass"),
        ('list(state["round_steps"])', "[]"),
        ('self.logged_at = state["logged_at"]', "pass"),
        ('self.average.load_state_dict(state["average"])', "pass"),
        ("deepcopy(generator), pushes)", "deepcopy(self.average), pushes)"),
        ("return self.index == 0 or not self._stores", "return True"),
        ('self.fit.load_state_dict(deepcopy(state["fit"]))', "pass"),
        ('state["meters"].items()', "()"),
    ],
    ("randomness.py", "test_randomness.py"): [
        ("[seed, zlib.crc32(name.encode())]", "[seed]"),
        ("shared.set_state(outside)", "pass"),
        ("random.set_state(shared.get_state())", "pass"),
    ],
    ("regularizers/shared_draws.py", "regularizers engine/test_engine.py"): [
        ("with self.draws.repeated():\n            return", "if True:\n            return"),
        (
            "zip(self.places, now, strict=True):\n                generator.set_state(state)",
            "zip(self.places, now, strict=True):\n                pass",
        ),
    ],
    ("regularizers/reconstruction.py", "models/test_fastgan.py"): [
        ("self.coefficient * player.reconstruction_error", "player.reconstruction_error"),
    ],
}
