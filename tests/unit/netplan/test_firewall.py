import json

from benito_netplan import firewall


def listed(rules: list[tuple[str, str, str]]) -> bytes:
    items: list[dict[str, object]] = [{"metainfo": {}}, {"table": {"name": "t"}}]
    items += [{"rule": {"chain": chain, "comment": mark}} for chain, _, mark in reversed(rules)]
    return json.dumps({"nftables": items}).encode()


def test_the_table_replaces_an_older_one_in_the_same_transaction() -> None:
    lines = firewall.script("benito_x", "bc").splitlines()
    assert lines[:2] == ["table inet benito_x { }", "delete table inet benito_x"]
    assert "table inet benito_x {" in lines[2:]


def test_nodes_may_answer_ssh_and_find_neighbours_and_nothing_else() -> None:
    control = [rule for chain, rule, _ in firewall.rules("bc") if chain == "control"]
    assert control == [
        "icmpv6 type { 133, 134, 135, 136 } accept",
        "tcp sport 22 tcp flags & (syn | ack) != syn accept",
        "drop",
    ]


def test_removal_needs_no_table_to_be_there() -> None:
    assert firewall.script("benito_x", None) == "table inet benito_x { }\ndelete table inet benito_x\n"


def test_a_rules_mark_changes_with_its_text() -> None:
    assert {mark for _, _, mark in firewall.rules("bc")}.isdisjoint(
        mark for chain, _, mark in firewall.rules("bd") if chain != "control"
    )


def test_a_missing_rule_is_noticed() -> None:
    rules = firewall.rules("bc")
    expected = sorted((chain, mark) for chain, _, mark in rules)
    assert sorted(firewall.marks_in(listed(rules))) == expected
    assert sorted(firewall.marks_in(listed(rules[:-1]))) != expected


def test_frames_that_stay_on_a_lan_bridge_pass_whatever_calls_the_filter() -> None:
    forward = [rule for chain, rule, _ in firewall.rules("bc", ["bb"]) if chain == "forward" and '"bb"' in rule]
    assert forward == ['iifname "bb" oifname != "bb" drop', 'oifname "bb" iifname != "bb" drop']
