"""What is free: the machine's word, and that of each control group around this process."""

from npuc.machine.free_memory import free_memory, own_data


def machine(folder, group, files=()):
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/meminfo").write_text("MemTotal: 4096 kB\nMemAvailable:    2048 kB\n")
    (folder / "proc/self/status").write_text("VmData:\t 12 kB\n")
    (folder / "proc/self/cgroup").write_text(group)
    for name, value in dict(files).items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return free_memory(folder / "proc", folder / "groups")


def test_the_machine(tmp_path):
    assert machine(tmp_path, "0::/\n") == 2048 << 10
    assert own_data(tmp_path / "proc") == 12 << 10


def test_a_group_of_version_2_and_those_around_it(tmp_path):
    outer = {"a/memory.max": 1000, "a/memory.current": 900}
    assert machine(tmp_path, "0::/a/b\n", outer | {"a/b/memory.max": "max", "a/b/memory.current": 5}) == 100


def test_a_group_of_version_1(tmp_path):
    files = {"memory/c/memory.limit_in_bytes": 5000, "memory/c/memory.usage_in_bytes": 1000}
    assert machine(tmp_path, "4:cpu:/x\n3:memory:/c\n", files) == 4000


def test_a_group_that_is_over_its_limit_has_nothing_left(tmp_path):
    assert machine(tmp_path, "0::/\n", {"memory.max": 10, "memory.current": 20}) == 0
