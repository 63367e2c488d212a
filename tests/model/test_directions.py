"""The base's directions: read from its weights, remembered, and healed."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from sleepcycle.model.adapters import activate, attach
from sleepcycle.model.directions import MEMORY, changed_directions, own_directions
from sleepcycle.numerics.lowrank import LowRank
from tests.model.conftest import dense


def weight_of(base, path):
    """Return a layer's weight as it computes: what it makes of each unit vector."""
    layer = base.model.get_submodule(path)
    size = base.targets.shapes[path][1]
    with torch.no_grad():
        return (layer(torch.eye(size)) - layer(torch.zeros(1, size))).T


def same(found, expected):
    """Say whether directions are equal to the last bit, layer by layer."""
    return found.keys() == expected.keys() and all(
        torch.equal(found[path], expected[path]) for path in expected
    )


class TestOwn:
    def test_they_are_those_of_the_dense_svd(self, tiny, load):
        """
        Of every layer and kind of model. All 32 are asked for, so that there is no gap
        between what is found and what is not: then a random weight's are exact but
        where two are nearly equally strong, so what is held is the space they span.
        """
        base = load(tiny)

        found = own_directions(base, 32)

        for path in base.targets.shapes:
            left = torch.linalg.svd(weight_of(base, path), full_matrices=False).U
            space = found[path] @ found[path].T
            torch.testing.assert_close(space, left @ left.T, rtol=0, atol=1e-4)
        assert found.keys() == base.targets.shapes.keys()

    def test_they_are_few_and_orthonormal(self, llama):
        found = own_directions(llama, 5)

        for left in found.values():
            torch.testing.assert_close(left.T @ left, torch.eye(5), rtol=0, atol=1e-5)

    def test_what_is_attached_is_not_looked_at(self, llama, random_changes):
        before = own_directions(llama, 5)
        (llama.cache / MEMORY).unlink()
        attach(llama, "live", random_changes(llama.targets, size=9))
        activate(llama, ["live"])

        assert same(own_directions(llama, 5), before)


class TestMemory:
    def test_what_is_remembered_is_what_was_computed(self, llama):
        computed = own_directions(llama, 5)
        written = (llama.cache / MEMORY).stat()

        assert same(own_directions(llama, 5), computed)
        assert (llama.cache / MEMORY).stat() == written  # read, not written again

    def test_it_is_read_and_not_computed(self, llama):
        """
        With other weights under the same identity only the file can still know.
        """
        computed = own_directions(llama, 5)
        for path in llama.targets.shapes:
            llama.model.get_submodule(path).weight.data.zero_()

        assert same(own_directions(llama, 5), computed)

    def test_nothing_else_is_left_in_the_cache(self, llama):
        own_directions(llama, 5)

        assert {f.name for f in llama.cache.iterdir()} == {"base.json", MEMORY}

    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param(lambda data: b"", id="empty"),
            pytest.param(lambda data: data[:-7], id="cut"),
            pytest.param(lambda data: b"no tensors", id="something else"),
            pytest.param(
                lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], id="one bit"
            ),
        ],
    )
    def test_a_damaged_file_is_healed(self, llama, damage):
        computed = own_directions(llama, 5)
        file = llama.cache / MEMORY
        whole = file.read_bytes()
        file.write_bytes(damage(whole))

        assert same(own_directions(llama, 5), computed)
        assert file.read_bytes() == whole

    def test_a_file_without_its_digest_is_not_believed(self, llama):
        computed = own_directions(llama, 5)
        file = llama.cache / MEMORY
        save_file({p: torch.zeros_like(t) for p, t in load_file(file).items()}, file)

        assert same(own_directions(llama, 5), computed)

    def test_another_count_is_computed_anew(self, llama):
        own_directions(llama, 5)

        found = own_directions(llama, 3)

        assert {left.shape[1] for left in found.values()} == {3}

    def test_other_layers_are_computed_anew(self, tiny_folder, load):
        own_directions(load(tiny_folder("llama")), 5)
        few = load(tiny_folder("llama"), target_modules=["q_proj"])

        assert own_directions(few, 5).keys() == few.targets.shapes.keys()

    def test_another_base_is_computed_anew(self, tiny_folder, load):
        """
        Of the same shapes and names, and in the same cache.
        """
        llama, mistral = load(tiny_folder("llama")), load(tiny_folder("mistral"))
        first = own_directions(llama, 5)
        assert llama.targets.shapes == mistral.targets.shapes

        mistral.model.load_state_dict(
            {n: w.flip(0) for n, w in llama.model.state_dict().items()}
        )
        second = own_directions(mistral, 5)

        assert not any(torch.allclose(first[path], second[path]) for path in first)


class TestChanged:
    def test_they_are_read_from_base_and_change(self, tiny, load, random_changes):
        base = load(tiny)
        changes = random_changes(base.targets, width=1, size=2)

        for path, found in changed_directions(base, changes, 4):
            whole = weight_of(base, path) + dense(changes[path])
            expected = found.sigma[:, None] * found.right.T
            torch.testing.assert_close(
                found.left.T @ whole, expected, rtol=0, atol=1e-4
            )
            strongest = torch.linalg.svdvals(whole)[0]
            torch.testing.assert_close(found.sigma[0], strongest, rtol=1e-3, atol=0)

    def test_a_change_that_writes_nothing_leaves_the_bases_own(self, llama):
        own = own_directions(llama, 5)
        zero = {
            path: LowRank.zero(shape) for path, shape in llama.targets.shapes.items()
        }

        found = dict(changed_directions(llama, zero, 5))

        assert same({path: top.left for path, top in found.items()}, own)

    def test_other_layers_are_left_out(self, llama, random_changes):
        changes = random_changes(llama.targets)
        path = min(changes)

        found = dict(changed_directions(llama, {path: changes[path]}, 2))

        assert list(found) == [path]
