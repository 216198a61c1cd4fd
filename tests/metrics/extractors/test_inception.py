"""Only the one file counts: what is accepted, refused, converted and recorded."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from torch.testing import assert_close

from ganneal.metrics.extractors import Inception, InceptionTorchvision
from ganneal.metrics.extractors import inception_file as files
from ganneal.metrics.extractors.files import load_network
from ganneal.metrics.extractors.inception_network import InceptionNetwork
from ganneal.metrics.resize import INCEPTION_SCALINGS, RESIZE_RULES, Resize, network_input

IMAGES = torch.arange(2 * 3 * 32 * 32).mul(7).remainder(256).reshape(2, 3, 32, 32).byte()


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not this machine's cache, but one of these tests: converting the weights takes a second."""
    monkeypatch.setenv("GANNEAL_CACHE", str(shared_cache))


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def saved(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


@lru_cache
def digest(path: Path) -> str:
    """SHA-256 of a file that is written once."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def accept(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Lets a file of random weights stand for the public one."""

    def accepted(path: Path) -> str:
        sha256 = digest(path)
        substitute = replace(files.FID_FILE, size=path.stat().st_size, sha256=(sha256,))
        monkeypatch.setattr("ganneal.metrics.extractors.inception.FID_FILE", substitute)
        monkeypatch.setattr(
            "ganneal.metrics.extractors.inception.TORCHVISION_FILE",
            replace(substitute, size=None, sha256=(sha256[:8],)),
        )
        return sha256

    return accepted


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, inception_state: dict[str, Tensor]) -> Path:
    counts = {
        name.replace("weight", "num_batches_tracked"): torch.tensor(0) for name in inception_state if "bn.w" in name
    }
    return saved(inception_state | counts, tmp_path_factory.mktemp("inception") / "weights.pth")


def test_the_file_is_the_one_the_name_fid_is_tied_to():
    assert files.FID_FILE.sha256[0][:8] in files.FID_FILE.name and files.FID_FILE.name in str(files.FID_FILE.url)
    assert len(files.FID_FILE.sha256) == 1 and len(files.FID_FILE.sha256[0]) == 64


def test_without_the_file_one_line_says_how_to_get_fid():
    with pytest.raises(ValueError, match="for FID.*`ganneal fetch inception`.*FD-<name>") as error:
        Inception().build((3, 32, 32))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="no file .*missing.pth; pt_inception-2015-12-05-6726825d.pth is needed"
    ):
        Inception(str(tmp_path / "missing.pth")).build((3, 32, 32))


def test_a_file_of_another_size_is_refused(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="must have 95628359 bytes, got 100"):
        Inception(str(tmp_path / "weights.pth")).build((3, 32, 32))


def test_a_file_of_the_right_size_with_other_bytes_is_refused_before_it_is_read(weights, accept, monkeypatch):
    accept(weights)
    damaged = weights.with_name("damaged.pth")
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("an unknown file was read"))
    with pytest.raises(ValueError, match="its SHA-256 must begin with [0-9a-f]{64}, got [0-9a-f]{64}"):
        Inception(str(damaged)).build((3, 32, 32))


def test_the_random_weights_of_this_test_are_no_fid_weights(weights):
    with pytest.raises(ValueError, match="is not pt_inception-2015-12-05-6726825d.pth"):
        Inception(str(weights)).build((3, 32, 32))


@pytest.mark.runs
def test_features_are_those_of_the_network_on_the_resized_image(weights, accept, inception_state):
    sha256 = accept(weights)
    extractor = Inception(str(weights)).build((3, 32, 32))
    assert (extractor.name, extractor.layer, extractor.sha256) == ("inception", "2048", sha256)
    assert (extractor.resize, extractor.input_scaling) == ("tf-legacy", "(u - 128) / 128")
    features, logits = extractor(IMAGES)
    assert logits is not None and features.shape == (2, 2048) and logits.shape == (2, 1008)
    network = load_network(InceptionNetwork, inception_state, "random weights").eval()
    with torch.inference_mode():
        inputs = network_input(IMAGES, Resize("tf-legacy", 299), INCEPTION_SCALINGS["tf-legacy"], 3)
        expected = network(inputs)
    assert_close(features, expected[0], atol=1e-4, rtol=1e-4)
    assert_close(logits, expected[1], atol=1e-4, rtol=1e-4)


@pytest.mark.runs
def test_the_resize_rules_lead_to_other_features_when_enlarging(weights, accept):
    accept(weights)
    seen = {rule: Inception(str(weights), resize=rule, layer="64").build((3, 32, 32)) for rule in RESIZE_RULES}  # pyright: ignore[reportArgumentType]
    features = {rule: extractor(IMAGES).features for rule, extractor in seen.items()}
    assert {rule: extractor.resize for rule, extractor in seen.items()} == {rule: rule for rule in RESIZE_RULES}
    # bilinear with and without antialiasing agree when enlarging
    assert_close(features["friendly"], features["pytorch-fid"], atol=1e-4, rtol=0)
    for rule in ("tf-legacy", "clean"):
        assert (features[rule] - features["pytorch-fid"]).abs().max() > 5e-3


def test_biased_logits_are_on_record(weights, accept, inception_state):
    accept(weights)
    extractor = Inception(str(weights), biased_logits=True).build((3, 80, 80))
    assert extractor.layer == "2048, biased logits"


@pytest.mark.runs
def test_the_file_is_converted_once_and_read_from_the_cache_afterwards(weights, accept, fresh_cache, monkeypatch):
    sha256 = accept(weights)
    first = Inception(str(weights), layer="64").build((3, 32, 32))(IMAGES).features
    converted = fresh_cache / "inception" / f"{sha256}.safetensors"
    with safe_open(converted, framework="pt") as file:
        assert file.metadata()["source"] == sha256
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("the file was read again"))
    assert torch.equal(Inception(str(weights), layer="64").build((3, 32, 32))(IMAGES).features, first)


def test_a_damaged_conversion_is_made_again(accept, fresh_cache, tmp_path):
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}
    path = saved(state, tmp_path / "weights.pth")
    expected = replace(files.FID_FILE, size=path.stat().st_size, sha256=(accept(path),))
    read, sha256 = files.read_weight_file(path, expected)
    converted = fresh_cache / "inception" / f"{sha256}.safetensors"
    whole = converted.read_bytes()
    for position in range(len(whole)):
        converted.write_bytes(whole[:position] + bytes([whole[position] ^ 64]) + whole[position + 1 :])
        again, _ = files.read_weight_file(path, expected)
        assert again.keys() == read.keys() and all(torch.equal(again[name], read[name]) for name in read), position
    converted.write_bytes(whole[:-3])
    files.read_weight_file(path, expected)
    assert files._read_converted(converted) is not None


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(weights, accept, tmp_path, monkeypatch):
    accept(weights)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "file"))
    assert Inception(str(weights), layer="64").build((3, 32, 32)).dimensions == 64


def test_a_fetched_file_is_found_without_a_path(weights, accept, fresh_cache):
    accept(weights)
    files.fetched_inception().parent.mkdir(parents=True)
    files.fetched_inception().write_bytes(weights.read_bytes())
    assert Inception(layer="64").build((3, 32, 32)).dimensions == 64


@pytest.mark.runs
@pytest.mark.parametrize("change", ["fewer", "more"])
def test_missing_and_unknown_tensors_are_refused(inception_state, accept, tmp_path, change):
    state = dict(inception_state)
    if change == "fewer":
        del state["Mixed_7c.branch1x1.conv.weight"]
    else:
        state["AuxLogits.fc.bias"] = torch.zeros(3)
    path = saved(state, tmp_path / "weights.pth")
    accept(path)
    with pytest.raises(ValueError, match="(lacks|has unknown) 1 tensors, such as '(Mixed_7c|AuxLogits)"):
        Inception(str(path)).build((3, 32, 32))


class Surprise:
    """Something that a pickle would have to execute code for."""

    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("content", [Surprise(), [1, 2], {"a": 1}])
def test_a_pickle_of_anything_but_tensors_is_refused_and_not_executed(accept, tmp_path, capsys, content):
    path = saved(content, tmp_path / "weights.pth")
    accept(path)
    with pytest.raises(ValueError, match="cannot be read as a state dict|must hold a state dict"):
        Inception(str(path)).build((3, 32, 32))
    assert "executed" not in capsys.readouterr().out


def test_torchvisions_file_is_known_by_the_beginning_of_its_hash(weights):
    with pytest.raises(ValueError, match="its SHA-256 must begin with 0cc3c7bd or 1a9a5a14, got"):
        InceptionTorchvision(str(weights)).build((3, 32, 32))
    with pytest.raises(ValueError, match="path must name inception_v3_google-0cc3c7bd.pth for IS-torchvision"):
        InceptionTorchvision().build((3, 32, 32))


@pytest.mark.runs
def test_torchvisions_auxiliary_head_is_left_out(inception_state, accept, tmp_path):
    state = inception_state | {name: inception_state[name][:1000] for name in ("fc.weight", "fc.bias")}
    path = saved(state | {"AuxLogits.fc.weight": torch.zeros(1000, 768)}, tmp_path / "torchvision.pth")
    accept(path)
    extractor = InceptionTorchvision(str(path)).build((3, 32, 32))
    features, logits = extractor(IMAGES)
    assert logits is not None and logits.shape == (2, 1000) and features.shape == (2, 2048)
    assert (extractor.name, extractor.resize) == ("inception-torchvision", "pytorch-fid")
    assert extractor.input_scaling == "(u - 127.5) / 127.5"
    assert InceptionTorchvision(str(path), resize="none").build((3, 75, 75)).resize == "none"


def test_small_images_without_resizing_are_refused():
    with pytest.raises(ValueError, match=r"at least 75x75 without resizing, got \(3, 32, 32\); use resize="):
        InceptionTorchvision(resize="none").build((3, 32, 32))


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("options", [{"resize": "bicubic"}, {"layer": "1024"}])
def test_unknown_rules_and_layers_are_refused(options):
    with pytest.raises(ValueError, match="must be one of .*, got"):
        Inception(**options)
    if "resize" in options:
        with pytest.raises(ValueError, match="resize must be one of pytorch-fid, none, got 'bicubic'"):
            InceptionTorchvision(**options)
