"""The texts that a node finds in /var/benito/config."""

import subprocess
import time
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from nodeplans import node_plan, pnode_plan

from benito.nodesettings import Limits
from benito_domains.config import (
    SECTOR_BYTES,
    WAITING_SECTOR,
    NodeKeys,
    config_files,
    environment_text,
    inner_argv,
    interfaces_text,
    link_local_address,
    released_sector,
    released_text,
)

KEYS = NodeKeys(host_key=b"secret", authorized_keys="ssh-ed25519 AAAA me\n")
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def shell(script: str, *words: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", script, "sh", *words], capture_output=True, check=True, env={})
    return done.stdout.decode()


def test_an_interface_is_a_line_of_mac_name_and_address() -> None:
    assert interfaces_text(node_plan()) == (
        "02:be:00:00:00:01 eth0 10.0.0.1/24\n02:be:00:00:00:02 eth1 10.0.1.1/24\n"
        "02:be:00:00:00:03 ctl0 fe80::be:ff:fe00:3/64\n"
    )


def test_an_mtu_that_is_not_ethernets_own_stands_last() -> None:
    interfaces = tuple(replace(interface, mtu_bytes=1450) for interface in node_plan().interfaces)
    assert interfaces_text(node_plan(interfaces=interfaces)) == (
        "02:be:00:00:00:01 eth0 10.0.0.1/24 1450\n02:be:00:00:00:02 eth1 10.0.1.1/24 1450\n"
        "02:be:00:00:00:03 ctl0 fe80::be:ff:fe00:3/64\n"
    )


def test_a_node_without_control_has_no_line_for_it() -> None:
    assert "ctl0" not in interfaces_text(node_plan(control=None))


def test_hosts_are_the_plans_word_for_word() -> None:
    plan = pnode_plan(node_plan())
    assert config_files(plan, node_plan(), None)["hosts"].data.decode() == plan.hosts


def test_routes_are_destination_and_gateway() -> None:
    assert config_files(pnode_plan(), node_plan(), None)["routes"].data == b"10.0.2.0/24 10.0.0.2\n"


def test_only_the_host_key_is_secret() -> None:
    files = config_files(pnode_plan(), node_plan(), KEYS)
    assert [name for name, file in files.items() if file.secret] == ["host_key"]


def test_a_node_without_keys_has_no_key_files() -> None:
    assert {"host_key", "authorized_keys"}.isdisjoint(config_files(pnode_plan(), node_plan(), None))


def test_a_node_without_a_start_command_has_no_such_file() -> None:
    assert "start_command" not in config_files(pnode_plan(), node_plan(start_command=None), None)


def test_a_start_command_is_kept_as_it_is() -> None:
    text = "echo \"$(id)\" `ls` 'a' > x; é"
    files = config_files(pnode_plan(), node_plan(start_command=text), None)
    assert files["start_command"].data.decode() == f"{text}\n"


@given(WORDS)
def test_a_shell_reads_back_every_environment_value(value: str) -> None:
    text = environment_text(pnode_plan(environment=(("VALUE", value),)))
    assert shell(f'{text}\nprintf %s "$VALUE"') == value


def test_a_name_that_no_shell_takes_is_left_out() -> None:
    plan = pnode_plan(environment=(("A-B", "1"), ("1A", "2"), ("x;reboot", "3"), ("GOOD_1", "4")))
    assert environment_text(plan) == "export GOOD_1=4\n"


@given(st.lists(WORDS, min_size=1, max_size=3))
def test_words_reach_a_command_inside_as_they_are(words: list[str]) -> None:
    argv = inner_argv(["printf", "%s\\0", *words], terminal=False)
    done = subprocess.run(argv, capture_output=True, check=True, cwd="/")
    assert done.stdout.decode().split("\0")[:-1] == words


def test_no_command_is_a_login_shell() -> None:
    assert inner_argv([], terminal=True)[-2:] == ["/bin/sh", "-l"]


def test_the_callers_environment_stays_outside(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("SECRET", "x")
    done = subprocess.run(inner_argv(["env"], terminal=False), capture_output=True, check=True)
    assert b"SECRET" not in done.stdout


def test_a_link_local_address_is_the_macs_eui64() -> None:
    assert str(link_local_address("02:be:43:2d:89:e2")) == "fe80::be:43ff:fe2d:89e2"


def test_a_container_is_told_how_many_processes_it_may_have() -> None:
    assert config_files(pnode_plan(), node_plan(), None)["pids"].data == b"4096\n"
    assert config_files(pnode_plan(), node_plan(limits=Limits(pids=77)), None)["pids"].data == b"77\n"


def test_machines_made_of_one_disk_have_ids_of_their_own() -> None:
    assert config_files(pnode_plan(), node_plan(), None)["machine_id"].data == b"6f0d4c1e000050008000000000000001\n"


def test_with_the_kit_nothing_of_the_image_is_needed_to_run_a_command() -> None:
    argv = inner_argv(["ls", "-l"], terminal=False, kit=True)
    assert argv[:3] == ["/usr/lib/benito/busybox", "env", "-i"]
    assert argv[-3:] == ["/usr/lib/benito/run", "ls", "-l"]
    assert not [word for word in argv if "/bin/sh" in word and "/usr/lib/benito" not in word]


def test_released_means_at_once_or_at_an_uptime_that_pnode_and_node_share() -> None:
    assert released_text(None) == b"released\n"
    word, at, uptime = released_text(time.time() + 5).split()
    assert (word, at) == (b"released", b"at")
    assert abs(float(uptime) - time.clock_gettime(time.CLOCK_BOOTTIME) - 5) < 1


def test_a_machine_is_told_how_long_it_is_until_the_moment() -> None:
    word, how, milliseconds = released_sector(time.time() + 5).rstrip(b"\0").split()
    assert (word, how) == (b"released", b"in")
    assert 4000 < int(milliseconds) <= 5000
    assert released_sector(time.time() - 5).startswith(b"released in 0\n\0")


def test_what_a_machine_is_told_is_a_sector() -> None:
    told = [WAITING_SECTOR, released_sector(None), released_sector(time.time() + 1e6)]
    assert [len(sector) for sector in told] == [SECTOR_BYTES] * 3
    assert told[0].startswith(b"waiting\n\0")
    assert told[1].startswith(b"released\n\0")
