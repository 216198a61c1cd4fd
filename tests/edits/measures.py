"""Wrong edits of the metrics and of what they are measured with."""

from tests.edits import Edits

EDITS: Edits = {
    ("metrics/measures.py", "metrics/test_measures.py"): [
        ("np.sort(np.random.default_rng(seed).permutation(len(side.features))[:most])", "np.arange(most)"),
        ("order = np.random.default_rng(0).permutation(len(features))", "order = np.arange(len(features))"),
        ("for side in (fake, real))", "for side in (real, fake))"),
        (
            "sides = [_at_most(side, self.most, self.seed).features for side in (real, fake)]",
            "sides = [side.features for side in (real, fake)]",
        ),
        ("splits=self.splits, seed=self.seed", "splits=self.splits, seed=None"),
        ("k=self.k, ball=self.ball)\n        return", "k=self.k)\n        return"),
    ],
    ("metrics/frechet.py", "metrics/test_frechet.py metrics/test_extrapolated.py independent/test_metrics.py"): [
        ("- 2 * _trace_of_root", "- _trace_of_root"),
        ("(real.mean - fake.mean).square().sum()", "(real.mean - fake.mean).abs().sum()"),
        ("np.polyfit(1 / np.array(sizes)", "np.polyfit(np.array(sizes)"),
        ("generator.permutation(m)[:size]", "np.arange(m)[:size]"),
        ("values[kept].sqrt()", "values[kept]"),
        ("slope, value = np.polyfit", "value, slope = np.polyfit"),
    ],
    ("metrics/moments.py", "metrics/test_moments.py independent/test_metrics.py"): [
        ("(self.n * other.n / n)", "(other.n / n)"),
        ("(2 * (self.n - 1))", "(2 * self.n)"),
        ("shift * (other.n / n), scatter", "shift / 2, scatter"),
    ],
    ("metrics/kernel.py", "metrics/test_kernel.py independent/test_metrics.py"): [
        ("rows = sums / (n - 1)", "rows = sums / n"),
        ("return base * base * base", "return base * base"),
        ("tile.fill_diagonal_(0)", "pass"),
        ("generator.choice(len(rows), size, replace=False)", "np.arange(size)"),
        ("max(first_order - second_order, second_order, 0.0)", "max(first_order, 0.0)"),
        ("4 * float(a.var() / n", "2 * float(a.var() / n"),
    ],
    ("metrics/neighbours.py", "metrics/test_neighbours.py independent/test_metrics.py"): [
        ("for i in range(1, k + 1))", "for i in range(k))"),
        ("ball_counts(x, y, _radii(y, k, block)", "ball_counts(x, y, _radii(x, k, block)"),
        ("/ (k * len(y))", "/ len(y)"),
        ("exclude_self=True", "exclude_self=False"),
        ("(of_fake > 0).double().mean()), float((of_real > 0)", "(of_real > 0).double().mean()), float((of_fake > 0)"),
    ],
    ("metrics/inception_score.py", "metrics/test_inception_score.py independent/test_metrics.py"): [
        ("(i + 1) * n // splits", "(i + 1) * (n // splits)"),
        ("random.default_rng(seed).permutation(n)", "arange(n)"),
        ("probabilities.mean(dim=0)", "probabilities.median(dim=0).values"),
    ],
    ("metrics/memorisation.py", "metrics/test_memorisation.py metrics/test_copying.py independent/test_metrics.py"): [
        ("distances > spacing[nearest]", "distances < spacing[nearest]"),
        ("weights=real_counts[kept]", "weights=fake_counts[kept]"),
        ("(ties**3 - ties).sum()", "(ties**2 - ties).sum()"),
        ("distinct_rows(rows)\n    spacing", "(rows, 0)\n    spacing"),
        ("np.quantile(real_nearest, 0.01)", "np.quantile(fake_nearest, 0.01)"),
    ],
    ("metrics/mixture.py", "metrics/test_mixture.py"): [
        ("distances <= _HIGH_QUALITY", "distances <= _HIGH_QUALITY / 2"),
        ("shares / weights", "weights / shares"),
        ("volumes - 0.5 * self.means.shape[1] * log(2 * pi)", "volumes - 0.5 * log(2 * pi)"),
        ("(modes - 1) / (2 * good)", "modes / (2 * good)"),
        ("std**2 * torch.eye", "std * torch.eye"),
    ],
    ("metrics/per_class.py", "metrics/test_per_class.py"): [
        ("worst = max(distances", "worst = min(distances"),
        ("torch.cat([x_labels, y_labels]).unique()", "y_labels.unique()"),
    ],
    ("metrics/stacked.py", "metrics/test_stacked.py"): [
        ("(1 - (1 - p) ** n)", "(1 - p**n)"),
        ("(q[seen] / p[seen]).log()", "(p[seen] / q[seen]).log()"),
    ],
    ("metrics/wasserstein.py", "metrics/test_wasserstein.py"): [
        ("rows / rows.norm(dim=1, keepdim=True)", "rows / rows.norm()"),
        ("differences.abs()", "differences.square()"),
    ],
    ("metrics/divergence_estimates.py", "metrics/test_divergence_estimates.py"): [
        (
            "target_root.diagonal().log() - root.diagonal().log()",
            "root.diagonal().log() - target_root.diagonal().log()",
        ),
        ("log_prior(given).cpu().double() - log_volumes", "log_prior(given).cpu().double() + log_volumes"),
    ],
    ("metrics/binned.py", "metrics/test_binned.py"): [
        ("(counts + 0.5) / (n + 0.5 * cells)", "(counts + 0.5) / (n + cells)"),
        ("edge, right=True)", "edge, right=False)"),
        ("_kl(p, log_p, middle)) / 2", "_kl(p, log_p, middle))"),
    ],
    ("metrics/intervals.py", "metrics/test_intervals.py"): [
        ("stdtrit(n - 1, 0.975)", "stdtrit(n, 0.975)"),
        ("2.0 ** (1 - pairs)", "2.0**-pairs"),
        ("values.std(ddof=1)) / sqrt(n)", "values.std(ddof=1)) / n"),
        ("last / best if better", "best / last if better"),
    ],
    ("metrics/references.py", "metrics/test_references.py"): [
        ("random.default_rng(seed).permutation(len(dataset))[:count]", "arange(count)"),
    ],
    ("metrics/resize.py", "metrics/test_resize.py"): [
        ("* (length / size)", "* ((length - 1) / size)"),
        ('mode="bicubic", antialias=True', 'mode="bicubic", antialias=False'),
        ('"tf-legacy": Scaling((128,), (128,))', '"tf-legacy": TO_SIGNED'),
    ],
}
