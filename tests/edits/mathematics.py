"""Wrong edits of weights, schemes, losses, divergences, regularizers, optimizers, augmentations and networks' parts."""

from tests.edits import Edits

LOSSES = "contracts/test_loss_contract.py independent/test_losses.py"
PENALTIES = "contracts/test_regularizer_contract.py"

EDITS: Edits = {
    ("weights.py", "test_weights.py"): [
        ("self.first ** (1 - t) * self.last**t", "self.first**t * self.last ** (1 - t)"),
        ("at(j / (count - 1))", "at(j / count)"),
        ("(mass / sum(counts),)", "(mass / len(counts),)"),
        ("self.of(counts, round)[::-1]", "self.of(counts, round)"),
        ("sum(n * w for n, w", "sum(w for n, w"),
    ],
    ("schemes.py", "test_schemes.py contracts/test_scheme_contract.py"): [
        ("(UpdateGenerator(weight=weight, level=level),) * level", "(UpdateGenerator(weight=weight, level=level),)"),
        ("fakes=Replay(level - 1)", "fakes=Replay(level)"),
        ("self.step_size * weight for", "self.step_size + 0 * weight for"),
        ("if self.epochs and round == 0 and", "if self.epochs and"),
        ("UpdateDiscriminator(level=level, fakes=Pool())", "UpdateDiscriminator(level=level)"),
        ("yield DrawPool(self.pool_size, len(sizes))", "yield DrawPool(self.pool_size, 1)"),
    ],
    ("moments.py", "test_moments.py"): [
        ("mean / sqrt(square)", "mean / square"),
        ("1 - decay ** len(values)", "1 - decay"),
    ],
    ("push.py", "test_push.py"): [
        ("direction.sign() if self.sign", "direction.sign() * direction.norm() if self.sign"),
        ("step_size * (direction.sign() if self.sign else direction)", "step_size * direction"),
        ("return -loss.generator(logits)", "return loss.generator(logits)"),
        ("outputs.detach().clamp(", "outputs.clamp("),
        (".clamp(-self.limit, self.limit)", ".clamp(-1, 1)"),
        ("potential.sum()", "potential.mean()"),
    ],
    ("losses/protocol.py", f"losses {LOSSES}"): [
        ("of(*(weight * each for each in logits))", "weight * of(*logits)"),
        ("return weight * of(*logits)", "return of(*(weight * each for each in logits))"),
        ("return softplus(-real) + softplus(fake)", "return softplus(real) + softplus(fake)"),
        ("of(*(logits.flatten() for logits in head))", "of(*(logits.flatten() * 2 for logits in head))"),
    ],
    ("losses/classical.py", f"losses/test_classical.py {LOSSES}"): [
        ("lambda t: softplus(-t), weight", "lambda t: softplus(t), weight"),
        ("lambda t: -softplus(t), weight", "lambda t: softplus(-t), weight"),
        ("softplus(t + offset) - softplus(t)", "softplus(t - offset) - softplus(t)"),
        ("+ 0.5 * (fake - self.fake_target)", "+ (fake - self.fake_target)"),
        ("(t - self.generator_target)", "(t - self.real_target)"),
        ("boundary=(self.fake_target + self.real_target) / 2", "boundary=self.real_target"),
        ("return fake - real", "return real - fake"),
        ("F.relu(1 - real) + F.relu(1 + fake)", "F.relu(1 - real) + F.relu(1 - fake)"),
        ("lambda t: _log_one_minus(t, inside), outside", "lambda t: _log_one_minus(t, outside), inside"),
    ],
    ("losses/relativistic.py", f"losses/test_relativistic.py {LOSSES}"): [
        ("softplus(below - _mean(above))", "softplus(below - _mean(above).detach())"),
        ("softplus(_mean(below) - above)", "softplus(_mean(below).detach() - above)"),
        ("F.relu(1 - (above - _mean(below)))", "F.relu(1 - (above - _mean(below).detach()))"),
        ("F.relu(1 + (below - _mean(above)))", "F.relu(1 + (below - _mean(above).detach()))"),
        ("(above - below - 1)", "(above - below + 1)"),
        ("return softplus(below - above)", "return softplus(above - below)"),
        ("self.weight_on, fake, real)", "self.weight_on, real, fake)"),
        ("self.weight_on, fake, real)", "self.weight_on, fake, real.detach() / weight)"),
        ("collective.mean(logits.mean())", "logits.mean()"),
    ],
    ("losses/monotone.py", f"losses/test_monotone.py {LOSSES}"): [
        ("* (1 + F.relu(t - self.exp_cap))", "* (1 + 2 * F.relu(t - self.exp_cap))"),
        (".exp() * (1 + F.relu(t - self.exp_cap))", ".exp() + F.relu(t - self.exp_cap)"),
        ("(u**2 * slope[-1])", "(u * slope[-1])"),
        ("softplus(d + self.shift)", "softplus(d - self.shift)"),
        ("lambda t: -self.h(t)", "lambda t: self.h(-t)"),
    ],
    ("losses/divergence_pair.py", f"losses/test_divergence_pair.py {LOSSES}"): [
        ("self.d_scale * (row.fake_term", "self.g_scale * (row.fake_term"),
        ("self.exp_cap) - row.real_term", "self.exp_cap) + row.real_term"),
        ("-self.g_scale * row.fake_term(t, self.exp_cap)", "-self.g_scale * row.fake_term(t)"),
        ("total_variation_term(fake) - total_variation_term(real)", "total_variation_term(real - fake)"),
    ],
    ("losses/triplet.py", f"losses/test_triplet.py {LOSSES}"): [
        ("F.relu(ff - fr + self.margin)", "F.relu(ff - rr + self.margin)"),
        ("(fr - rr + self.margin)", "(rr - fr + self.margin)"),
    ],
    ("logits.py", f"divergences losses/test_per_logit.py regularizers/test_gradient_penalty.py {LOSSES}"): [
        ("below + (below + 1) * (t - cap)", "below + (t - cap)"),
        ("values.mean(2).sum(1)", "values.mean((1, 2))"),
        ("squared.clamp_min(1e-30).sqrt()", "squared.sqrt()"),
        ("torch.where(t < -1, t.clamp(max=-1).exp() - 1, torch.expm1(t.clamp(min=-1)))", "torch.expm1(t)"),
        ("return -F.logsigmoid(-x)", "return F.softplus(x)"),
        ("return logits.float() if", "return logits if"),
    ],
    ("divergences/table.py", "divergences independent/test_losses.py"): [
        ("fake_slope=lambda d: 2 * torch.sigmoid(-d)", "fake_slope=lambda d: 2 * torch.sigmoid(d)"),
        ("2 * (u + 1) * torch.log((u + 1) / 2) - 2 * (u - 1)", "2 * (u + 1) * torch.log((u + 1) / 2) + 2 * (u - 1)"),
        ("growth(d, 1 - k, cap)", "growth(d, 2 - k, cap)"),
        ("torch.exp((2 - k) * d)", "torch.exp((1 - k) * d)"),
        ("torch.exp(d) * self.fake_slope(-d)", "self.fake_slope(-d)"),
        ("0.5 * (d + growth(d, 1, cap))", "0.5 * (d - growth(d, 1, cap))"),
        ("2 * growth(d, 1, cap) - 2 * softplus(d) + TWO_LOG_TWO", "2 * growth(d, 1, cap) - 2 * softplus(d)"),
        ("0.5 * torch.tanh(d)", "torch.tanh(d)"),
    ],
    ("regularizers/entropy.py", f"regularizers/test_entropy.py {PENALTIES}"): [
        ("return -strength * latent_log_density", "return strength * latent_log_density"),
        ("+ log_deviation + 0.5", "- log_deviation + 0.5"),
        ("(-log_deviation).exp()", "log_deviation.exp()"),
        ("log_deviation.clamp(*LOG_DEVIATIONS)", "log_deviation"),
        ("context.network(context.fake.float())", "context.network(context.fake.float().detach())"),
    ],
    ("regularizers/penalties.py", f"regularizers/test_gradient_penalty.py {PENALTIES}"): [
        ("share * real + (1 - share) * fake", "share * fake + (1 - share) * real"),
        ("share * 0.5 * _deviation", "share * _deviation"),
        ("return x.std()", "return x.std(0)"),
        ("points[0].numel() ** 0.5", "points[0].numel()"),
        ("return (norm(squared) - center)", "return (squared - center)"),
        ("F.relu(norm(squared) - center)", "(norm(squared) - center)"),
        ("center=1.0)", "center=0.0)"),
        ("squared_input_gradient(discriminator, fake)", "squared_input_gradient(discriminator, real)"),
    ],
    ("regularizers/gradient_penalty.py", f"regularizers/test_gradient_penalty.py {PENALTIES}"): [
        ("if self.points.on_fakes else", "if not self.points.on_fakes else"),
        ("one_sided=self.one_sided", "one_sided=False"),
        ("if self.even else self.center", "if not self.even else self.center"),
        (".max() if self.largest", ".sum() if self.largest"),
    ],
    ("regularizers/protocol.py", f"regularizers/test_protocol.py regularizers/test_gradient_penalty.py {PENALTIES}"): [
        ("return strength * interval if", "return strength if"),
        ("counters.d_updates % interval", "(counters.d_updates + 1) % interval"),
    ],
    ("regularizers/lecam.py", f"regularizers/test_lecam.py {PENALTIES}"): [
        (
            "upcast(real) - fake_average, real_average - upcast(fake)",
            "upcast(real) - real_average, fake_average - upcast(fake)",
        ),
        ("self.decay * before + (1 - self.decay) * mean", "self.decay * mean + (1 - self.decay) * before"),
        ("upcast(logits.detach()).mean()", "upcast(logits).mean()"),
        ("d_updates >= self.start", "d_updates > self.start"),
    ],
    ("regularizers/consistency.py", f"regularizers/test_consistency.py {PENALTIES}"): [
        ("upcast(discriminator(moved))", "upcast(discriminator(moved)).detach()"),
        ("(upcast(logits) -", "(upcast(logits).detach() -"),
        ("coefficient * _moved_apart", "_moved_apart"),
    ],
    ("regularizers/latent_consistency.py", f"regularizers/test_consistency.py {PENALTIES}"): [
        ("return -strength * (context.fake - near)", "return strength * (context.fake - near)"),
        (".float().square().mean()", ".float().square().flatten(1).sum(1).mean()"),
        ("latents + self.noise * noise", "latents * (1 + self.noise * noise)"),
    ],
    ("regularizers/orthogonal.py", f"regularizers/test_orthogonal.py {PENALTIES}"): [
        ("products - torch.diag_embed(lengths)", "products"),
        ("square().sum() - lengths.square().sum())", "square().sum())"),
        ("movedim(1 if parameter in transposed else 0, 0)", "movedim(0, 0)"),
        ("parameter not in shared", "True"),
    ],
    ("regularizers/clipping.py", f"regularizers/test_clipping.py {PENALTIES}"): [
        ("_foreach_clamp_min_(parameters, -self.limit)", "_foreach_clamp_min_(parameters, -2 * self.limit)"),
    ],
    ("regularizers/sum.py", f"regularizers/test_sum.py {PENALTIES}"): [
        ("return sum(due[1:], due[0])", "return due[0]"),
        ("term.constrain(discriminator)", "break"),
    ],
    ("normalization.py", "test_normalization.py"): [
        ("(gradient_norm + logits.abs())", "gradient_norm"),
        ("(gradient_norm.square() + eps)", "(gradient_norm + eps)"),
        ("list(layers.items())[1:-1]", "list(layers.items())[1:]"),
    ],
    ("models/parts/spectral.py", "test_normalization.py"): [
        ("weight.movedim(self.axis, 0)", "weight"),
        ("if self.training and not self.held", "if self.training"),
        ("v @ matrix.T @ u.T", "v @ matrix.T @ self.u.T"),
        ("kept[1] != content", "False"),
    ],
    ("models/parts/freezing.py", "test_normalization.py models/test_grouped.py engine/test_engine.py"): [
        ("torch._foreach_copy_(buffers, kept)", "pass"),
        ("parameter.requires_grad_(True)", "pass"),
    ],
    ("models/parts/residual.py", "models/test_residual_networks.py models/test_biggan.py"): [
        ("F.relu(h).sum((2, 3))", "F.relu(h).mean((2, 3))"),
        ("x if self.first else F.relu(x)", "F.relu(x)"),
        ("+ self._up(self.shortcut(x))", "+ self._up(self.shortcut(F.relu(x)))"),
        ("hidden = outputs if wide or index == 0", "hidden = outputs if wide"),
        ("self.conv1(self._up(h))", "self._up(self.conv1(h))"),
    ],
    ("models/parts/conditional.py", "models/test_residual_networks.py models/test_biggan.py"): [
        ("(classes * features).sum(1)", "(classes * features).mean(1)"),
        ("normed + shift, normed", "shift, normed"),
    ],
    ("models/parts/attention.py", "models/test_biggan.py models/test_fastgan.py"): [
        (".softmax(dim=2)", ".softmax(dim=1)"),
        ("return x + self.scale", "return self.scale"),
        ("second, nn.Sigmoid())", "second)"),
    ],
    ("models/parts/fir.py", "models/test_ddgan.py models/test_r3gan.py"): [
        ("_kernel(4.0 if up else 1.0)", "_kernel(1.0)"),
        ("TAPS = (1.0, 3.0, 3.0, 1.0)", "TAPS = (1.0, 2.0, 2.0, 1.0)"),
    ],
    ("models/parts/times.py", "models/test_ddgan.py"): [
        ("/ (half - 1)", "/ half"),
    ],
    ("models/parts/batch_norm.py", "inference/test_drawing.py"): [
        ("axes, correction=0)", "axes, correction=1)"),
    ],
    ("models/parts/cfg.py", "models/test_cfg_networks.py"): [
        ("std=0.01", "std=0.02"),
        ("nn.init.uniform_(layer.weight)", "nn.init.ones_(layer.weight)"),
    ],
    ("models/mlp.py", "models/test_mlp.py contracts/test_model_contract.py"): [
        ("nn.LeakyReLU(0.2)", "nn.ReLU()"),
    ],
    ("models/dcgan.py", "models/test_dcgan.py"): [
        ("nn.Conv2d(inputs, 1, base, 1, 0)", "nn.Conv2d(inputs, 1, base, 1, 0, bias=False)"),
        ("latents + self.classes(", "latents * self.classes("),
        ("*([] if first else norm_layers(norm, outputs))", "*norm_layers(norm, outputs)"),
    ],
    ("optim/averaging.py", "optim/test_averaging.py"): [
        ("source, 1.0 - decay)", "source, decay)"),
        ("(num_real - since)", "num_real"),
        ("min(self.half_life, self.rampup", "max(self.half_life, self.rampup"),
        ('("running_mean", "running_var")', '("running_mean",)'),
    ],
    ("optim/beta_rules.py", "optim/test_conjugate_gradient.py independent/test_optimizers.py"): [
        ('_ratio(s["gg"], s["pp"])', '_ratio(s["pp"], s["gg"])'),
        ('_ratio(s["gy"], s["pp"])', '_ratio(s["gg"], s["pp"])'),
        ('_ratio(s["gg"], s["dy"])', '_ratio(s["gy"], s["dy"])'),
        ("mu) - correction", "mu) + correction"),
        ("_prp(s, beta_max, mu)).clamp(min=0.0)", "_prp(s, beta_max, mu))"),
        ("coeff * beta, 0.0)", "beta, 0.0)"),
    ],
    ("optim/conjugate_gradient.py", "optim/test_conjugate_gradient.py independent/test_optimizers.py"): [
        ('alpha=group["weight_decay"])', 'alpha=-group["weight_decay"])'),
        ('options["restart_tol"] ** 2', 'options["restart_tol"]'),
        ("torch._foreach_copy_(members.previous, members.stored)", "pass"),
        ("gradient = -gradient", "pass"),
        ("copy_(stored).neg_()", "copy_(stored)"),
    ],
    ("optim/lr_rules.py", "optim/test_lr_rules.py"): [
        ("1.0 + (self.final - 1.0) * _progress", "1.0 - self.final * _progress"),
        ("return ticks / self.start", "return (ticks + 1) / self.start"),
        ("(ticks + 1) ** -self.eta", "(ticks + 2) ** -self.eta"),
        ("ticks // self.every", "ticks / self.every"),
    ],
    ("optim/paced.py", "optim/test_paced.py"): [
        ("MEMORY * self.lengths[:2] + self.lengths[2:]", "self.lengths[:2] + self.lengths[2:]"),
        ("self.scale = _ratio(after, before)", "self.scale = _ratio(before, after)"),
        ("start.lerp(parameter, scale)", "parameter.lerp(start, scale)"),
    ],
    ("augment/probability.py", "augment/test_augmentation.py"): [
        ("(real_logits - boundary).sign()", "real_logits.sign()"),
        ("(count / self.speed)", "(1 / self.speed)"),
        ("(signs / count - self.target)", "(self.target - signs / count)"),
    ],
    ("augment/images.py", "augment"): [
        ("2 * size - 2 - folded)", "2 * size - 1 - folded)"),
        ("images.flip(3)", "images.flip(2)"),
        ("center[:, None] + size // 2", "center[:, None]"),
        ("/ 3**0.5", "/ 3"),
        ("(1 - (row - top - down).abs())", "(1 - (row - top - right).abs())"),
        ("return grey + factor * (images - grey)", "return factor * images"),
    ],
    ("augment/transforms.py", "augment"): [
        ("either = 1 - (1 - p) ** 0.5", "either = p"),
        ("_scale(stretched, 1 / stretched)", "_scale(stretched, stretched)"),
        ("uniform(images, random, -0.125, 0.125)", "uniform(images, random, -0.25, 0.25)"),
        ("images - 2 * flipped * images.mean", "images - flipped * images.mean"),
    ],
    ("augment/diffaugment.py", "augment"): [
        ("uniform(images, random, 0.5, 1.5)", "uniform(images, random, 0.0, 1.0)"),
        ("reflect=False", "reflect=True"),
    ],
    ("task/diffusion.py", "task/test_diffusion.py"): [
        ("later * before.sqrt() / (1 - after)", "later * after.sqrt() / (1 - after)"),
        ("_at(tables.betas, t + 1, clean)", "_at(tables.betas, t, clean)"),
        ("-0.5 * (self.beta_max", "-(self.beta_max"),
        ("(later * (1 - before) / (1 - after)).sqrt()", "later.sqrt()"),
    ],
    ("task/denoising.py", "task/test_denoising.py"): [
        (
            "from_clean * generator(latents, t, noisier) + from_noisier * noisier",
            "from_noisier * generator(latents, t, noisier) + from_clean * noisier",
        ),
        ("return t, change(noisier)", "return t, noisier"),
        ("range(self.steps - 1, 0, -1)", "range(self.steps - 2, -1, -1)"),
        ("torch.randint(self.steps, (len(clean),)", "torch.randint(self.steps, (1,)"),
    ],
    ("task/direct.py", "engine/test_engine.py"): [
        ("if real is not None and self.paired", "if real is not None"),
    ],
}
