"""Memory is what is left of a container's bound, or of the machine."""

import psutil
import pytest

from sleepcycle.model.device_memory import host_memory

MB = 10**6


def container(folder, **said):
    """Write what a container says of its memory; return the folder."""
    for name, text in said.items():
        (folder / f"memory.{name}").write_text(f"{text}\n")
    return folder


def test_what_a_container_uses_already_is_not_free(tmp_path):
    place = container(tmp_path, max=9 * MB, current=5 * MB, stat="anon 5000000")

    assert host_memory(place) == (4 * MB, 9 * MB)


def test_files_that_it_has_read_leave_its_memory_free(tmp_path):
    stat = f"anon {2 * MB}\nactive_file {MB}\ninactive_file {2 * MB}"
    place = container(tmp_path, max=9 * MB, current=5 * MB, stat=stat)

    assert host_memory(place) == (7 * MB, 9 * MB)


def test_one_that_uses_more_than_its_bound_has_none(tmp_path):
    place = container(tmp_path, max=4 * MB, current=5 * MB, stat="anon 5000000")

    assert host_memory(place) == (0, 4 * MB)


@pytest.mark.parametrize("said", [{"max": "max", "current": 5, "stat": ""}, {}])
def test_without_a_bound_all_of_the_machine_counts(tmp_path, said):
    free, total = host_memory(container(tmp_path, **said))

    assert 0 < free <= total == psutil.virtual_memory().total
