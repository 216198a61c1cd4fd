"""Wrong edits of the data sources, of decoding and of the order of training."""

from tests.edits import Edits

EDITS: Edits = {
    ("data/sampler.py", "data/test_sampler.py"): [
        ("spawn_key=(epoch,)", "spawn_key=(0,)"),
        ("position += rank * count", "position += rank"),
        ("samples = samples.float().div_(127.5)", "samples = samples.float().div_(128)"),
        ("self._moved(self.labels[index])", "self._moved(self.labels[: len(index)])"),
        ("indices.append(order[part])", "indices.append(torch.arange(len(order))[part])"),
        ("rows = order[labels == wanted]", "rows = np.flatnonzero(labels == wanted)"),
    ],
    ("data/moves.py", "data/test_sampler.py"): [
        ("_stream(seed, epoch, SHIFTED)", "_stream(seed, 0, SHIFTED)"),
        ("mirrored = after.random(count) < 0.5", "mirrored = np.ones(count, bool)"),
        ("rows.flip(-2)", "rows.flip(-1)"),
        ("size - 1 - (size - 1 - places).abs()", "places.clamp(max=size - 1)"),
        (
            "integers(-most, most, (count, 2), dtype=np.int16, endpoint=True)",
            "integers(-most, most, (count, 2), dtype=np.int16)",
        ),
    ],
    ("data/sources/mnist.py", "data/sources/test_files.py data/sources/test_originals.py"): [
        ('f">{dimensions}I"', 'f"<{dimensions}I"'),
        ("offset=header", "offset=header - 1, count=prod(shape)"),
        ("[100, 10, 1]", "[1, 10, 100]"),
        ('{"images": 3, "labels": 1}', '{"images": 3, "labels": 2}'),
        ("[data.labels][triples]", "[data.labels][triples[:, ::-1]]"),
    ],
    ("data/sources/cifar.py", "data/sources/test_files.py data/sources/test_originals.py"): [
        ('["coarse", "fine"].index', '["fine", "coarse"].index'),
        (
            "records[:, num_labels:].reshape(-1, *SHAPE)",
            "records[:, num_labels:].reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)",
        ),
        ("for index in range(1, 6)]", "for index in range(1, 5)]"),
        ("images.reshape(-1, *SHAPE), np.array", "images.reshape(-1, *SHAPE).swapaxes(2, 3), np.array"),
    ],
    ("data/sources/imagenet.py", "data/sources/test_imagenet.py"): [
        ('record["label"] = labels - 1', 'record["label"] = labels'),
        ("member.read((stop - start) * width)", "member.read((stop - start) * width)[::-1]"),
    ],
    ("data/sources/celeba.py", "data/sources/test_celeba.py"): [
        ("int(values[_stem(name)] > 0)", "int(values[_stem(name)] < 0)"),
        ('SPLITS.index(split or "train")', "0"),
        ("position = 1 + _position", "position = _position"),
    ],
    ("data/sources/toys.py", "data/sources/test_toys.py"): [
        ("2 * pi / self.modes", "pi / self.modes"),
        ("(2 * self.std**2), dim=1) - normaliser", "self.std**2, dim=1) - normaliser"),
        ("self.std * noise", "self.std**2 * noise"),
        ("(self.side - 1) / 2) * self.spacing", "self.side / 2) * self.spacing"),
        (".sum(1) / self.std**2", ".sum(1) / self.std"),
    ],
    ("data/sources/digits.py", "data/sources/test_digits.py"): [
        ("(255 / 16)", "(256 / 17)"),
    ],
    (
        "data/sources/arrays.py",
        "data/sources/test_files.py data/sources/test_originals.py data/decode/test_levels.py",
    ): [
        ("images.transpose(0, 3, 1, 2)", "images.transpose(0, 3, 2, 1)"),
        ("images.shape[2] == images.shape[3])", "images.shape[2] != images.shape[3])"),
        (
            "eight_bits(images[start : start + SCALED_TOGETHER], levels)",
            "eight_bits(images[: SCALED_TOGETHER], levels)",
        ),
        ("float(images.max())", "float(images[:SCALED_TOGETHER].max())"),
    ],
    (
        "data/sources/archive.py",
        "data/decode/test_sets.py data/sources/test_files.py data/decode/test_labels.py data/test_identity.py",
    ): [
        ("for name in sorted(entries)", "for name in entries"),
    ],
    ("data/sources/folder.py", "data/decode/test_sets.py data/decode/test_class_folders.py data/test_identity.py"): [
        ("names = sorted(found.images)", "names = sorted(found.images, reverse=True)"),
    ],
    ("data/sources/parquet.py", "data/sources/test_parquet.py"): [
        (
            "for number, file in enumerate(files):\n        with",
            "for number, file in enumerate(files[::-1]):\n        with",
        ),
        (
            "values += opened.read(columns=[labels]).column(0).to_pylist()",
            "values = opened.read(columns=[labels]).column(0).to_pylist() * len(files)",
        ),
        ("row_group(group, columns", "row_group(0, columns"),
    ],
    ("data/decode/images.py", "data/decode data/sources/test_files.py"): [
        ("astype(np.int64) >> 8)", "astype(np.int64) // 257)"),
        ("share.clip(0, 1)).round()", "share.clip(0, 1))"),
        ("(255, 255, 255, 255))", "(0, 0, 0, 255))"),
        (
            ".reshape(height, width, format.channels).transpose(2, 0, 1)",
            ".reshape(height, width, format.channels).transpose(2, 1, 0)",
        ),
        ("ImageOps.exif_transpose(image, in_place=True)", "pass"),
        ("image.resize(size, Image.Resampling.LANCZOS)", "image.resize(size, Image.Resampling.NEAREST)"),
        ("ImageOps.fit(image, size, Image.Resampling.LANCZOS)", "image.resize(size, Image.Resampling.LANCZOS)"),
    ],
    ("data/decode/labels.py", "data/decode/test_labels.py data/decode/test_class_folders.py"): [
        ("given.argmax(1)", "given.argmin(1)"),
        ("tuple(sorted(set(words.tolist())))", "tuple(dict.fromkeys(words.tolist()))"),
        ("ClassLabels(labels.astype(np.int64), len(found), named)", "ClassLabels(numbers, int(found[-1]) + 1, named)"),
        ("given[given != np.floor(given)]", "given[given != given]"),
    ],
    ("data/decode/class_folders.py", "data/decode data/sources/test_files.py"): [
        ('own[name.partition("/")[0]]', 'own[name.split("/")[-2]]'),
        ("{*tops, *beside}})", "{*tops}})"),
        ("(path for path in (prefix + name, name,", "(path for path in (name,"),
    ],
    ("data/decode/dataset_json.py", "data/decode data/sources/test_files.py data/tools/test_inspection.py"): [
        ("if name in listed and listed[name] != label:", "if False:"),
        ("zip(names, labels, strict=True)]", "zip(names, sorted(labels), strict=True)]"),
    ],
    ("data/decode/decoding.py", "data/decode/test_sets.py data/decode/test_damage.py"): [
        ("min(start + DECODED_TOGETHER, count)", "min(start + DECODED_TOGETHER, count - 1)"),
    ],
    ("data/decode/npy.py", "data/sources/test_files.py data/decode/test_hostile.py"): [
        (
            "{2: np.lib.format.read_array_header_1_0, 4: np.lib.format.read_array_header_2_0}",
            "{2: np.lib.format.read_array_header_1_0, 4: np.lib.format.read_array_header_1_0}",
        ),
    ],
}
