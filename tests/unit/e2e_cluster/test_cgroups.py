"""Cgroups of a cluster: named apart, found in every hierarchy, removed with all below."""

from __future__ import annotations

from pathlib import Path

from e2e.cluster.cgroups import Hierarchy, cgroup_name, create_cgroups, hierarchies, remove_cgroups

MOUNTS = """proc /proc proc rw 0 0
tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
"""


def test_names_are_readable_and_differ_between_caches() -> None:
    one, two = cgroup_name("demo", Path("/a/run")), cgroup_name("demo", Path("/b/run"))
    assert one.startswith("modelrollout-demo-")
    assert one != two
    assert one == cgroup_name("demo", Path("/a/run"))


def test_every_hierarchy_is_found_once() -> None:
    root = Path("/sys/fs/cgroup")
    assert hierarchies(MOUNTS) == [
        Hierarchy(root / "cpuset", 1),
        Hierarchy(root / "memory", 1),
        Hierarchy(root / "unified", 2),
    ]


def test_a_new_v1_group_may_use_the_processors_of_its_parent(tmp_path: Path) -> None:
    cpuset, unified = tmp_path / "cpuset", tmp_path / "unified"
    cpuset.mkdir()
    unified.mkdir()
    (cpuset / "cpuset.cpus").write_text("0-1\n")
    (cpuset / "cpuset.mems").write_text("0\n")
    create_cgroups("group", [Hierarchy(cpuset, 1), Hierarchy(unified, 2)])
    assert (cpuset / "group/cpuset.cpus").read_text() == "0-1\n"
    assert (cpuset / "group/cpuset.mems").read_text() == "0\n"
    assert not (unified / "group").exists()


def test_v2_alone_hands_its_controllers_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    create_cgroups("group", [Hierarchy(tmp_path, 2)])
    assert (tmp_path / "group").is_dir()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_removal_goes_down_first_and_spares_neighbours(tmp_path: Path) -> None:
    (tmp_path / "group/kubepods/pod1/container").mkdir(parents=True)
    (tmp_path / "group-2/kubepods").mkdir(parents=True)
    tree = Hierarchy(tmp_path, 1)
    remove_cgroups("group", [tree])
    assert [path.name for path in tmp_path.iterdir()] == ["group-2"]
    remove_cgroups("group", [tree])
